import { Alert, Anchor, Stack, Tabs, Text } from '@mantine/core'
import { Lock } from 'lucide-react'
import { useCallback, useEffect, useMemo, useState } from 'react'
import { useLoaded } from '../../host/page/use-loaded.ts'
import { Administration } from './administration.tsx'
import { createApi } from './api.ts'
import { Begin } from './begin.tsx'
import { Chats } from './chats.tsx'
import { ComingIn } from './coming-in.tsx'
import { Devices } from './devices.tsx'
import { Locked } from './locked.tsx'
import type { PartProps } from './part.ts'
import { People } from './people.tsx'
import type { PageProps } from './props.ts'
import { Search } from './search.tsx'
import { Unwell } from './unwell.tsx'
import { useHere } from './use-presence.ts'
import type { Chat, Status } from './wire.ts'
import { createWords } from './words.ts'

/** The same page by itself, which can be installed. */
const APP = '/messenger.html'

export default function MessengerPage({ language, request, listen }: PageProps) {
  const words = useMemo(() => createWords(language), [language])
  const { t } = words
  const api = useMemo(() => createApi(request), [request])
  const [failure, setFailure] = useState<string>()
  const fail = useCallback((error: Error) => setFailure(t('failed', { reason: error.message })), [t])
  const part = { api, words, listen, fail }
  const { value: status, reload } = useLoaded(api.status, { listen, topic: 'messenger:roster', fail })
  const { value: session } = useLoaded(api.session, { listen, topic: 'messenger:roster', fail })
  const may = (scope: string): boolean =>
    session !== undefined && (session.scopes.includes(scope) || session.scopes.includes('admin'))

  return (
    <Stack gap="md" mb="md">
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
      {status === undefined || session === undefined ? null : status.school === undefined ? (
        may('messenger:admin') ? (
          <Begin api={api} words={words} fail={fail} pairing={status.pairing} changed={() => void reload()} />
        ) : (
          <Text>{t('noSchool')}</Text>
        )
      ) : (
        <School
          {...part}
          status={status}
          isVisitor={session.home !== undefined}
          mayAdminister={may('messenger:admin')}
          ownsNode={may('admin')}
          reload={reload}
        />
      )}
    </Stack>
  )
}

/** By its parts; whoever is not the person of this device sees no chats. */
function School({
  status,
  isVisitor,
  mayAdminister,
  ownsNode,
  reload,
  ...part
}: PartProps & {
  status: Status
  isVisitor: boolean
  mayAdminister: boolean
  ownsNode: boolean
  reload(): Promise<void>
}) {
  const { t } = part.words
  const { me, school, isYours, home } = status
  const mayChat = isYours === true && me !== undefined
  // devices come and go at home only
  const ownsDevice = mayChat && !isVisitor
  useHere(part.api, mayChat && status.policy?.presence === true)
  const [chosen, setTab] = useState<string | null>(null)
  // who comes in while he looks is at his chats
  const tab = chosen ?? (mayChat ? 'chats' : 'people')
  const [opened, setOpened] = useState<string>()
  const { value: people, reload: reloadPeople } = useLoaded(part.api.users, {
    ...part,
    topic: 'messenger:roster'
  })
  const { chats, reloadChats } = useChats(part, mayChat)
  const isAdmin = mayAdminister && me?.role === 'admin'
  const changed = (): void => {
    void reload()
    void reloadPeople()
    void reloadChats()
  }
  const open = (chat: string): void => {
    setOpened(chat)
    setTab('chats')
  }
  const users = people?.items ?? []

  return (
    <>
      <Text c="dimmed" size="sm">
        <Lock size={14} aria-hidden style={{ verticalAlign: '-0.125rem' }} />{' '}
        {me === undefined
          ? t('leadNobody', { school: school!.name })
          : t(isVisitor ? 'leadVisitor' : home === 'open' ? 'leadHosted' : 'lead', {
              school: school!.name,
              me: me.name
            })}
        {!window.location.pathname.endsWith(APP) && (
          <>
            {' '}
            <Anchor href={`.${APP}`} size="sm" underline="always">
              {t('asApp')}
            </Anchor>
          </>
        )}
      </Text>
      {home === 'locked' && <Locked {...part} changed={changed} />}
      {home === 'open' && ownsDevice && status.recovery === undefined && (
        <Alert color="artel">{t('printRecovery')}</Alert>
      )}
      {home === 'open' && !mayChat && <ComingIn {...part} pairing={status.pairing} changed={changed} />}
      {home === undefined && !mayChat && (
        <Alert color="artel">{t('notYours', { me: me?.name ?? '–' })}</Alert>
      )}
      {mayAdminister && <Unwell {...part} />}
      <Tabs value={tab} onChange={setTab} keepMounted={false}>
        <Tabs.List mb="md">
          {mayChat && <Tabs.Tab value="chats">{t('chats')}</Tabs.Tab>}
          {mayChat && <Tabs.Tab value="search">{t('search')}</Tabs.Tab>}
          <Tabs.Tab value="people">{t('people')}</Tabs.Tab>
          {ownsDevice && <Tabs.Tab value="devices">{t('myDevices')}</Tabs.Tab>}
          {mayAdminister && <Tabs.Tab value="administration">{t('administration')}</Tabs.Tab>}
        </Tabs.List>
        {mayChat && (
          // what is on its way goes on while another part is looked at
          <Tabs.Panel value="chats" keepMounted>
            <Chats
              {...part}
              chats={chats}
              people={users}
              me={me}
              quiet={status.quiet}
              opened={tab === 'chats' ? opened : undefined}
              open={setOpened}
              changed={changed}
            />
          </Tabs.Panel>
        )}
        {mayChat && (
          <Tabs.Panel value="search">
            <Search {...part} chats={chats ?? []} open={open} />
          </Tabs.Panel>
        )}
        <Tabs.Panel value="people">
          <People {...part} people={users} isAdmin={isAdmin} changed={changed} />
        </Tabs.Panel>
        {ownsDevice && (
          <Tabs.Panel value="devices">
            <Devices
              {...part}
              me={me}
              recovery={status.recovery}
              devices={users.find(({ id }) => id === me.id)?.devices ?? []}
              own={status.device}
              mayRevoke={mayAdminister}
              changed={changed}
            />
          </Tabs.Panel>
        )}
        {mayAdminister && (
          <Tabs.Panel value="administration">
            <Administration
              // what was found is said in the language of then
              key={part.words.language}
              {...part}
              status={status}
              chats={chats ?? []}
              people={users}
              isAdmin={isAdmin}
              ownsNode={ownsNode}
              open={open}
              changed={changed}
            />
          </Tabs.Panel>
        )}
      </Tabs>
    </>
  )
}

/** Of who may see them; undefined: not known yet. */
function useChats({ api, listen, fail }: PartProps, mayChat: boolean) {
  const load = useCallback(
    (): Promise<{ items: Chat[] }> => (mayChat ? api.chats() : Promise.resolve({ items: [] })),
    [api, mayChat]
  )
  const { value, reload } = useLoaded(load, { listen, topic: 'messenger:chat', fail })
  // a device that comes in is invited to chats
  useEffect(
    () =>
      listen(event => {
        if (event?.type === 'messenger:roster') void reload()
      }),
    [listen, reload]
  )
  return { chats: value?.items, reloadChats: reload }
}
