import { Badge, Button, Stack, Text, Title } from '@mantine/core'
import { type ReactNode, useCallback, useState } from 'react'
import { RemoveButton, Row, Rows } from '../../host/page/rows.tsx'
import { useLoaded } from '../../host/page/use-loaded.ts'
import type { AgentRow, GrantRow, Proposal, SettingRow, Wishes } from './api.ts'
import { GrantForm } from './grant-form.tsx'
import { GroupForm } from './group-form.tsx'
import { Field, LineForm } from './line-form.tsx'
import type { PartProps } from './part.ts'
import { SettingForm } from './setting-form.tsx'
import type { Words } from './words.ts'

const TOPIC = 'devices:fleet'
const NONE: Wishes = { agents: [], groups: {}, settings: [], grants: [] }
const short = (peer: string): string => `…${peer.slice(-10)}`

/** What devices should be by the document of the fleet, how they are, and commands that wait for a second signer. */
export function FleetDocument({ api, words, listen, fail }: PartProps) {
  const { t, time } = words
  const on = { listen, topic: TOPIC, fail }
  const fleet = useLoaded(
    useCallback(() => api.fleet(), [api]),
    on
  )
  const proposals = useLoaded(
    useCallback(() => api.proposals(), [api]),
    on
  )
  const { value } = fleet
  if (value === undefined) return null
  const { version, isOwner, by, at, wishes = NONE } = value

  async function act(work: Promise<unknown>): Promise<boolean> {
    const isDone = await work.then(
      () => true,
      (error: Error) => {
        fail(error)
        return false
      }
    )
    await Promise.all([fleet.reload(), proposals.reload()])
    return isDone
  }
  const write = (change: Partial<Wishes>): Promise<boolean> =>
    act(api.setFleet({ ...wishes, ...change }, version))

  return (
    <Stack gap="md">
      <section className="card">
        <Title order={2} size="h5">
          {t('fleet', { fleet: value.fleet })}
        </Title>
        <Text size="sm">
          {version === 0 || at === undefined
            ? t('noDocument')
            : t('documentOf', { version: words.number(version), by: by ?? '', time: time(at) })}
        </Text>
        {!isOwner && (
          <Text size="sm" c="dimmed">
            {t(value.owners.length === 0 ? 'noOwners' : 'notOwner')}
          </Text>
        )}
      </section>
      <Waiting rows={proposals.value?.items ?? []} words={words} act={act} api={api} />
      <Section title={t('boards')}>
        <Boards rows={value.agents} version={version} words={words}>
          {isOwner
            ? agent => (
                <RemoveButton
                  label={t('removeBoard', { agent: short(agent) })}
                  onClick={() => void write({ agents: wishes.agents.filter(each => each !== agent) })}
                />
              )
            : undefined}
        </Boards>
        {isOwner && <BoardForm words={words} save={agent => write({ agents: [...wishes.agents, agent] })} />}
      </Section>
      <Section title={t('groups')}>
        <Rows label={t('groups')} empty={t('noGroups')}>
          {Object.entries(wishes.groups).map(([name, devices]) => (
            <Row key={name} title={`@${name}`} detail={devices.join(', ')}>
              {isOwner && (
                <RemoveButton
                  label={t('removeGroup', { name })}
                  onClick={() => {
                    const { [name]: _, ...groups } = wishes.groups
                    void write({ groups })
                  }}
                />
              )}
            </Row>
          ))}
        </Rows>
        {isOwner && (
          <GroupForm
            words={words}
            save={(name, devices) => write({ groups: { ...wishes.groups, [name]: devices } })}
          />
        )}
      </Section>
      <Section title={t('settings')}>
        <SettingList
          rows={wishes.settings}
          words={words}
          remove={
            isOwner
              ? gone => void write({ settings: wishes.settings.filter(each => each !== gone) })
              : undefined
          }
        />
        {isOwner && (
          <SettingForm words={words} save={row => write({ settings: withSetting(wishes.settings, row) })} />
        )}
      </Section>
      <Section title={t('grants')}>
        <GrantList
          rows={wishes.grants}
          words={words}
          remove={
            isOwner ? gone => void write({ grants: wishes.grants.filter(each => each !== gone) }) : undefined
          }
        />
        {isOwner && <GrantForm words={words} save={row => write({ grants: [...wishes.grants, row] })} />}
      </Section>
    </Stack>
  )
}

function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="card" aria-label={title}>
      <Title order={2} size="h5" mb="xs">
        {title}
      </Title>
      {children}
    </section>
  )
}

interface BoardsProps {
  rows: AgentRow[]
  version: number
  words: Words
  children: ((agent: string) => ReactNode) | undefined
}

