import { statfs } from 'node:fs/promises'
import { freemem } from 'node:os'
import { setTimeout as wait } from 'node:timers/promises'
import type { Machine, Shape, State, Uuid } from '../contract.ts'
import { POWER_DOWN_MS, QUIT_MS } from '../core/decide.ts'
import { AuthError, NotFoundError, QuotaError, StateError } from '../errors.ts'
import type { Launch } from '../qemu/arguments.ts'
import { findRunning } from '../qemu/process.ts'
import { leftLayers } from '../store/layers.ts'
import * as records from '../store/records.ts'
import { type Context, HOST } from './context.ts'
import { lookAtDisks, needSound } from './damage.ts'
import { plugMissing } from './hotplug.ts'
import { createLive, type Live } from './live.ts'
import { dropLayer } from './memory.ts'
import { undoFreeze } from './undo-freeze.ts'

const HEARTBEAT_EVERY_MS = 1_000
const RECONCILE_EVERY_MS = 10_000
/** The host keeps this for itself. */
const RESERVE_MB = 256
const LOOK_MS = 20

export interface Power {
  live(uuid: Uuid): Live
  state(machine: Machine): State
  start(caller: string, id: string): Promise<void>
  stop(caller: string, id: string, options?: { force?: boolean }): Promise<void>
  reboot(caller: string, id: string): Promise<void>
  pause(caller: string, id: string): Promise<void>
  resume(caller: string, id: string): Promise<void>
  /** Ends the machine within an operation that already holds it. */
  shutDown(machine: Machine, force: boolean): Promise<void>
  /** Starts it within an operation that already holds it; with `incoming` it waits for the state of a guest of that shape. */
  launch(machine: Machine, incoming?: Shape): Promise<Live>
  /** Adopts what runs, repairs what an earlier run left half done, and brings every machine to what is wanted. */
  begin(signal: AbortSignal): Promise<void>
  /** Finds what runs already, and brings every machine to what is wanted. */
  adopt(): Promise<void>
  /** One look at every machine. */
  reconcile(): Promise<void>
  /** A look at one of them, soon. */
  soon(uuid: Uuid): void
  /** How long `end` may take; nothing runs, no time. */
  endMs(): number
  /** Stops every guest; what is wanted of it stays, so that it starts with the node. */
  end(): Promise<void>
  /** Leaves the guests running, closes the connections. */
  detach(): void
}

