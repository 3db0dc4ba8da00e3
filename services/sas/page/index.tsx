import { Alert, Stack, Tabs, Text } from '@mantine/core'
import { useCallback, useMemo, useState } from 'react'
import { createApi, type PageProps } from './api.ts'
import { Machines } from './machines.tsx'
import { Orders } from './orders.tsx'
import { Reconciliation } from './reconciliation.tsx'
import { createWords } from './words.ts'

export default function SasPage({ language, request }: PageProps) {
  const words = useMemo(() => createWords(language), [language])
  const { t } = words
  const api = useMemo(() => createApi(request), [request])
  const [failure, setFailure] = useState<string>()
  const fail = useCallback(
    (error: Error) => setFailure(t('failed', { what: t('machines'), reason: error.message })),
    [t]
  )
  const part = { api, words, fail }
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
      <Tabs defaultValue="machines" keepMounted={false}>
        <Tabs.List mb="md">
          {(['machines', 'money', 'reconciliation'] as const).map(name => (
            <Tabs.Tab key={name} value={name}>
              {t(name)}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value="machines">
          <Machines {...part} />
        </Tabs.Panel>
        <Tabs.Panel value="money">
          <Orders {...part} />
        </Tabs.Panel>
        <Tabs.Panel value="reconciliation">
          <Reconciliation {...part} />
        </Tabs.Panel>
      </Tabs>
    </Stack>
  )
}
