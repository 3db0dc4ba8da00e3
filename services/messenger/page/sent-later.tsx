import { Button, Group, Text } from '@mantine/core'
import { useLayoutEffect } from 'react'
import { useLoaded } from '../../host/page/use-loaded.ts'
import { MessageText } from './message-text.tsx'
import type { PartProps } from './part.ts'
import { UNSENT } from './unsent.tsx'

/** What waits in a chat for the end of quiet hours. */
export function SentLater({ group, changed, ...part }: PartProps & { group: string; changed(): void }) {
  const { t } = part.words
  const { value, reload } = useLoaded(part.api.later, { ...part, topic: 'messenger:chat' })
  const rows = value?.items.filter(({ chat }) => chat === group) ?? []
  useLayoutEffect(changed, [changed, rows.length])
  return rows.map(({ n, text, failed }) => (
    <li key={n} style={UNSENT}>
      <MessageText text={text} />
      <Text size="xs" c="dimmed" ta="end">
        {failed === undefined ? t('goesLater') : t('goesLaterNot', { why: failed })}
      </Text>
      <Group justify="flex-end">
        <Button
          size="compact-xs"
          variant="default"
          onClick={() => void part.api.dropLater(n).then(reload, part.fail)}
        >
          {t('drop')}
        </Button>
      </Group>
    </li>
  ))
}