export function createPower(context: Context): Power {
  const { database: db } = context
  const lives = new Map<Uuid, Live>()
  let isClosed = false

  function live(uuid: Uuid): Live {
    let known = lives.get(uuid)
    if (known === undefined) {
      known = createLive(uuid, context, () => {
        if (!isClosed) soon(uuid)
      })
      lives.set(uuid, known)
    }
    return known
  }

  const pending = new Set<Uuid>()
  /** One look after whatever just happened; several happenings at once need one look. */
  function soon(uuid: Uuid) {
    if (pending.has(uuid)) return
    pending.add(uuid)
    setImmediate(() => {
      pending.delete(uuid)
      if (isClosed) return
      bringNearer(uuid).catch((error: Error) => context.log.error('machine %s: %e', uuid, error))
    })
  }

  async function launchOf(machine: Machine, incoming?: Shape): Promise<Launch> {
    const disks = await records.disksOf(db, machine.uuid)
    const { boot, cloudInit } = machine.spec
    return {
      uuid: machine.uuid,
      ramMb: incoming?.ramMb ?? machine.ramMb,
      cpu: incoming?.cpu ?? machine.cpu,
      accelerator: context.programs.accelerator,
      disks: await Promise.all(
        disks.map(async ({ uuid, top }) => ({
          disk: uuid,
          layers: await records.chainOf(db, top),
          slot: incoming?.slots.find(({ disk }) => disk === uuid)?.slot
        }))
      ),
      kernel: boot.kind === 'kernel' ? boot : undefined,
      seed: cloudInit?.seed,
      hasNetwork: machine.spec.hasNetwork ?? false,
      isIncoming: incoming !== undefined
    }
  }

  async function launch(machine: Machine, incoming?: Shape): Promise<Live> {
    if (!machine.authenticated)
      throw new AuthError(`machine ${machine.id} is not authenticated; AUTH it first`)
    context.needFit(machine.owner)
    // a guest that goes on gets nothing that it had not before
    const figures = incoming === undefined ? machine.pending : undefined
    if (figures !== undefined)
      await records.updateMachine(db, machine.uuid, { ...figures, pending: undefined })
    const current = { ...machine, ...figures }
    const freeMb = Math.floor(freemem() / 2 ** 20) - RESERVE_MB
    if (current.ramMb > freeMb)
      throw new QuotaError(
        `machine ${machine.id} needs ${current.ramMb} MB; this host has ${Math.max(0, freeMb)} MB free`
      )
    const handle = live(machine.uuid)
    if (handle.damage !== undefined) await needSound(context, handle, machine)
    try {
      await handle.launch(await launchOf(current, incoming))
    } catch (error) {
      // QEMU takes no disk that it finds damaged
      await needSound(context, handle, machine)
      throw error
    }
    await context.note(machine.uuid, 'started', `${current.ramMb} MB, ${current.cpu} CPUs`)
    return handle
  }

  async function shutDown(machine: Machine, force: boolean): Promise<void> {
    const handle = live(machine.uuid)
    const seen = handle.observe()
    if (!seen.isAlive) return
    if (!force && seen.qmp === 'running') {
      handle.stopAskedAt = context.now()
      await handle.ask('system_powerdown')
      const deadline = Date.now() + POWER_DOWN_MS
      while (Date.now() < deadline && handle.observe().isAlive) await wait(LOOK_MS)
    }
    await handle.end(force || seen.qmp === 'silent')
    await context.note(machine.uuid, 'stopped', force ? 'by force' : '')
  }

  /** Does the one step that `decide` names. */
  async function bringNearer(uuid: Uuid): Promise<void> {
    const machine = await records.machineByUuid(db, uuid)
    if (machine === undefined) return
    const handle = live(uuid)
    if (
      handle.operation === undefined &&
      handle.hasPoweredDown &&
      machine.desired !== 'stopped' &&
      !handle.observe().isAlive
    ) {
      // who powers down his own machine wants it off
      await records.updateMachine(db, uuid, { desired: 'stopped' })
      await context.describe(uuid)
      await context.note(uuid, 'powered-down')
      return
    }
    switch (handle.step(machine)) {
      case 'start':
        await context.hold(HOST, machine, 'restart', async () => {
          // whoever held it until now may have wanted something else
          const current = await records.machineByUuid(db, uuid)
          if (current === undefined || handle.step(current) !== 'start') return
          handle.operation = 'start'
          try {
            // how it ended is not known, and nobody reads why a start is refused
            await lookAtDisks(context, handle, current)
            if (handle.damage === undefined) await launch(current)
          } finally {
            handle.operation = undefined
          }
        })
        break
      case 'attach':
        await handle.attach()
        await context.hold(HOST, machine, 'adoption', async () => {
          await undoFreeze(context, handle, machine)
          await plugMissing(context, handle, machine)
        })
        await context.note(uuid, 'adopted', `pid ${handle.identity?.pid}`)
        soon(uuid)
        break
      case 'pause':
        await handle.ask('stop')
        break
      case 'resume':
        if (handle.observe().qmp !== 'io-error') await handle.ask('cont')
        else if (await hasRoom()) {
          await handle.ask('cont')
          await context.note(uuid, 'resumed', 'there is room again')
        }
        break
      case 'power-down':
        handle.stopAskedAt = context.now()
        await handle.ask('system_powerdown')
        break
      case 'quit':
        await handle.end(false)
        break
      case 'kill':
        await handle.end(true)
        break
      case 'nothing':
        break
    }
  }

  async function hasRoom(): Promise<boolean> {
    const { bavail, bsize } = await statfs(context.folder)
    return bavail * bsize > 16 * 2 ** 20
  }

  async function within(
    caller: string,
    id: string,
    kind: 'start' | 'stop' | 'other',
    name: string,
    work: (machine: Machine, handle: Live) => Promise<void>
  ) {
    const { uuid } = await context.find(caller, id, 'power')
    const first = await records.machineByUuid(db, uuid)
    await context.hold(caller, first!, name, async () => {
      const handle = live(uuid)
      // what held it before may have changed it
      const machine = await records.machineByUuid(db, uuid)
      if (!machine?.active) throw new NotFoundError(`there is no machine ${id}`)
      handle.operation = kind
      try {
        await work(machine, handle)
      } finally {
        handle.operation = undefined
      }
    })
  }

  function running(machine: Machine, handle: Live) {
    if (!handle.observe().isAlive) throw new StateError(machine.id, handle.state(machine), 'start it first')
  }

  /** What a crash cut off: layers of nothing go, folders say what the database says. Each is the matter of one machine. */
  async function tidy() {
    const logged = (what: string) => (error: Error) => context.log.error('%s: %e', what, error)
    for (const layer of await leftLayers(db)) await dropLayer(context, layer).catch(logged(layer))
    const machines = await records.machinesWithFolder(db)
    await Promise.all(machines.map(uuid => context.describe(uuid).catch(logged(uuid))))
  }

  return {
    live,
    soon,
    state: machine => live(machine.uuid).state(machine),
    shutDown,
    launch,
    start: (caller, id) =>
      within(caller, id, 'start', 'start', async (machine, handle) => {
        if (handle.observe().isAlive) {
          await records.updateMachine(db, machine.uuid, { desired: 'running' })
          await handle.ask('cont')
          return
        }
        await launch(machine)
        await records.updateMachine(db, machine.uuid, { desired: 'running' })
      }),
    stop: (caller, id, { force = false } = {}) =>
      within(caller, id, 'stop', force ? 'forced stop' : 'stop', async machine => {
        await records.updateMachine(db, machine.uuid, { desired: 'stopped' })
        await shutDown(machine, force)
      }),
    reboot: (caller, id) =>
      within(caller, id, 'stop', 'reboot', async (machine, handle) => {
        running(machine, handle)
        await shutDown(machine, false)
        await records.updateMachine(db, machine.uuid, { desired: 'running' })
        await launch(machine)
      }),
    pause: (caller, id) =>
      within(caller, id, 'other', 'pause', async (machine, handle) => {
        running(machine, handle)
        await records.updateMachine(db, machine.uuid, { desired: 'paused' })
        await handle.ask('stop')
      }),
    resume: (caller, id) =>
      within(caller, id, 'other', 'resume', async (machine, handle) => {
        running(machine, handle)
        await records.updateMachine(db, machine.uuid, { desired: 'running' })
        await handle.ask('cont')
      }),
    async begin(signal) {
      for (const { machine, kind } of await records.staleHolds(db, context.epoch)) {
        live(machine).interruptedUntil = context.now() + POWER_DOWN_MS
        await context.note(machine, 'interrupted', kind)
      }
      await tidy()
      await this.adopt()
      const every = (ms: number, work: () => Promise<void>) => {
        const timer = setInterval(
          () => void work().catch((error: Error) => context.log.error('machines: %e', error)),
          ms
        )
        signal.addEventListener('abort', () => clearInterval(timer), { once: true })
      }
      every(HEARTBEAT_EVERY_MS, async () => {
        await Promise.all([...lives.values()].map(handle => handle.heartbeat()))
        for (const [uuid, handle] of lives) if (handle.hasCrashed && !handle.observe().isAlive) soon(uuid)
      })
      every(RECONCILE_EVERY_MS, () => this.reconcile())
    },
    async adopt() {
      const machines = await records.activeMachines(db)
      const running = findRunning(context.programs.qemu, new Set(machines.map(({ uuid }) => uuid)))
      for (const [uuid, identity] of running)
        if (live(uuid).identity === undefined) live(uuid).adopt(identity)
      const suspects = await records.everCorrupt(db)
      await Promise.all(suspects.map(machine => lookAtDisks(context, live(machine.uuid), machine)))
      await this.reconcile()
    },
    async reconcile() {
      const machines = await records.activeMachines(db)
      await Promise.all(
        machines.map(({ uuid }) =>
          bringNearer(uuid).catch((error: Error) => context.log.error('machine %s: %e', uuid, error))
        )
      )
    },
    endMs: () =>
      [...lives.values()].some(handle => handle.observe().isAlive) ? POWER_DOWN_MS + 2 * QUIT_MS : 0,
    async end() {
      const machines = await records.activeMachines(db)
      await Promise.all(
        machines.map(async machine => {
          const handle = live(machine.uuid)
          // nothing starts it again
          handle.operation = 'stop'
          await shutDown(machine, false).catch((error: Error) =>
            context.log.error('machine %s: %e', machine.id, error)
          )
        })
      )
    },
    detach() {
      isClosed = true
      for (const handle of lives.values()) handle.detach()
    }
  }
}
