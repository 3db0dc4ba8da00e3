import { Button, Group, Text } from '@mantine/core'
import type { CSSProperties } from 'react'
import { MessageText } from './message-text.tsx'
import type { Outbox, Waiting } from './outbox.ts'
import type { Words } from './words.ts'

/** How what was not sent yet looks. */
export const UNSENT: CSSProperties = {
  alignSelf: 'flex-end',
  maxWidth: 'min(42rem, 92%)',
  padding: '0.375rem 0.625rem',
  borderRadius: '0.625rem',
  border: '1px dashed var(--artel-line)'
}

/** What is on its way to the node, or was refused. */
export function Unsent({
  row,
  outbox,
  words: { t }
}: {
  row: Waiting
  outbox: Outbox | undefined
  words: Words
}) {
  return (
    <li style={UNSENT}>
      <MessageText text={row.text} />
      <Text size="xs" c="dimmed" ta="end">
        {row.state === 'refused' ? t('refused', { why: row.why ?? '' }) : t(row.state)}
      </Text>
      {row.state === 'refused' && (
        <Group gap="xs" justify="flex-end">
          <Button size="compact-xs" variant="default" onClick={() => outbox?.again(row.key)}>
            {t('again')}
          </Button>
          <Button size="compact-xs" variant="default" onClick={() => outbox?.drop(row.key)}>
            {t('drop')}
          </Button>
        </Group>
      )}
    </li>
  )
}
