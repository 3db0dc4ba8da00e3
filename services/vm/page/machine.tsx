import { Button, Group, Tabs, Title } from '@mantine/core'
import { type ComponentType, lazy, Suspense, useCallback, useState } from 'react'
import { Confirm, type Question } from '../../host/page/confirm.tsx'
import type { Action, Api, PageProps } from './api.ts'
import { Disks } from './disks.tsx'
import { Figures } from './figures.tsx'
import type { PartProps } from './part.ts'
import { Rights } from './rights.tsx'
import { Snapshots } from './snapshots.tsx'
import { useLoaded } from './use-loaded.ts'
import type { Words } from './words.ts'

const REFRESH_MS = 2_000
/** Loaded when somebody looks: the terminal is larger than the rest of the page. */
const Console = lazy(() => import('./console.tsx'))
const PARTS = ['console', 'snapshots', 'disks', 'figures', 'rights'] as const
const LISTS: Partial<Record<(typeof PARTS)[number], ComponentType<PartProps>>> = {
  snapshots: Snapshots,
  disks: Disks,
  rights: Rights
}

interface MachineProps {
  vm: string
  api: Api
  words: Words
  listen: PageProps['listen']
  Chart: PageProps['Chart']
  fail(what: string, error: unknown): void
  changed(): void
  close(): void
}

/** One machine: its switches, and a tab for each thing that it has. */
export function Machine({ vm, api, words, listen, Chart, fail, changed, close }: MachineProps) {
  const { t } = words
  const [question, setQuestion] = useState<Question>()
  const [busy, setBusy] = useState<string>()
  const failed = useCallback((error: Error) => fail(vm, error), [fail, vm])
  const load = useCallback(() => api.show(vm), [api, vm])
  const { value: machine, reload } = useLoaded(load, listen, failed, REFRESH_MS)

  async function act(work: Promise<unknown>): Promise<void> {
    try {
      await work
    } catch (error) {
      fail(vm, error)
    }
    changed()
    await reload()
  }
  async function press(name: string, work: Promise<unknown>): Promise<void> {
    setBusy(name)
    await act(work)
    setBusy(undefined)
  }

  if (machine === undefined) return null
  const switches = switchesOf(machine.state)
  const part: PartProps = { vm, machine, api, words, listen, fail, act, ask: setQuestion }
  return (
    <section className="card" aria-label={vm}>
      <Title order={2} mb="sm" style={{ overflowWrap: 'anywhere' }}>
        {vm}
      </Title>
      <Group gap="xs" mb="md">
        {switches.map(action => (
          <Button
            key={action}
            size="xs"
            variant={action === 'start' ? 'filled' : 'default'}
            loading={busy === action}
            onClick={() => void press(action, api.power(vm, action))}
          >
            {t(action)}
          </Button>
        ))}
        {machine.state !== 'stopped' && (
          <Button
            size="xs"
            variant="default"
            loading={busy === 'kill'}
            onClick={() =>
              setQuestion({
                title: t('killTitle', { id: vm }),
                text: t('killText'),
                yes: t('kill'),
                run: () => void press('kill', api.power(vm, 'stop', true))
              })
            }
          >
            {t('kill')}
          </Button>
        )}
        <Button
          size="xs"
          variant="default"
          onClick={() =>
            setQuestion({
              title: t('removeTitle', { id: vm }),
              text: t('removeText'),
              yes: t('remove'),
              run: () => {
                // nothing more is asked of it
                close()
                void api.remove(vm).catch(failed).then(changed)
              }
            })
          }
        >
          {t('remove')}
        </Button>
      </Group>
      <Tabs defaultValue="console" keepMounted={false}>
        <Tabs.List mb="md">
          {PARTS.map(name => (
            <Tabs.Tab key={name} value={name}>
              {t(name)}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value="console">
          <Suspense fallback={null}>
            <Console vm={vm} api={api} words={words} />
          </Suspense>
        </Tabs.Panel>
        {Object.entries(LISTS).map(([name, Part]) => (
          <Tabs.Panel key={name} value={name}>
            <Part {...part} />
          </Tabs.Panel>
        ))}
        <Tabs.Panel value="figures">
          <Figures {...part} Chart={Chart} />
        </Tabs.Panel>
      </Tabs>
      <Confirm
        question={question}
        close={() => setQuestion(undefined)}
        texts={{ close: t('close'), keep: t('keep') }}
      />
    </section>
  )
}

/** What can be done with a machine that is so. */
function switchesOf(state: string): Action[] {
  // of a damaged one the refusal says what to do
  if (['stopped', 'crashed', 'corrupt'].includes(state)) return ['start']
  if (state === 'paused') return ['resume', 'stop']
  if (state === 'running') return ['stop', 'reboot', 'pause']
  return []
}
