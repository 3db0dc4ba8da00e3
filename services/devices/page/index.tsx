import { useMemo, useState } from 'react'
import { Frame } from '../../host/page/frame.tsx'
import { Alerts } from './alerts.tsx'
import { createApi, type PageProps } from './api.ts'
import { Device } from './device.tsx'
import { FleetDocument } from './document.tsx'
import { Fleet } from './fleet.tsx'
import { Logs } from './logs.tsx'
import { useDevices } from './use-devices.ts'
import { createWords } from './words.ts'

export default function DevicesPage({ language, request, listen, Chart }: PageProps) {
  const words = useMemo(() => createWords(language), [language])
  const { t } = words
  const api = useMemo(() => createApi(request), [request])
  const [failure, fail] = useState<Error>()
  const [opened, setOpened] = useState<string>()
  const devices = useDevices(api, listen, fail)
  const part = { api, words, listen, fail }
  const device = devices?.find(({ agent, id }) => `${agent} ${id}` === opened)
  const shown =
    device === undefined ? (
      <Fleet rows={devices} words={words} open={({ agent, id }) => setOpened(`${agent} ${id}`)} />
    ) : (
      <Device {...part} device={device} Chart={Chart} close={() => setOpened(undefined)} />
    )
  return (
    <Frame
      lead={t('lead')}
      failure={failure && t('failed', { what: t('devices'), reason: failure.message })}
      dismiss={() => fail(undefined)}
      close={t('close')}
      tabs={[
        { name: 'devices', title: t('devices'), content: shown },
        { name: 'alerts', title: t('alerts'), content: <Alerts {...part} /> },
        { name: 'document', title: t('document'), content: <FleetDocument {...part} /> },
        { name: 'logs', title: t('logs'), content: <Logs {...part} /> }
      ]}
    />
  )
}