/** Each node beside devices: wanted and actual. */
function Boards({ rows, version, words, children }: BoardsProps) {
  const { t, time, number } = words
  const drift = ({ state }: AgentRow): string[] =>
    (state?.settings ?? [])
      .filter(({ why }) => why !== undefined)
      .map(({ device, name, wanted, actual, why = '' }) =>
        actual === undefined
          ? t('driftUnknown', { device, name, wanted: String(wanted), why })
          : t('drift', { device, name, wanted: String(wanted), actual: String(actual), why })
      )
  const releaseOf = ({ state }: AgentRow): string[] => {
    const { version: runs, wanted, isOnTrial = false, why } = state?.release ?? {}
    if (isOnTrial) return [t('onTrial', { version: runs ?? '' })]
    if (wanted === undefined || wanted === runs)
      return runs === undefined ? [] : [t('runs', { version: runs })]
    return [t('wantsRelease', { version: wanted, why: why ?? '…' })]
  }
  return (
    <Rows label={t('boards')} empty={t('noBoards')}>
      {rows.map(row => (
        <Row
          key={row.agent}
          title={short(row.agent)}
          detail={[
            row.version === undefined
              ? t('neverHeard')
              : row.version === version
                ? t('current', { version: number(version) })
                : t('older', { version: number(row.version) }),
            ...(row.heardAt === undefined ? [] : [time(row.heardAt)]),
            ...(row.error === undefined ? [] : [row.error]),
            ...drift(row),
            ...releaseOf(row)
          ].join(' · ')}
        >
          <Badge variant="dot" tt="none" color={row.isRight ? 'teal' : 'orange'}>
            {t(row.isRight ? 'asWanted' : 'notAsWanted')}
          </Badge>
          {children?.(row.agent)}
        </Row>
      ))}
    </Rows>
  )
}

function BoardForm({ words, save }: { words: Words; save(agent: string): Promise<boolean> }) {
  const { t } = words
  const [agent, setAgent] = useState('')
  return (
    <LineForm
      label={t('newBoard')}
      button={t('add')}
      save={() => save(agent.trim())}
      onSaved={() => setAgent('')}
    >
      <Field label={t('peer')} value={agent} set={setAgent} />
    </LineForm>
  )
}

interface ListProps<T> {
  rows: T[]
  words: Words
  remove: ((row: T) => void) | undefined
}

function SettingList({ rows, words, remove }: ListProps<SettingRow>) {
  const { t } = words
  return (
    <Rows label={t('settings')} empty={t('noSettings')}>
      {rows.map((row, i) => (
        <Row
          key={i}
          title={row.devices}
          detail={[
            Object.entries(row.values)
              .map(([name, value]) => `${name} = ${String(value)}`)
              .join(', '),
            ...(row.agent === undefined ? [] : [t('agent', { agent: short(row.agent) })])
          ].join(' · ')}
        >
          {remove !== undefined && (
            <RemoveButton
              label={t('removeSetting', { devices: row.devices, names: Object.keys(row.values).join(', ') })}
              onClick={() => remove(row)}
            />
          )}
        </Row>
      ))}
    </Rows>
  )
}

function GrantList({ rows, words, remove }: ListProps<GrantRow>) {
  const { t, word, time, number } = words
  return (
    <Rows label={t('grants')} empty={t('noGrants')}>
      {rows.map((row, i) => (
        <Row
          key={i}
          title={t('mayCommand', { peer: short(row.peer), devices: row.devices })}
          detail={[
            row.commands.join(', '),
            word('risk', String(row.risk)),
            ...(row.perDay === undefined ? [] : [t('perDayOf', { n: number(row.perDay) })]),
            ...(row.until === undefined ? [] : [t('untilTime', { time: time(row.until) })])
          ].join(' · ')}
        >
          {remove !== undefined && (
            <RemoveButton
              label={t('removeGrant', { peer: short(row.peer), devices: row.devices })}
              onClick={() => remove(row)}
            />
          )}
        </Row>
      ))}
    </Rows>
  )
}

interface WaitingProps {
  rows: Proposal[]
  words: Words
  api: PartProps['api']
  act(work: Promise<unknown>): Promise<boolean>
}

/** Commands that need another signature. */
function Waiting({ rows, words, api, act }: WaitingProps) {
  const { t, time } = words
  const [outcome, setOutcome] = useState<string>()
  if (rows.length === 0 && outcome === undefined) return null
  async function approve(id: string): Promise<void> {
    const { is, why } = await api.approve(id)
    setOutcome([words.word('outcome', is), ...(why === undefined ? [] : [why])].join(': '))
  }
  return (
    <Section title={t('proposals')}>
      {outcome !== undefined && (
        <Text size="sm" role="status">
          {outcome}
        </Text>
      )}
      <Rows label={t('proposals')} empty={t('noProposals')}>
        {rows.map(row => (
          <Row
            key={row.id}
            title={`${row.name}: ${row.device}`}
            detail={[
              t(row.isOwn ? 'waitsFor' : 'askedBy', { peer: short(row.peer), who: row.by }),
              JSON.stringify(row.args),
              t('untilTime', { time: time(row.expires) })
            ].join(' · ')}
          >
            {!row.isOwn && (
              <Button
                size="xs"
                aria-label={t('signOf', { name: row.name, device: row.device })}
                onClick={() => void act(approve(row.id))}
              >
                {t('sign')}
              </Button>
            )}
            <RemoveButton
              label={t('dismissOf', { name: row.name, device: row.device })}
              onClick={() => void act(api.dismiss(row.id))}
            />
          </Row>
        ))}
      </Rows>
    </Section>
  )
}

/** One line for the same devices, in which the newest value counts. Pure. */
function withSetting(rows: readonly SettingRow[], added: SettingRow): SettingRow[] {
  const isSame = ({ devices, agent }: SettingRow): boolean =>
    devices === added.devices && agent === added.agent
  const values = Object.assign({}, ...[...rows.filter(isSame), added].map(row => row.values))
  return [...rows.filter(row => !isSame(row)), { ...added, values }]
}
