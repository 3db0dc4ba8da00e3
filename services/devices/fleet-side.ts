import { join } from 'node:path'
import { z } from 'zod'
import {
  admits,
  createNonces,
  ForbiddenError,
  type HostOf,
  type Known,
  type ServiceOf,
  type Signed,
  slots
} from '../host/index.ts'
import { nameOfCaller } from './caller.ts'
import { createCarrier } from './commands/carry.ts'
import type { SignedCommand } from './commands/command.ts'
import { createExecute } from './commands/execute.ts'
import type { commandOperations } from './commands/operations.ts'
import { createOperator } from './commands/operator.ts'
import { COMMAND, type CommandStore } from './commands/store.ts'
import { isSwitchedOn } from './commands/switch.ts'
import type { DeviceDescription } from './contract.ts'
import { budgetMb, type declaration, keepDays } from './declaration.ts'
import { UnknownDeviceError } from './errors.ts'
import { type AgentState, createFleet } from './fleet/create-fleet.ts'
import {
  type FleetDocument,
  grantsFor,
  isReader,
  type Risk,
  settingsFor,
  standing
} from './fleet/document.ts'
import type { fleetOperations } from './fleet/operations.ts'
import { createSettings } from './fleet/settings.ts'
import type { FleetStore } from './fleet/store.ts'
import { SETTING } from './log/driver-devices.ts'
import { AGENT, type Body, type ClockState } from './log/entry.ts'
import type { Place } from './log/recorder.ts'
import type { Peers } from './messages.ts'
import { createReleases } from './release/create-releases.ts'
import type { Watchdog } from './release/watchdog.ts'
import type { Series } from './series/series.ts'
import { pause } from './time/pause.ts'

type Declared = typeof declaration
type Own = ServiceOf<Declared>

/** Entries of this node about the document of the fleet. */
const FLEET = 'fleet'
/** An owner is named so at itself. */
const SELF = 'self'
const ROUND_MS = 10_000
const SETTINGS_MS = 5_000
const APPLY_MS = 2_000
const BEAT_MS = 5_000
const HOUR_MS = 3_600_000
/** Devices that a node tells of. */
const MAX_DEVICES = 256
const MAX_COMMANDS = 100
/** Each keeps a command until it expires: more would only tell the device's node the same again. */
const MAX_CARRIERS = 3

export interface FleetSideInit {
  host: HostOf<Declared>
  series: Series
  fleetStore: FleetStore
  commandStore: CommandStore
  peers: Peers
  /** devices of this node that are here now */
  opened: ReadonlyMap<string, DeviceDescription>
  /** Writes an account about a device of this node; resolves when it is on the disk. */
  note(device: string, kind: string, body: Body): Promise<Place>
  /** Whether a witness has the log up to there, where there are any. */
  isWitnessed(place: Place): boolean
  /** Resolves when the log is whole and was read. */
  settled(): Promise<unknown>
  /** of this machine */
  boot: string
  clock(): ClockState
}

