import { Alert, Badge, Button, Group, NativeSelect, Stack, Text, UnstyledButton } from '@mantine/core'
import { Plus } from 'lucide-react'
import { useCallback, useEffect, useMemo, useState } from 'react'
import { createApi, type HostRow, type MachineRow, type PageProps } from './api.ts'
import { CreateMachine } from './create-machine.tsx'
import { Machine } from './machine.tsx'
import { useLoaded } from './use-loaded.ts'
import { createWords, type Words } from './words.ts'

const REFRESH_MS = 5_000
const FAILURES = 4
/** Hosts come and go slowly, and looking for them asks the network. */
const HOSTS_MS = 60_000
const COLOURS: Readonly<Record<string, string>> = {
  running: 'teal',
  paused: 'orange',
  'io-error': 'red',
  unresponsive: 'red',
  crashed: 'red',
  corrupt: 'red',
  unreachable: 'red'
}

export default function VmPage({ language, request, listen, Chart }: PageProps) {
  const words = useMemo(() => createWords(language), [language])
  const { t } = words
  const [host, setHost] = useState<string>()
  const api = useMemo(() => createApi(request, host), [request, host])
  const [opened, setOpened] = useState<string>()
  const [isCreating, setIsCreating] = useState(false)
  const [failures, setFailures] = useState<string[]>([])

  const fail = useCallback(
    (what: string, error: unknown) => {
      const text = t('failed', { what, reason: (error as Error).message })
      setFailures(before => [...before.filter(other => other !== text).slice(1 - FAILURES), text])
    },
    [t]
  )
  const failed = useCallback((error: Error) => fail(t('list'), error), [fail, t])
  const load = useCallback(() => api.list(), [api])
  const { value, reload } = useLoaded(load, listen, failed, REFRESH_MS)
  const hosts = useHosts(api, failed)

  return (
    <Stack gap="md" mb="md">
      <Text c="dimmed" size="sm">
        {t('lead')}
      </Text>
      <Group align="flex-end" justify="space-between" gap="sm">
        <NativeSelect
          label={t('host')}
          style={{ flex: '1 1 14rem', maxWidth: '30rem' }}
          value={host ?? ''}
          onChange={({ currentTarget }) => {
            setOpened(undefined)
            setHost(currentTarget.value === '' ? undefined : currentTarget.value)
          }}
          data={hosts.map(each => ({
            value: each.isHere === true ? '' : each.peer,
            label: hostLabel(each, words)
          }))}
        />
        <Button leftSection={<Plus size={16} aria-hidden />} onClick={() => setIsCreating(true)}>
          {t('newMachine')}
        </Button>
      </Group>
      {failures.map(failure => (
        <Alert
          key={failure}
          color="red"
          variant="light"
          role="alert"
          withCloseButton
          closeButtonLabel={t('close')}
          onClose={() => setFailures(before => before.filter(other => other !== failure))}
        >
          {failure}
        </Alert>
      ))}
      <List rows={value?.machines} opened={opened} words={words} open={setOpened} />
      {opened !== undefined && (
        <Machine
          key={`${host} ${opened}`}
          vm={opened}
          api={api}
          words={words}
          listen={listen}
          Chart={Chart}
          fail={fail}
          changed={() => void reload()}
          close={() => setOpened(undefined)}
        />
      )}
      <CreateMachine
        isOpen={isCreating}
        isHere={host === undefined}
        api={api}
        words={words}
        close={() => setIsCreating(false)}
        created={id => {
          setOpened(id)
          void reload()
        }}
        fail={fail}
      />
    </Stack>
  )
}

function useHosts(api: ReturnType<typeof createApi>, fail: (error: Error) => void): HostRow[] {
  const [found, setFound] = useState<HostRow[]>([{ peer: '', isHere: true }])
  useEffect(() => {
    const look = (): void => void api.hosts().then(({ hosts }) => setFound(hosts), fail)
    look()
    const timer = window.setInterval(look, HOSTS_MS)
    return () => window.clearInterval(timer)
  }, [api, fail])
  return found
}

function hostLabel({ peer, isHere, freeMb, accelerator }: HostRow, { t, megabytes }: Words): string {
  const name = isHere === true ? t('thisNode') : `…${peer.slice(-10)}`
  if (freeMb === undefined) return isHere === true ? name : t('hostSilent', { name })
  return t('hostFree', { name, free: megabytes(freeMb), accelerator: accelerator?.toUpperCase() ?? '' })
}

interface ListProps {
  /** undefined: not known yet */
  rows: MachineRow[] | undefined
  opened: string | undefined
  words: Words
  open(id: string): void
}

function List({ rows, opened, words, open }: ListProps) {
  const { t, megabytes, state: stateWord } = words
  if (rows === undefined) return null
  if (rows.length === 0)
    return (
      <section className="card">
        <Text fw={600}>{t('empty')}</Text>
        <Text size="sm" c="dimmed">
          {t('emptyText')}
        </Text>
      </section>
    )
  const figures = ({ ramMb, cpu }: { ramMb: number; cpu: number }) => ({ ram: megabytes(ramMb), cpu })
  return (
    <section className="card" aria-label={t('list')}>
      <ul style={{ listStyle: 'none', margin: 0, padding: 0 }}>
        {rows.map(row => (
          <li key={`${row.owner} ${row.id}`} style={{ borderBlockEnd: '1px solid var(--artel-line)' }}>
            <UnstyledButton w="100%" py="xs" aria-pressed={opened === row.id} onClick={() => open(row.id)}>
              <Group justify="space-between" gap="xs" wrap="nowrap">
                <div style={{ minWidth: 0 }}>
                  <Text fw={600} style={{ overflowWrap: 'anywhere' }}>
                    {row.id}
                  </Text>
                  <Text size="xs" c="dimmed">
                    {t('machine', figures(row))}
                    {row.pending !== undefined && ` · ${t('pendingFigures', figures(row.pending))}`}
                    {!row.authenticated && ` · ${t('notAuthenticated')}`}
                  </Text>
                </div>
                <Badge variant="dot" tt="none" color={COLOURS[row.state] ?? 'gray'} style={{ flexShrink: 0 }}>
                  {stateWord(row.state)}
                </Badge>
              </Group>
            </UnstyledButton>
          </li>
        ))}
      </ul>
    </section>
  )
}
