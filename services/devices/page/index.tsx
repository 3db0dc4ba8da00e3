import { Alert, Stack, Tabs, Text } from '@mantine/core'
import { useCallback, useMemo, useState } from 'react'
import { Alerts } from './alerts.tsx'
import { createApi, type PageProps } from './api.ts'
import { Device } from './device.tsx'
import { Fleet } from './fleet.tsx'
import { Logs } from './logs.tsx'
import { useDevices } from './use-devices.ts'
import { createWords } from './words.ts'

export default function DevicesPage({ language, request, listen, Chart }: PageProps) {
  const words = useMemo(() => createWords(language), [language])
  const { t } = words
  const api = useMemo(() => createApi(request), [request])
  const [failure, setFailure] = useState<string>()
  const [opened, setOpened] = useState<string>()
  const fail = useCallback(
    (error: Error) => setFailure(t('failed', { what: t('devices'), reason: error.message })),
    [t]
  )
  const devices = useDevices(api, listen, fail)
  const part = { api, words, listen, fail }
  const device = devices?.find(({ agent, id }) => `${agent} ${id}` === opened)

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
      <Tabs defaultValue="devices" keepMounted={false}>
        <Tabs.List mb="md">
          {(['devices', 'alerts', 'logs'] as const).map(name => (
            <Tabs.Tab key={name} value={name}>
              {t(name)}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value="devices">
          {device !== undefined ? (
            <Device {...part} device={device} Chart={Chart} close={() => setOpened(undefined)} />
          ) : (
            <Fleet rows={devices} words={words} open={({ agent, id }) => setOpened(`${agent} ${id}`)} />
          )}
        </Tabs.Panel>
        <Tabs.Panel value="alerts">
          <Alerts {...part} />
        </Tabs.Panel>
        <Tabs.Panel value="logs">
          <Logs {...part} />
        </Tabs.Panel>
      </Tabs>
    </Stack>
  )
}
