import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { findTools } from '../../sandbox/index.ts'
import { type Health, slots } from '../../services/index.ts'
import { copyDatabases, dropCopies, putBackDatabases } from '../database-copies.ts'
import { lockFolder } from '../lock.ts'
import { VERSION } from '../version.ts'
import { become, INSTALLED, ownArguments, RUN_FLAG, type RunAs, type TrialNews } from './run-as.ts'

const LOOK_MS = 250
/** A program that says nothing for so long hangs. */
const SILENT_MS = 10_000
/** ms in which a program that was told to end has ended */
const END_MS = 10_000
const { givenUp, kept, readState, startOf, writeState } = slots

/**
 * Becomes the release that stands in the data folder, and tries first what is on trial there: that runs beside this process,
 * with its doors shut, and what ran before takes its place again where it does not work. Returns where what was installed
 * is to run, which is this program.
 *
 * @throws {LockError} a node runs in the folder
 */
export async function runRelease(data: string): Promise<void> {
  const folder = join(data, slots.RELEASES)
  for (;;) {
    const state = await settled(data, folder)
    if (state.current == null && state.trial == null) return
    const { slot, program = INSTALLED, state: next } = await startOf(folder, state)
    if (next !== state) await writeState(folder, next)
    // it was given up just now
    if (next.putBack) continue
    const as: RunAs = { slot: slot ?? 'base', installed: INSTALLED, isOnTrial: next.trial != null }
    const args = [...ownArguments(), `${RUN_FLAG}=${JSON.stringify(as)}`]
    if (next.trial != null) await tryOut(data, folder, next, [program, ...args])
    else if (slot == null) return
    else become(program, args)
  }
}

/** The state, once what was to be put back is where it was. */
async function settled(data: string, folder: string): Promise<slots.SlotState> {
  const state = await readState(folder)
  // another program was installed since: it is newer than what took its place
  if (state.installed != null && state.installed !== VERSION && state.trial == null && !state.putBack) {
    const { current, former, installed, ...rest } = state
    await writeState(folder, rest)
    return rest
  }
  if (!state.putBack) return state
  using _ = locked(data)
  await putBackDatabases(data)
  const { putBack, ...rest } = state
  await writeState(folder, rest)
  return rest
}

/** Runs the program on trial until it is known to work, and ends it either way. */
async function tryOut(
  data: string,
  folder: string,
  state: slots.SlotState,
  args: readonly string[]
): Promise<void> {
  let trial = state.trial!
  if (!trial.isCopied) {
    try {
      using _ = locked(data)
      await copyDatabases(data)
    } catch (error) {
      if ((error as Error).name === 'LockError') throw error
      // of a disk that is full they are the last straw
      await dropCopies(data)
      return writeState(folder, givenUp(state, { is: 'uncopied', of: [(error as Error).message] }))
    }
    trial = { ...trial, isCopied: true }
    await writeState(folder, { ...state, trial })
  }
  // one that hangs does not outlive this process either
  const { setpriv } = findTools()
  const wrapper = setpriv == null ? [] : [setpriv, '--pdeathsig', 'KILL', '--']
  const [file, ...rest] = [...wrapper, process.execPath, ...process.execArgv, ...args]
  let isTold = false
  const onSignal = (): void => {
    isTold = true
  }
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const name of names) process.on(name, onSignal)
  const child = spawn(file!, rest, { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] })
  const ended = once(child, 'exit')
  try {
    const faults = await judged(child, trial)
    const isWell = faults.length === 0
    await end(child, ended, isWell ? 'SIGTERM' : 'SIGKILL')
    if (isTold) {
      // that it was told to end is no fault of it
      await writeState(folder, { ...state, trial: { ...trial, starts: trial.starts - 1 } })
      process.exit(0)
    }
    await writeState(folder, isWell ? kept({ ...state, trial }) : givenUp({ ...state, trial }, ...faults))
    if (isWell) await dropCopies(data)
  } finally {
    for (const name of names) process.off(name, onSignal)
  }

  /** Why it does not work; nothing: it does, or it was told to end. */
  async function judged(
    child: ChildProcess,
    { startMs, healthMs, failing = [] }: NonNullable<slots.SlotState['trial']>
  ): Promise<slots.Fault[]> {
    let health: TrialNews['health'] | undefined
    // in steps: they count no more for it where the machine leaves this process no time
    let now = 0
    let heardAt = 0
    const reasons = new Map<string, Pick<Health, 'reason' | 'error'>>()
    child.on('message', (news: TrialNews) => {
      // why one has failed is still true while it is started again
      for (const { service, reason, error } of news.health)
        if (reason != null) reasons.set(service, { reason, error })
      health = news.health.map(row => (row.reason == null ? { ...row, ...reasons.get(row.service) } : row))
      heardAt = now
    })
    for (let judgedAt = Number.POSITIVE_INFINITY; ; now += LOOK_MS) {
      await Promise.race([ended, delay(LOOK_MS)])
      if (isTold) return []
      if (child.signalCode != null) return [{ is: 'killed', of: [child.signalCode] }]
      if (child.exitCode != null) return [{ is: 'exited', of: [String(child.exitCode)] }]
      if (health == null) {
        if (now > startMs) return [{ is: 'late', of: [String(startMs / 1000)] }]
        continue
      }
      // its services may take as long to start as it may itself
      if (now > startMs || !isStarting(health, failing)) judgedAt = Math.min(judgedAt, now + healthMs)
      // what it says then, not what it said before
      if (heardAt >= judgedAt) return whyBad(health, failing)
      if (now - heardAt > SILENT_MS) return [{ is: 'silent', of: [String(SILENT_MS / 1000)] }]
    }
  }
}

const isStarting = (health: TrialNews['health'], failing: readonly string[]): boolean =>
  health.some(({ service, state }) => state === 'starting' && !failing.includes(service))

/** Why these services say that a program does not work; nothing: it does. Pure. */
export const whyBad = (health: TrialNews['health'], failing: readonly string[]): slots.Fault[] =>
  health
    .filter(
      ({ service, state }) => (state === 'failed' || state === 'starting') && !failing.includes(service)
    )
    .map(({ service, state, reason = '', error }) => ({
      is: error === 'MigrationError' ? 'newer' : 'unwell',
      of: [service, state, reason]
    }))

async function end(child: ChildProcess, ended: Promise<unknown>, how: NodeJS.Signals): Promise<void> {
  if (isOver(child)) return
  child.kill(how)
  await Promise.race([ended, delay(END_MS)])
  if (isOver(child)) return
  child.kill('SIGKILL')
  await ended
}

const isOver = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode != null || signalCode != null

const locked = (data: string): Disposable => {
  const unlock = lockFolder(data)
  return { [Symbol.dispose]: unlock }
}
