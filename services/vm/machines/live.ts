import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Desired, Machine, State, Uuid } from '../contract.ts'
import { type Course, decide, type Observed, type Step, stateOf } from '../core/decide.ts'
import { QemuError } from '../errors.ts'
import { type Link, plugIn } from '../network/link.ts'
import { type Launch, macOf } from '../qemu/arguments.ts'
import { type Console, createConsole } from '../qemu/console.ts'
import { complaint, type Identity, isAlive, kill, launchQemu, sockets } from '../qemu/process.ts'
import { connectQmp, type Qmp, type QmpEvent } from '../qemu/qmp.ts'
import type { Context } from './context.ts'

/** QEMU answers within this, or counts as silent: also on a host that is so busy that it stands still for seconds. */
const HEARTBEAT_MS = 5_000
const SOCKET_MS = 15_000
const SOCKET_LOOK_MS = 5

/** What this node knows of one machine beside the database: process, protocol, console. */
export interface Live {
  readonly console: Console
  /** where the machine runs and has a network card */
  readonly link: Link | undefined
  readonly qmp: Qmp | undefined
  readonly identity: Identity | undefined
  operation: Course['operation']
  stopAskedAt: number | undefined
  /** what is wrong with its disks, and what to do; as it was found when they were looked at last */
  damage: string | undefined
  /** until then a guest may power down because an earlier run of the node, which was cut off, has asked it to */
  interruptedUntil: number
  /** the guest powered itself down */
  readonly hasPoweredDown: boolean
  /** it ended unasked since this node runs */
  readonly hasCrashed: boolean
  observe(): Observed
  state(machine: Machine): State
  step(machine: Machine): Step
  adopt(identity: Identity): void
  launch(launch: Launch): Promise<void>
  /** connects to QEMU where it is not connected; @throws QemuError */
  attach(signal?: AbortSignal): Promise<Qmp>
  /** @throws QemuError where the machine does not run or does not answer */
  ask<T = unknown>(command: string, args?: object, ms?: number): Promise<T>
  heartbeat(): Promise<void>
  /** ends the process, by force where it does not end when told to */
  end(force: boolean): Promise<void>
  /** waits for an event of QEMU from now on */
  expect(matches: (event: QmpEvent) => boolean, ms: number): Promise<QmpEvent>
  detach(): void
}

