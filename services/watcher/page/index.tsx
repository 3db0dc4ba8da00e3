import { Alert, Stack, Tabs, Text } from '@mantine/core'
import { useCallback, useMemo, useState } from 'react'
import { useLoaded } from '../../host/page/use-loaded.ts'
import { createApi, type PageProps } from './api.ts'
import { Events } from './events.tsx'
import { Items } from './items.tsx'
import { Rules } from './rules.tsx'
import { Subscriptions } from './subscriptions.tsx'
import { createWords } from './words.ts'

const PARTS = { items: Items, events: Events, rules: Rules, subscriptions: Subscriptions } as const
const NAMES = Object.keys(PARTS) as (keyof typeof PARTS)[]

export default function WatchPage({ language, request, listen }: PageProps) {
  const words = useMemo(() => createWords(language), [language])
  const { t } = words
  const api = useMemo(() => createApi(request), [request])
  const [failure, setFailure] = useState<string>()
  const fail = useCallback((error: Error) => setFailure(t('failed', { reason: error.message })), [t])
  const { value, reload } = useLoaded(
    useCallback(() => api.rules(), [api]),
    { listen, topic: 'watch:changed', fail }
  )
  const part = { api, words, listen, fail, rules: value?.items, reloadRules: reload }
  return (
    <Stack gap="md" mb="md">
      <Text c="dimmed" size="sm">
        {t('lead')}
      </Text>
      {failure !== undefined && (
        <Alert
          color="red"
          variant="light"
          role="alert"
          withCloseButton
          closeButtonLabel={t('close')}
          onClose={() => setFailure(undefined)}
        >
          {failure}
        </Alert>
      )}
      <Tabs defaultValue="items" keepMounted={false}>
        <Tabs.List mb="md">
          {NAMES.map(name => (
            <Tabs.Tab key={name} value={name}>
              {t(name)}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        {NAMES.map(name => {
          const Part = PARTS[name]
          return (
            <Tabs.Panel key={name} value={name}>
              <Part {...part} />
            </Tabs.Panel>
          )
        })}
      </Tabs>
    </Stack>
  )
}
