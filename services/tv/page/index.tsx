import { Alert, Stack, Tabs, Text } from '@mantine/core'
import { useCallback, useMemo, useState } from 'react'
import { createApi, type PageProps } from './api.ts'
import { Campaigns } from './campaigns.tsx'
import { Cards } from './cards.tsx'
import { Tvs } from './tvs.tsx'
import { createWords } from './words.ts'

export default function TvPage({ language, request }: PageProps) {
  const words = useMemo(() => createWords(language), [language])
  const { t } = words
  const api = useMemo(() => createApi(request), [request])
  const [said, setSaid] = useState<{ text: string; isBad: boolean }>()
  const tell = useCallback((text: string) => setSaid({ text, isBad: false }), [])
  const fail = useCallback(
    (error: Error) => setSaid({ text: t('failed', { what: t('tvs'), reason: error.message }), isBad: true }),
    [t]
  )
  const part = { api, words, tell, fail }
  return (
    <Stack gap="md" mb="md">
      <Text c="dimmed" size="sm">
        {t('lead')}
      </Text>
      {said !== undefined && (
        <Alert
          color={said.isBad ? 'red' : 'teal'}
          variant="light"
          role={said.isBad ? 'alert' : 'status'}
          withCloseButton
          closeButtonLabel={t('close')}
          onClose={() => setSaid(undefined)}
        >
          {said.text}
        </Alert>
      )}
      <Tabs defaultValue="tvs" keepMounted={false} onChange={() => setSaid(undefined)}>
        <Tabs.List mb="md">
          {(['tvs', 'cards', 'campaigns'] as const).map(name => (
            <Tabs.Tab key={name} value={name}>
              {t(name)}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value="tvs">
          <Tvs {...part} />
        </Tabs.Panel>
        <Tabs.Panel value="cards">
          <Cards {...part} />
        </Tabs.Panel>
        <Tabs.Panel value="campaigns">
          <Campaigns {...part} />
        </Tabs.Panel>
      </Tabs>
    </Stack>
  )
}
