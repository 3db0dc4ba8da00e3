import { Alert, Text } from '@mantine/core'
import { useCallback } from 'react'
import { useLoaded } from '../../host/page/use-loaded.ts'
import type { PartProps } from './part.ts'

/** Tells an administrator what is beyond its threshold, wherever he is, as soon as the node has seen it. */
export function Unwell({ api, words, listen, fail }: PartProps) {
  const { t, time, word, language } = words
  const load = useCallback(() => api.lastHealth(language), [api, language])
  const { value } = useLoaded(load, { listen, topic: 'messenger:health', fail })
  const wrong = value?.items.filter(({ state }) => state !== 'ok') ?? []
  if (wrong.length === 0) return null
  return (
    <Alert
      role="status"
      color={wrong.some(({ state }) => state === 'fail') ? 'red' : 'orange'}
      variant="light"
      title={t('unwell')}
      // orange on its own tint is too pale to be read
      styles={{ title: { color: 'var(--mantine-color-text)' } }}
    >
      {wrong.map(({ name, state, detail, remedy, since }) => (
        <Text key={name} size="sm">
          {word('finding', name)}: {detail}, {word('state', state)} {t('since', { at: time(since ?? 0) })}
          {remedy !== undefined && <>; {remedy}</>}
        </Text>
      ))}
    </Alert>
  )
}
