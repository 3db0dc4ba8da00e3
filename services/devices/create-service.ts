import { isAbsolute } from 'node:path'
import { admits, ConflictError, ForbiddenError, type HostOf, type ServiceOf } from '../host/index.ts'
import { createAlerts } from './alerts/create-alerts.ts'
import { createAlertStore } from './alerts/store.ts'
import { createWatch } from './alerts/watch.ts'
import { createCommandStore } from './commands/store.ts'
import type { DatabaseView } from './contract.ts'
import type { declaration } from './declaration.ts'
import { createAgent } from './delivery/agent.ts'
import { entryBefore } from './delivery/before.ts'
import { openChains } from './delivery/chains.ts'
import { createDeliveries } from './delivery/deliveries.ts'
import { createHashReceipts } from './delivery/hash-receipts.ts'
import { createHashWitness } from './delivery/hash-witness.ts'
import { createHeads } from './delivery/heads.ts'
import { createWitness } from './delivery/witness.ts'
import { ChainError, ExportPathError, UnknownDeviceError } from './errors.ts'
import { READ } from './fleet/document.ts'
import { createFleetStore } from './fleet/store.ts'
import { createFleetSide } from './fleet-side.ts'
import { createLive } from './live/live.ts'
import { pressureOf } from './log/budget.ts'
import type { ChainLog } from './log/chain-log.ts'
import { createFolderDisk } from './log/disk.ts'
import { createDriverDevices } from './log/driver-devices.ts'
import type { Body } from './log/entry.ts'
import { exportChain, exportHeads, verifyExport } from './log/export.ts'
import { chainsIn, folderOf } from './log/folders.ts'
import { createKeepRoom } from './log/keep-room.ts'
import { samplesOf } from './log/samples.ts'
import { MAX_CHAINS, type Peers, ROWS_AT_ONCE } from './messages.ts'
import { createSeen } from './series/changes.ts'
import { HOUR_MS, MINUTE_MS } from './series/rollups.ts'
import { MIGRATIONS } from './series/schema.ts'
import { createSeries } from './series/series.ts'
import { toJson } from './series/to-json.ts'
import { createClock } from './time/clock.ts'
import { createTroubles } from './troubles.ts'

type Declared = typeof declaration

const MB = 1_000_000
const MAX_SAMPLES = 10_000
const DAY_MS = 24 * HOUR_MS
const COMPARE_MS = 30_000
const TICK_MS = 10_000
const TELL_MS = 1_000
const MIRROR_MS = 1_000
/** Who watches from another node hears so often, and so many may. */
const WATCH_MS = 1_000
const MAX_WATCHERS = 32
const FIND_MS = 3_000
/** A year by hours is more than this; a page asks for what it can draw. */
const MAX_POINTS = 10_000

