import { Alert, Stack, Tabs, Text } from '@mantine/core'
import { useCallback, useMemo, useState } from 'react'
import { createApi, type PageProps } from './api.ts'
import { Costs } from './costs.tsx'
import { Overview } from './overview.tsx'
import { Users } from './users.tsx'
import { createWords } from './words.ts'

const PARTS = { overview: Overview, users: Users, costs: Costs } as const
const NAMES = Object.keys(PARTS) as (keyof typeof PARTS)[]

export default function AssistantPage({ language, request }: PageProps) {
  const words = useMemo(() => createWords(language), [language])
  const { t } = words
  const api = useMemo(() => createApi(request), [request])
  const [failure, setFailure] = useState<string>()
  const fail = useCallback((error: Error) => setFailure(t('failed', { reason: error.message })), [t])
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
      <Tabs defaultValue="overview" keepMounted={false}>
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
              <Part api={api} words={words} fail={fail} />
            </Tabs.Panel>
          )
        })}
      </Tabs>
    </Stack>
  )
}
