import { Button, Group, Stack, Text, TextInput } from '@mantine/core'
import { useState } from 'react'
import { Row, Rows } from '../../host/page/rows.tsx'
import type { PartProps } from './part.ts'
import type { Chat, Found } from './wire.ts'

/** Words in all chats that are here, in any of their forms. */
export function Search({
  api,
  words,
  fail,
  chats,
  open
}: PartProps & { chats: readonly Chat[]; open(chat: string): void }) {
  const { t, time } = words
  const [text, setText] = useState('')
  const [found, setFound] = useState<readonly Found[]>()
  return (
    <Stack gap="md">
      <form
        onSubmit={event => {
          event.preventDefault()
          void api.search(text.trim()).then(({ items }) => setFound(items), fail)
        }}
      >
        <Group align="flex-end" gap="sm" wrap="nowrap">
          <TextInput
            style={{ flex: 1 }}
            label={t('searchFor')}
            required
            maxLength={200}
            value={text}
            onChange={({ currentTarget }) => setText(currentTarget.value)}
          />
          <Button type="submit">{t('search')}</Button>
        </Group>
      </form>
      {found !== undefined && (
        <section className="card">
          <Rows label={t('found')} empty={t('nothingFound')}>
            {found.map(({ chat, line }) => {
              const known = chats.find(({ id }) => id === chat)
              return (
                <Row
                  key={line.id}
                  title={line.text ?? line.file?.name ?? ''}
                  detail={`${line.by.name} · ${time(line.at)}${known === undefined ? '' : ` · ${words.titleOf(known)}`}`}
                >
                  <Button size="xs" variant="default" onClick={() => open(chat)}>
                    {t('openChat')}
                  </Button>
                </Row>
              )
            })}
          </Rows>
          {found.length > 0 && (
            <Text size="xs" c="dimmed" mt="xs">
              {t('foundCount', { n: found.length })}
            </Text>
          )}
        </section>
      )}
    </Stack>
  )
}