/** @param onChange told after every change of what is seen */
export function createLive(uuid: Uuid, context: Context, onChange: () => void): Live {
  const run = join(context.machineFolder(uuid), 'run')
  const paths = sockets(run)
  const log = join(context.machineFolder(uuid), 'qemu.log')
  const console = createConsole()
  const crashes: number[] = []
  const listeners = new Set<(event: QmpEvent) => void>()
  let identity: Identity | undefined
  let qmp: Qmp | undefined
  let link: Link | undefined
  let attaching: Promise<Qmp> | undefined
  let status: Observed['qmp'] = 'absent'
  /** of the status, that QEMU told by itself */
  let changes = 0
  let isEnding = false
  let hasPoweredDown = false

  function set(next: Observed['qmp']) {
    if (status === next) return
    status = next
    onChange()
  }

  function hear(event: QmpEvent) {
    for (const listener of listeners) listener(event)
    if (event.event === 'SHUTDOWN' && (event.data.guest === true || live.stopAskedAt !== undefined)) {
      const isLate = context.now() < live.interruptedUntil
      hasPoweredDown = !isLate
      isEnding ||= isLate
    }
    const next = told(event)
    if (next === undefined) return
    changes++
    set(next)
  }

  function told({ event, data }: QmpEvent): Observed['qmp'] | undefined {
    if (event === 'STOP') return status === 'io-error' ? 'io-error' : 'paused'
    if (event === 'RESUME') return 'running'
    return event === 'BLOCK_IO_ERROR' && data.nospace === true ? 'io-error' : undefined
  }

  /** Looks whether the process is still there; its end is noticed once. */
  function look(): boolean {
    if (identity === undefined) return false
    if (isAlive(identity)) return true
    identity = undefined
    qmp?.close()
    qmp = undefined
    status = 'absent'
    console.close()
    link?.close()
    link = undefined
    if (!isEnding && !hasPoweredDown) crashes.push(context.now())
    live.stopAskedAt = undefined
    onChange()
    return false
  }

  async function connect(signal?: AbortSignal): Promise<Qmp> {
    const deadline = Date.now() + SOCKET_MS
    while (!existsSync(paths.qmp) || !existsSync(paths.serial)) {
      signal?.throwIfAborted()
      if (!look()) throw new QemuError(`QEMU ended at once: ${complaint(log)}`)
      if (Date.now() > deadline) throw new QemuError(`QEMU opened no socket within ${SOCKET_MS} ms`)
      await wait(SOCKET_LOOK_MS)
    }
    const connected = await connectQmp(paths.qmp, hear, { signal, ms: SOCKET_MS })
    qmp = connected
    console.attach(paths.serial)
    link?.close()
    link = existsSync(paths.net) ? plugIn(paths.net, macOf(uuid)) : undefined
    connected.closed.then(async () => {
      if (qmp !== connected) return
      qmp = undefined
      status = 'absent'
      // the socket closes a few ms before the process is gone
      for (let left = 100; left > 0 && identity !== undefined && isAlive(identity); left--)
        await wait(SOCKET_LOOK_MS)
      look()
      onChange()
    })
    await beat(connected)
    return connected
  }

  async function beat(asked: Qmp) {
    const before = changes
    try {
      const answer = await asked.run<{ status: string }>('query-status', {}, { ms: HEARTBEAT_MS })
      // what it told meanwhile is as new or newer: an answer is taken up later than an event that comes right behind it
      if (asked === qmp && changes === before) set(answer.status)
    } catch (error) {
      if (asked !== qmp) return
      context.log('machine %s does not answer: %s', uuid, (error as Error).message)
      set('silent')
    }
  }

  const course = ({ owner }: Machine): Course => ({
    ...{ operation: live.operation, stopAskedAt: live.stopAskedAt, crashes },
    isUnpaid: context.unpaid.has(owner),
    isCorrupt: live.damage !== undefined
  })

  /** One that is logged out runs on; once it has ended it waits for AUTH. */
  const wanted = ({ authenticated, desired }: Machine): Desired =>
    authenticated || desired === 'removed' || look() ? desired : 'stopped'

  const live: Live = {
    console,
    get link() {
      return link
    },
    get qmp() {
      return qmp
    },
    get identity() {
      return identity
    },
    get hasPoweredDown() {
      return hasPoweredDown
    },
    get hasCrashed() {
      return crashes.length > 0
    },
    operation: undefined,
    stopAskedAt: undefined,
    damage: undefined,
    interruptedUntil: 0,
    observe: () => ({ isAlive: look(), qmp: status }),
    state: machine => stateOf(wanted(machine), live.observe(), course(machine), context.now()),
    step: machine => decide(wanted(machine), live.observe(), course(machine), context.now()),
    adopt(found) {
      identity = found
    },
    async launch(launch) {
      isEnding = false
      hasPoweredDown = false
      live.stopAskedAt = undefined
      identity = await launchQemu(context.programs, { run, layer: context.layerFile, log }, launch)
      await live.attach()
    },
    attach(signal) {
      if (qmp !== undefined) return Promise.resolve(qmp)
      attaching ??= connect(signal).finally(() => {
        attaching = undefined
      })
      return attaching
    },
    async ask(command, args, ms) {
      if (!look()) throw new QemuError('the machine does not run')
      return (await live.attach()).run(command, args, { ms })
    },
    async heartbeat() {
      if (look() && qmp !== undefined) await beat(qmp)
    },
    async end(force) {
      if (!look()) return
      isEnding = true
      if (!force) await qmp?.run('quit').catch((error: Error) => context.log('quit: %s', error.message))
      const deadline = Date.now() + (force ? 0 : 3_000)
      while (Date.now() < deadline && look()) await wait(SOCKET_LOOK_MS)
      if (identity !== undefined) kill(identity)
      for (let left = 1_000; left > 0 && look(); left--) await wait(SOCKET_LOOK_MS)
      if (look()) throw new QemuError('QEMU does not end, not even when killed')
    },
    expect(matches, ms) {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          listeners.delete(listener)
          reject(new QemuError(`QEMU told nothing within ${ms} ms`))
        }, ms)
        const listener = (event: QmpEvent) => {
          if (!matches(event)) return
          clearTimeout(timer)
          listeners.delete(listener)
          resolve(event)
        }
        listeners.add(listener)
      })
    },
    detach() {
      qmp?.close()
      console.close()
      link?.close()
    }
  }
  return live
}
