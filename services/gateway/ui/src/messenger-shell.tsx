import { ActionIcon, Group, Title, Tooltip } from '@mantine/core'
import { Download, LogOut } from 'lucide-react'
import { useEffect, useState } from 'react'
import { useMe } from './api/me.ts'
import { token } from './api/token.ts'
import { useTexts } from './i18n/i18n.tsx'
import { Boundary } from './parts/boundary.tsx'
import { ConnectionBanner, ConnectionDot } from './parts/connection.tsx'
import { ServicePage } from './parts/service-page.tsx'
import { LanguageSwitch, SchemeSwitch } from './parts/switches.tsx'
import { useLeave } from './people/use-leave.ts'

/** The messenger alone, as an app that can be installed. */
export default function MessengerShell() {
  const { t } = useTexts()
  const me = useMe()
  const leave = useLeave()
  const install = useInstall()
  useEffect(() => {
    document.title = `${t('messenger.title')} · Artel`
  }, [t])
  return (
    <div className="app">
      <Group component="header" justify="space-between" wrap="nowrap" mb="sm">
        <Group gap={10} wrap="nowrap">
          <img src="./favicon.svg" alt="" width={28} height={28} />
          <Title order={1} size="h3">
            {t('messenger.title')}
          </Title>
          <ConnectionDot />
        </Group>
        <Group gap="xs" wrap="nowrap">
          {install !== undefined && (
            <Round label={t('messenger.install')} icon={Download} onClick={install} />
          )}
          <LanguageSwitch />
          <SchemeSwitch />
          <Round
            label={t('account.leave')}
            icon={LogOut}
            // a token is of no session
            onClick={me.account == null ? token.leave : () => leave.mutate()}
          />
        </Group>
      </Group>
      <main>
        <ConnectionBanner />
        <Boundary>
          <ServicePage name="messenger" />
        </Boundary>
      </main>
    </div>
  )
}

function Round({ label, icon: Icon, onClick }: { label: string; icon: typeof LogOut; onClick(): void }) {
  return (
    <Tooltip label={label}>
      <ActionIcon variant="default" size="lg" radius="xl" aria-label={label} onClick={onClick}>
        <Icon size="1.125rem" aria-hidden />
      </ActionIcon>
    </Tooltip>
  )
}

/** Of browsers that let a page offer it: Chromium, where it is not installed yet. */
interface InstallEvent extends Event {
  prompt(): Promise<unknown>
}

function useInstall(): (() => void) | undefined {
  const [offer, setOffer] = useState<InstallEvent>()
  useEffect(() => {
    const offered = (event: Event): void => {
      event.preventDefault()
      setOffer(event as InstallEvent)
    }
    const installed = (): void => setOffer(undefined)
    window.addEventListener('beforeinstallprompt', offered)
    window.addEventListener('appinstalled', installed)
    return () => {
      window.removeEventListener('beforeinstallprompt', offered)
      window.removeEventListener('appinstalled', installed)
    }
  }, [])
  return offer === undefined ? undefined : () => void offer.prompt()
}