/** What the fleet says of devices, and what is asked of them from afar. */
export async function createFleetSide(init: FleetSideInit) {
  const { host, series, fleetStore, commandStore, peers, opened, note, settled, clock } = init
  const { signal, now, log, isSigned, sign, config } = host
  const { self } = host.peers
  let applying: Promise<void> = Promise.resolve()
  let watchdog: Watchdog | undefined
  const owners = (): string[] => host.config.fleetOwners.map(each => (each === SELF ? self : each))
  const tell = (): void => host.tell('fleet', {})
  const document = (): FleetDocument | undefined => fleet.current()?.document

  /** A setting of this node: what the fleet says, where it says something that can be. */
  function own<T extends 'keepDays' | 'budgetMb'>(name: T): number {
    const wishes = document()
    const wanted = wishes && settingsFor(wishes, self, AGENT)[name]
    const read = { keepDays, budgetMb }[name].safeParse(wanted)
    return wanted !== undefined && read.success ? read.data : host.config[name]
  }
  const ownSetting = (name: 'keepDays' | 'budgetMb') => ({
    type: 'number' as const,
    now: () => own(name),
    set(value: unknown) {
      throw new Error(z.prettifyError({ keepDays, budgetMb }[name].safeParse(value).error!))
    }
  })
  const node: Pick<DeviceDescription, 'settings'> = {
    settings: { keepDays: ownSetting('keepDays'), budgetMb: ownSetting('budgetMb') }
  }
  const settings = createSettings({
    self,
    document,
    opened: () => new Map([[AGENT, node], ...opened]),
    note: (device, body) => note(device, SETTING, body)
  })

  const state = (): AgentState => ({
    settings: settings.states(),
    devices: [...opened]
      .flatMap(([id, { commands = {} }]) => {
        const told = Object.entries(commands).map(([name, { summary, risk }]) => ({ name, summary, risk }))
        return told.length === 0 ? [] : [{ id, commands: told.slice(0, MAX_COMMANDS) }]
      })
      .slice(0, MAX_DEVICES),
    release: releases.state()
  })
  const releases = await createReleases({
    folder: join(host.folder, slots.RELEASES),
    self,
    slot: config.slot,
    wanted: () => document()?.release,
    // neighbours may have it: owners are few
    sources: () => {
      const agents = (document()?.agents ?? []).filter(
        agent => agent !== self && fleet.heard(agent).error == null
      )
      return [...agents, ...owners()].filter(peer => peer !== self)
    },
    fetch: async (peer, sha256, from, until) =>
      (await peers.ask(peer, 'release', { sha256, from }, { signal: until })).bytes,
    note: body => note(AGENT, 'release', body),
    isWitnessed: init.isWitnessed,
    restart: () => process.kill(process.pid, 'SIGTERM'),
    log
  })
  const fleet = createFleet({
    fleet: config.fleet,
    self,
    owners,
    store: fleetStore,
    remembered: () => series.latest(self, AGENT, FLEET) as Known | undefined,
    note: body => note(AGENT, FLEET, body),
    peers,
    others: () => config.witnessPeers,
    async state() {
      // who has brought a document hears what has come of it
      await Promise.race([applying, pause(APPLY_MS, signal)])
      return state()
    },
    sign,
    isSigned,
    now,
    trouble: host.degraded,
    changed() {
      apply().catch((error: Error) => log.error('settings of the fleet: %s', error.message))
      tell()
    },
    signal,
    log
  })

  /** One after the other: what changes meanwhile is seen by the next. */
  function apply(): Promise<void> {
    applying = applying
      .catch(() => undefined /* told to who asked */)
      .then(async () => {
        const before = JSON.stringify(settings.states())
        await settings.apply(signal)
        if (JSON.stringify(settings.states()) !== before) tell()
      })
    return applying
  }

  /** Members that are here, those first that most nodes are connected to. */
  function carriers(agent: string): string[] {
    const { agents = [], grants = [] } = document() ?? {}
    const members = [...owners(), ...config.witnessPeers, ...agents, ...grants.map(({ peer }) => peer)]
    return [...new Set(members)]
      .filter(peer => peer !== self && peer !== agent && host.peers.addressOf(peer) != null)
      .slice(0, MAX_CARRIERS)
  }

  /** Whom the document names, and whom this node shares its logs with. */
  function isMember(peer: string): boolean {
    const { agents = [], grants = [] } = document() ?? {}
    return (
      owners().includes(peer) ||
      agents.includes(peer) ||
      grants.some(each => each.peer === peer) ||
      config.witnessPeers.includes(peer) ||
      admits('allowed', peer, host.config)
    )
  }
  function demandMember(peer: string): void {
    if (!isMember(peer)) throw new ForbiddenError('your node is none of this fleet')
  }

  async function beat(): Promise<void> {
    if (watchdog != null) return watchdog.beat()
    // its library is for boards that somebody starts again
    const { startWatchdog } = await import('./release/watchdog.ts')
    watchdog = await startWatchdog({
      file: join(host.folder, slots.RELEASES, 'running'),
      boot: init.boot,
      seconds: config.watchdogSeconds
    })
    // the log may take its time, and it beats on
    if (watchdog.wasCutOff)
      releases.cutOff().catch((error: Error) => signal.aborted || log.error('cut off: %s', error.message))
  }

  const nonces = createNonces()
  const execute = createExecute({
    self,
    fleet: config.fleet,
    store: commandStore,
    nonces,
    opened: () => opened,
    document,
    confirmedMs: fleet.age,
    clock,
    isSwitchedOn: (device, name) => isSwitchedOn(host.folder, { device, name }, log),
    isSigned,
    now,
    settled,
    note: (device, body) => note(device, COMMAND, body as never),
    signal,
    log
  })
  const operator = createOperator({
    self,
    fleet: config.fleet,
    peers,
    execute,
    nonces,
    agentsOf(device) {
      const told = (document()?.agents ?? []).filter(agent =>
        fleet.heard(agent).state?.devices.some(({ id }) => id === device)
      )
      const known = standing(series.names(), document()?.agents ?? []).flatMap(({ agent, id }) =>
        id === device ? [agent] : []
      )
      return [...new Set([...told, ...known])]
    },
    carriers,
    mayPropose: peer => document()?.grants.some(each => each.peer === peer && each.risk === 3) === true,
    sign,
    now,
    changed: tell
  })

  const carrier = createCarrier({ fleet: config.fleet, peers, isMember, isSigned, now, signal, log })

  const operations: Pick<Own['operations'], keyof typeof fleetOperations | keyof typeof commandOperations> = {
    fleet() {
      const current = fleet.current()
      const signed = fleet.signed()
      const {
        version = 0,
        by,
        at,
        agents,
        groups,
        settings: wanted,
        grants,
        release
      } = current?.document ?? {}
      return {
        fleet: config.fleet,
        version,
        isOwner: owners().includes(self),
        owners: owners(),
        ...(current == null
          ? {}
          : { by, at, wishes: { agents, groups, settings: wanted, grants, release } as never }),
        ...(signed == null ? {} : { signed }),
        own: state(),
        agents: (agents ?? []).map(agent => {
          const isSelf = agent === self
          const heard = isSelf ? { version, state: state(), at: now() } : fleet.heard(agent)
          const isRight =
            heard.version === version &&
            heard.error == null &&
            heard.state?.settings.every(({ why }) => why == null) === true &&
            isRunning(heard.state.release)
          const { at: heardAt, ...rest } = heard
          return { agent, isRight, ...(heardAt == null ? {} : { heardAt }), ...rest }
        })
      }
    },
    async setFleet({ wishes, after }, call) {
      await settled()
      return { version: await fleet.issue(wishes, after, nameOfCaller(call.caller), call.signal) }
    },
    addRelease: ({ path }) => releases.add(path),
    async takeFleet({ signed }) {
      await settled()
      await fleet.take(signed as Signed)
      return { version: document()?.version ?? 0 }
    },
    command: ({ agent, second, ...wanted }, call) =>
      operator.command(
        { ...wanted, ...(agent == null ? {} : { agent }), ...(second == null ? {} : { second }) },
        nameOfCaller(call.caller),
        call.signal
      ),
    proposals: () => ({
      items: operator.proposals().map(({ isOwn, peer, command }) => {
        const { id, by, agent, device, name, args, expires } = command
        return { id, isOwn, peer, by, agent, device, name, args, expires }
      })
    }),
    approve: ({ id }, call) => operator.approve(id, call.signal),
    dismiss({ id }) {
      operator.dismiss(id)
      return {}
    }
  }

  const messages: Pick<
    Own['messages'] & object,
    'document' | 'release' | 'nonce' | 'perform' | 'carryNonce' | 'carry' | 'propose' | 'countersign'
  > = {
    async document(request, { peer }) {
      demandMember(peer)
      await settled()
      return fleet.answer(request, peer)
    },
    async release({ sha256, from }, { peer }) {
      demandMember(peer)
      return { bytes: await releases.read(sha256, from) }
    },
    nonce({ device, name }, { peer }) {
      demandMember(peer)
      const risk = execute.riskOf(device, name)
      if (risk == null) throw new UnknownDeviceError(`${device} is not here, or does not know "${name}"`)
      return { nonce: nonces.give(device), risk }
    },
    // what is begun goes on also where who asked goes away: asked again, it has its outcome
    perform: request => execute.execute(request as SignedCommand),
    carryNonce: (request, { peer, signal: until }) => carrier.nonce(request, peer, until),
    carry: (request, { peer }) => carrier.carry(request as SignedCommand, peer),
    propose({ bytes }, { peer }) {
      operator.propose(bytes, peer)
      return {}
    },
    countersign: ({ bytes }, { peer }) => ({ signature: operator.countersign(bytes, peer) })
  }

  return {
    operations,
    messages,
    command: operator.command,
    may(peer: string, what: { device: string; name: string; risk: Risk }): boolean {
      const wishes = document()
      if (peer === self && what.risk < 3) return true
      const { facts } = opened.get(what.device) ?? {}
      return wishes != null && grantsFor(wishes, { peer, facts, ...what }, now()).length > 0
    },
    /** Whether that node may see how some device here is. */
    isReader: (peer: string): boolean => isReader(document() ?? { grants: [] }, peer, now()),
    /** Nodes beside devices some of which this one may see. */
    readable(): string[] {
      const wishes = document()
      return wishes != null && isReader(wishes, self, now())
        ? wishes.agents.filter(each => each !== self)
        : []
    },
    /** Without devices of boards whose place others have taken. */
    standing: <T extends { agent: string; id: string }>(rows: readonly T[]): T[] =>
      standing(rows, document()?.agents ?? []),
    keepDays: () => own('keepDays'),
    budgetMb: () => own('budgetMb'),
    /** A device is here. */
    onOpened(id: string): void {
      execute
        .opened(id)
        .catch((error: Error) => signal.aborted || log.error('what was asked of %s: %s', id, error.message))
    },
    start(): void {
      host.repeat('fleet', ROUND_MS, async until => {
        await settled()
        await fleet.round(until)
      })
      host.repeat('settings', SETTINGS_MS, apply)
      host.repeat('release', SETTINGS_MS, releases.look)
      if (config.slot != null) host.repeat('watchdog', BEAT_MS, beat)
      host.repeat('forgetting commands', HOUR_MS, () => commandStore.tidy(now()))
    },
    stop: async () => watchdog?.end()
  }
}

/** It is what the fleet wants, and no longer on trial. Pure. */
const isRunning = ({ version, wanted, isOnTrial }: AgentState['release']): boolean =>
  !isOnTrial && (wanted == null || version === wanted)