/** The service `devices` over what its host gives. */
export async function createService(host: HostOf<Declared>): Promise<ServiceOf<Declared>> {
  const { signal, now, log, isSigned, sign, config } = host
  const { self } = host.peers
  const database = host.database(MIGRATIONS)
  const alertStore = createAlertStore(database)
  const watch = createWatch({
    store: alertStore,
    now,
    devices() {
      const all = series.names()
      const now = new Set(fleet.standing(all))
      return all.map(each => ({ ...each, isPast: !now.has(each) }))
    }
  })
  const commandStore = createCommandStore(database, self)
  const series = createSeries(database, now, entry => {
    watch.onEntry(entry)
    commandStore.onEntry(entry)
  })
  const clock = createClock(now)
  const states = new Map<string, string>()
  const chains = await openChains({
    self,
    isSigned,
    disk: chain => createFolderDisk(folderOf(host.folder, chain)),
    there: await chainsIn(host.folder),
    onFound({ agent, number }, what) {
      log.error('%s/%d: %s', agent, number, what)
      host.degraded('log', `${agent}/${number}: ${what}`)
    }
  })
  const troubles = createTroubles({ chains, series, now, degraded: host.degraded })
  troubles.missing()
  const live = createLive({
    agents: () => fleet.readable().filter(each => chains.of(each).length === 0),
    async *ask(peer, until) {
      for await (const { rows } of host.peers.open(peer, 'watch', {}, { signal: until }).items) yield rows
    },
    changed: () => seen.news(),
    signal,
    log
  })
  const seen = createSeen({
    series,
    others: live,
    standing: rows => fleet.standing(rows),
    chains,
    signal,
    onError: error => host.degraded('history', error?.message)
  })
  const peers: Peers = {
    find: () => host.peers.find({ signal, deadlineMs: FIND_MS }),
    ask: (peer, kind, request, options) => host.peers.ask(peer, kind, request as never, options) as never
  }
  // what this node says itself comes from itself only
  const keeps = (agent: string): boolean => agent !== self && admits('allowed', agent, host.config)
  const pressure = () => pressureOf(chains.bytes(), fleet.budgetMb() * MB)
  const witness = createWitness({
    chains,
    sign,
    isSigned,
    now,
    keeps,
    hasRoom: () => pressure() === 'none',
    onWritten: () => seen.news(),
    onFork(chain, batch) {
      series.forks.save(chain, batch)
      troubles.fork(chain.agent, chain.number)
    },
    log
  })
  const heads = createHeads(database)
  const hashWitness = createHashWitness({
    self,
    heads,
    sign,
    isSigned,
    now,
    onFork: troubles.fork
  })
  const agent = await createAgent({
    self,
    fleet: config.fleet,
    chains,
    peers,
    witnesses: () => config.witnessPeers,
    receipts: series.receipts,
    sign,
    isSigned,
    moment: clock.moment,
    onWritten() {
      deliveries?.wake()
      seen.news()
    },
    alert: host.degraded,
    log
  })
  const hashReceipts = createHashReceipts({
    agent,
    heads,
    peers,
    isSigned,
    witnesses: () => host.config.hashWitnessPeers,
    onState: (peer, why) => host.degraded(`hash witness ${peer}`, why)
  })
  const drivers = createDriverDevices({
    record: agent.record,
    pressure,
    described: id => series.device(self, id)?.about,
    async latest(id, kind) {
      await seen.caughtUp()
      return series.latest(self, id, kind)
    },
    async before(id, kind) {
      const { beforePeers: boards, witnessPeers: witnesses } = config
      const entry = await entryBefore({ boards, witnesses, peers, isSigned, log }, id, kind, signal)
      return entry && (JSON.parse(toJson(entry.body)) as Body)
    },
    samples: (id, from) => samplesOf(agent.log, id, from, MAX_SAMPLES),
    onOpened: id => fleet.onOpened(id)
  })
  const fleet = await createFleetSide({
    host,
    series,
    fleetStore: createFleetStore(database, config.fleet),
    commandStore,
    peers,
    opened: drivers.opened,
    note: drivers.note,
    isWitnessed: ({ number, seq }) =>
      config.witnessPeers.length === 0 || series.receipts.of(number).some(each => each.seq >= seq),
    async settled() {
      await agent.flush()
      await seen.caughtUp()
    },
    boot: clock.moment().boot,
    clock: () => clock.moment().clock
  })
  const alerts = createAlerts({
    store: alertStore,
    self,
    settings: () => host.config,
    areTold: (peer, keys, step) => peers.ask(peer, 'told', { keys, step }, { signal }),
    sign,
    now,
    onState: reason => host.degraded('receivers', reason),
    changed: () => host.tell('alerts', {}),
    log
  })
  const mirror = config.mirrorFile == null ? undefined : await openMirror(config.mirrorFile)
  const room = createKeepRoom({
    db: database,
    chains,
    self,
    now,
    keepMs: () => fleet.keepDays() * DAY_MS,
    pressure,
    isDelivered: (number, seq) => seq <= agent.delivered() || number < agent.log.chain.number,
    log
  })
  // before the drivers: what they announce is compared with what is known
  await seen.caughtUp()
  let deliveries: ReturnType<typeof createDeliveries> | undefined
  let watchers = 0

  /** What this node shares: its own log with its witnesses, all with those that its owner allows. */
  function admit(peer: string): void {
    if (!keeps(peer) && !config.witnessPeers.includes(peer))
      throw new ForbiddenError('the logs of this node are not for yours')
  }

  async function keepRoom(): Promise<void> {
    await room.round()
    const state = pressure()
    host.degraded(
      'room',
      state === 'none'
        ? undefined
        : state === 'thin'
          ? 'the log is as large as it may be: one sample of ten is kept'
          : 'the log is larger than it may be: only accounts are kept'
    )
    await drivers.writeGaps()
  }

  async function lookAtClock(): Promise<void> {
    const { jump, clock: state } = clock.look()
    if (jump != null) room.moved(jump.toMs - jump.fromMs)
    if (jump != null || state != null)
      await drivers.agent('clock', { ...jump, ...(state == null ? {} : { state }) })
  }

  async function scrub(): Promise<void> {
    let wrong = 0
    for (const each of chains.all()) wrong += await each.scrub(signal)
    if (wrong === 0) host.degraded('log', undefined)
    troubles.missing()
  }

  async function compare(): Promise<void> {
    await agent.repair(signal)
    for await (const peer of peers.find()) {
      try {
        await witness.compare(peer, peers, signal)
      } catch (error) {
        log('nothing is compared with %s: %s', peer, (error as Error).message)
      }
    }
    troubles.missing()
  }

  async function openMirror(file: string) {
    // its library is for those that have a database
    const { createMirror, readMirrorUrl } = await import('./mirror/mirror.ts')
    return createMirror(await readMirrorUrl(file), chains, config.mirrorCall)
  }

  function chainOf(of: string, number?: number): ChainLog {
    const found = chains.of(of).findLast(each => number == null || each.chain.number === number)
    if (found == null) throw new UnknownDeviceError(`this node keeps no log ${number ?? ''} of ${of}`)
    return found
  }

  return {
    api: {
      ...drivers.devices,
      command: fleet.command,
      may: fleet.may,
      show: (view: DatabaseView) => mirror?.show(view)
    },

    operations: {
      ...alerts.operations,
      ...fleet.operations,
      async list() {
        live.look()
        await Promise.all([seen.caughtUp(), live.answered()])
        return { items: seen.devices() }
      },
      async history({ device, reading, step, from, to }) {
        await seen.caughtUp()
        const stepMs = step === 'hour' ? HOUR_MS : MINUTE_MS
        return { points: series.points(device, reading, stepMs, from, to, MAX_POINTS) }
      },
      async events({ device, before, limit }) {
        await seen.caughtUp()
        return { items: series.events(device, before ?? now() + DAY_MS, limit) }
      },

      status() {
        const { number } = agent.log.chain
        const receipts = series.receipts.of(number)
        const forked = new Set(series.forks.all().map(each => `${each.agent}/${each.number}`))
        return {
          fleet: config.fleet,
          own: { number, last: agent.log.head.seq, delivered: agent.delivered() },
          witnesses: [
            ...config.witnessPeers.map(peer => ({ peer, error: states.get(peer), isHashOnly: false })),
            ...hashReceipts.states()
          ].map(({ peer, error, isHashOnly }) => {
            const { seq = -1, timeMs: at } =
              (isHashOnly
                ? heads.newest(agent.log.chain, peer)
                : receipts.find(each => each.witness === peer)) ?? {}
            return {
              ...{ peer, seq, isHashOnly },
              ...(at == null ? {} : { at }),
              ...(error == null ? {} : { error })
            }
          }),
          chains: chains.all().map(({ chain, first, head, bytes, holes }) => ({
            ...chain,
            first,
            last: head.seq,
            bytes,
            missing: holes.reduce((sum, { from, to }) => sum + to - from + 1, 0),
            ahead: series.ahead.count(chain),
            isForked: forked.has(`${chain.agent}/${chain.number}`)
          })),
          bytes: chains.bytes(),
          budgetBytes: fleet.budgetMb() * MB,
          pressure: pressure()
        }
      },

      async reconcile(_, { signal: until }) {
        if (mirror == null)
          throw new ConflictError('this node mirrors nothing; set devices.mirrorFile, see its README')
        const items = await mirror.reconcile(until)
        return {
          isRight: items.every(({ missing, wrong, unknown }) => missing + wrong + unknown === 0),
          items
        }
      },

      async follow({ device }, call) {
        live.look()
        await live.answered()
        for await (const changed of seen.changes(call.signal)) {
          live.look()
          await call.send({ items: changed.filter(({ id }) => device == null || id === device) })
        }
        return {}
      },

      async export({ path, agent: of = self, number }, call) {
        if (!isAbsolute(path)) throw new ExportPathError(`${path} is relative; write the whole path`)
        const signed = { agent: of, number: number ?? heads.chains(of).at(-1) ?? 0 }
        const there = chains.of(of).length > 0 ? [] : heads.of(signed)
        if (there.length > 0) {
          await exportHeads(signed, there, path)
          return { path, entries: 0, heads: there.length }
        }
        const log = chainOf(of, number)
        const receipts = of === self ? [...series.receipts.of(log.chain.number), ...heads.of(log.chain)] : []
        return { path, entries: await exportChain(log, receipts, path, call.signal) }
      },
      verify: ({ path, against }) => verifyExport(path, isSigned, against)
    },

    messages: {
      ...fleet.messages,
      append: (request, { peer }) => witness.append(peer, request),
      attest(request, { peer }) {
        if (!host.config.hashWitnessFor.includes(peer))
          throw new ForbiddenError('this node signs no hashes of yours, see devices.hashWitnessFor')
        return hashWitness.attest(peer, request)
      },
      chains({ agent: of, after = 0 }, { peer }) {
        admit(peer)
        const kept = of == null ? chains.all() : chains.of(of)
        return {
          chains: kept
            .filter(({ head }) => head.seq >= 0)
            .slice(after, after + MAX_CHAINS)
            .map(({ chain, first, head }) => ({ ...chain, first, ...head }))
        }
      },
      told({ keys, step }, { peer }) {
        if (!config.alertPeers.includes(peer))
          throw new ForbiddenError('the alerts of this node are not for yours')
        return alertStore.areTold(keys, step)
      },
      async watch(_, { peer, send, signal: until }) {
        if (watchers === MAX_WATCHERS)
          throw new ForbiddenError(`${MAX_WATCHERS} nodes watch the devices of this one already`)
        watchers++
        try {
          for await (const changed of seen.changes(until, WATCH_MS)) {
            // each time, as what is granted changes
            if (!fleet.isReader(peer)) throw new ForbiddenError('no grant lets your node read devices here')
            const rows = changed.filter(
              row => row.agent === self && fleet.may(peer, { device: row.id, name: READ, risk: 0 })
            )
            for (let i = 0; i === 0 || i < rows.length; i += ROWS_AT_ONCE)
              await send({ rows: rows.slice(i, i + ROWS_AT_ONCE) })
          }
          return {}
        } finally {
          watchers--
        }
      },
      async latest({ agent: of, device, kind }, { peer }) {
        admit(peer)
        await seen.caughtUp()
        const place = series.placeOf(of, device, kind)
        if (place == null) return { number: 0 }
        const { number, seq } = place
        const batch = await chains.find({ agent: of, number })?.read(seq)
        if (batch == null) throw new ChainError(seq, `entry ${seq} of ${of} is damaged here, or let go`)
        return { number, batch: { ...batch, entries: [...batch.entries] } }
      },
      async read({ agent: of, number, from }, { peer }) {
        admit(peer)
        const batch = await chains.find({ agent: of, number })?.read(from)
        return { batch: batch && { ...batch, entries: [...batch.entries] } }
      }
    },

    start() {
      let toldRevision = alertStore.revision()
      void agent.start(signal)
      deliveries = createDeliveries({
        agent,
        witnesses: config.witnessPeers,
        isHere: peer => host.peers.addressOf(peer) != null,
        signal,
        onState(peer, why) {
          if (why == null) states.delete(peer)
          else states.set(peer, why)
          host.degraded(`witness ${peer}`, why)
        },
        log
      })
      host.announce(true)
      fleet.start()
      host.repeat('room', TICK_MS, keepRoom)
      host.repeat('clock', TICK_MS, lookAtClock)
      host.repeat('clocks of others', TICK_MS, troubles.ahead)
      host.repeat('hashes', TICK_MS, hashReceipts.round)
      host.repeat('comparing', COMPARE_MS, compare)
      host.repeat('verifying', DAY_MS, scrub)
      host.repeat('tidying', HOUR_MS, () => {
        series.tidy()
        alertStore.tidy(now())
      })
      host.repeat('rules', TELL_MS, () => {
        watch.onTick()
        host.degraded('alerts', watch.reason())
      })
      host.repeat('telling of alerts', TELL_MS, alerts.round)
      if (mirror != null) host.repeat('mirror', MIRROR_MS, until => mirror.catchUp(until))
      host.repeat('telling', TELL_MS, async until => {
        for await (const items of seen.changes(until)) if (items.length > 0) host.tell('changed', { items })
      })
      host.repeat('changes of alerts', TELL_MS, () => {
        if (alertStore.revision() !== toldRevision) host.tell('alerts', {})
        toldRevision = alertStore.revision()
      })
    },

    async stop() {
      await agent.flush()
      await deliveries?.ended()
      await seen.ended()
      await alerts.close()
      await mirror?.close()
      await chains.close()
      await fleet.stop()
    }
  }
}
