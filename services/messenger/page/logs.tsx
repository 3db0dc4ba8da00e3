import { Button, Group, NativeSelect, Text, Title } from '@mantine/core'
import { useState } from 'react'
import type { PartProps } from './part.ts'
import type { LogName } from './wire.ts'

const NAMES: readonly LogName[] = ['server', 'error', 'database', 'websocket', 'report']
const DEBUG_MINUTES = 30

/** What this node wrote down; nothing of what is said in chats. */
export function Logs({ api, words, fail }: PartProps) {
  const { t, time, word } = words
  const [name, setName] = useState<LogName>('server')
  const [lines, setLines] = useState<readonly string[]>()
  const [until, setUntil] = useState<number>()
  return (
    <section className="card" aria-label={t('logs')}>
      <Title order={2} size="h4">
        {t('logs')}
      </Title>
      <Text size="sm" c="dimmed" mb="xs">
        {t('logsText')}
      </Text>
      <Group align="flex-end" gap="sm">
        <NativeSelect
          label={t('log')}
          value={name}
          onChange={({ currentTarget }) => setName(currentTarget.value as LogName)}
          data={NAMES.map(value => ({ value, label: word('log', value) }))}
        />
        <Button
          variant="default"
          onClick={() => void api.log(name).then(found => setLines(found.lines), fail)}
        >
          {t('showLog')}
        </Button>
        <Button
          variant="default"
          onClick={() => void api.setLogLevel('debug', DEBUG_MINUTES).then(set => setUntil(set.until), fail)}
        >
          {t('debugOn', { n: DEBUG_MINUTES })}
        </Button>
      </Group>
      {until !== undefined && (
        <Text size="sm" role="status">
          {t('debugUntil', { at: time(until) })}
        </Text>
      )}
      {lines !== undefined && (
        <section
          className="code"
          aria-label={word('log', name)}
          // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
          tabIndex={0}
          style={{ maxHeight: '20rem', marginTop: '0.5rem' }}
        >
          {lines.join('\n') || t('noLines')}
        </section>
      )}
    </section>
  )
}
