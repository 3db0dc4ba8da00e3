import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { replaceFile } from '../../../bootstrap/files.ts'

/** Folder of releases: below the data folder, or below that of the service devices where a fleet says what runs. */
export const RELEASES = 'releases'
export const STATE_FILE = 'state.json'
/** Starts of a release on trial; one that has not said by then that it works is broken. */
export const MAX_STARTS = 3

const SLOTS = ['a', 'b'] as const
export type Slot = (typeof SLOTS)[number]
/** What can run: the release in a slot, or what was installed. */
export const PROGRAMS = [...SLOTS, 'base'] as const
export type Program = (typeof PROGRAMS)[number]
const release = z.object({ version: z.string().max(64), sha256: z.string().length(64) })
/** of what was installed, which came as no package */
const NO_HASH = '0'.repeat(64)

/** Why a release does not work, by name and in English; what stands in it goes with the name, for who has other words. */
const FAULTS = {
  exited: 'it ended with exit code {0}',
  killed: 'it ended with {0}',
  late: 'it did not start within {0} s',
  silent: 'it has said nothing for {0} s',
  unwell: '{0} is {1}: {2}',
  /** data that a newer program wrote */
  newer: '{0} is {1}: {2}',
  uncopied: 'the databases cannot be copied: {0}',
  restless: 'it ended {0} times before it was known to work{1}',
  unreadable: 'it cannot be read: {0}',
  unfit: 'it did not work within {0} s'
} as const
export type FaultName = keyof typeof FAULTS
export const fault = z.object({
  is: z.enum(Object.keys(FAULTS) as FaultName[]),
  of: z.array(z.string().max(500)).max(3)
})
export type Fault = z.output<typeof fault>

/** In English. Pure. */
export const textOf = ({ is, of }: Fault): string =>
  FAULTS[is].replaceAll(/\{(\d)\}/g, (_, at: string) => of[Number(at)] ?? '')

/** What stands on the disk about releases, written before each step. */
export const slotState = z.object({
  /** what runs where nothing is on trial; undefined: what was installed */
  current: z.enum(SLOTS).optional(),
  a: release.optional(),
  b: release.optional(),
  /** what ran before: `artel rollback` goes there */
  former: z.enum(PROGRAMS).optional(),
  /** version of what was installed when the first release took its place */
  installed: z.string().max(64).optional(),
  trial: z
    .object({
      slot: z.enum(PROGRAMS),
      starts: z.int().min(0),
      /** ms that it has to work, until it is kept, and that it may take besides */
      healthMs: z.int().min(0),
      startMs: z.int().min(0),
      /** how it ended last */
      ended: z.string().max(50).optional(),
      /** the databases are copied, as they were before it ran */
      isCopied: z.boolean().optional(),
      /** services that did not work before either */
      failing: z.array(z.string().max(64)).max(100).optional()
    })
    .optional(),
  /** the trial is over, and the databases are to be as they were before it */
  putBack: z.boolean().optional(),
  /**
   * the one that was given up last; isTold: it is in the log. It is not tried again, unless only what was unpacked of it
   * is damaged
   */
  failed: release
    .extend({
      why: z.string().max(500),
      // older programs name none, newer ones others
      faults: z.array(fault).max(100).optional().catch(undefined),
      isTold: z.boolean(),
      isDamage: z.boolean().optional()
    })
    .optional()
})
export type SlotState = z.output<typeof slotState>

/** Where the next release goes: never over what works. Pure. */
export const freeSlot = ({ current }: SlotState): Slot => (current === 'a' ? 'b' : 'a')

/** A program by its place; undefined: there is none. Pure. */
const releaseAt = (state: SlotState, place: Program): z.output<typeof release> | undefined =>
  place === 'base' ? { version: state.installed ?? place, sha256: NO_HASH } : state[place]

/** What runs next: that on trial, unless it has ended too often; what it becomes by that. Pure. */
export function nextStart(state: SlotState): { slot: Slot | undefined; state: SlotState } {
  const { trial, current } = state
  if (trial == null) return { slot: current, state }
  if (releaseAt(state, trial.slot) == null || trial.starts >= MAX_STARTS)
    return nextStart(
      givenUp(state, {
        is: 'restless',
        of: [String(trial.starts), trial.ended == null ? '' : `, the last time with ${trial.ended}`]
      })
    )
  return { slot: slotOf(trial.slot), state: { ...state, trial: { ...trial, starts: trial.starts + 1 } } }
}

const slotOf = (place: Program): Slot | undefined => (place === 'base' ? undefined : place)

/** The release on trial is broken: what worked before goes on. Pure. */
export function givenUp({ trial, ...state }: SlotState, ...faults: readonly Fault[]): SlotState {
  const broken = trial && releaseAt(state, trial.slot)
  if (broken == null) return state
  return { ...state, failed: failedFor(broken, faults), ...(trial?.isCopied && { putBack: true }) }
}

/** What worked cannot be read any more: what was installed runs, and it is unpacked anew. Pure. */
export function damaged({ current, ...state }: SlotState, why: Fault): SlotState {
  const broken = current && state[current]
  if (broken == null) return state
  const { [current!]: _, ...rest } = state
  return { ...rest, failed: { ...failedFor(broken, [why]), isDamage: true } }
}

const failedFor = (broken: z.output<typeof release>, faults: readonly Fault[]) => ({
  ...broken,
  why: faults.map(textOf).join('; ').slice(0, 500),
  faults: faults.slice(0, 100).map(({ is, of }) => ({ is, of: of.map(each => each.slice(0, 500)) })),
  isTold: false
})

/** The release on trial works. Pure. */
export function kept({ trial, current, ...state }: SlotState): SlotState {
  if (trial == null) return current == null ? state : { ...state, current }
  const slot = slotOf(trial.slot)
  return { ...state, ...(slot != null && { current: slot }), former: current ?? 'base' }
}

/** The program of a release, which is a folder as npm has it: what `artel` is in its package.json. */
export async function programOf(folder: string): Promise<string> {
  const { bin } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as {
    bin?: { artel?: string }
  }
  if (typeof bin?.artel !== 'string') throw new Error('its package.json names no bin artel')
  const program = join(folder, bin.artel)
  await access(program)
  return program
}

/**
 * What runs next, and its program; undefined: what was installed. What cannot be read is left out, with the reason in
 * the state: a disk that is damaged leaves no board behind.
 */
export async function startOf(
  folder: string,
  before: SlotState
): Promise<{ slot?: Slot; program?: string; state: SlotState }> {
  const { slot, state } = nextStart(before)
  if (slot == null) return { state }
  try {
    return { slot, program: await programOf(join(folder, slot)), state }
  } catch (error) {
    const why: Fault = { is: 'unreadable', of: [(error as Error).message] }
    return startOf(folder, state.trial == null ? damaged(state, why) : givenUp(state, why))
  }
}

/** What is there; what is no such state counts as none, for what was installed always runs. */
export async function readState(folder: string): Promise<SlotState> {
  try {
    const read = slotState.safeParse(JSON.parse(await readFile(join(folder, STATE_FILE), 'utf8')))
    return read.success ? read.data : {}
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw error
  }
}

/** On the disk when it returns: the old one or the new one, through any crash. */
export async function writeState(folder: string, state: SlotState): Promise<void> {
  await replaceFile(join(folder, STATE_FILE), Buffer.from(JSON.stringify(state)), 0o600)
}
