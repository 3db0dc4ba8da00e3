import type { Desired, State } from '../contract.ts'

/** What was looked at, never what was remembered. */
export interface Observed {
  isAlive: boolean
  /** QEMU's own word for the machine, or why there is none */
  qmp: 'absent' | 'silent' | string
}

/** What this node did and saw since it started. */
export interface Course {
  /** somebody holds the machine: reconciliation keeps its hands off */
  operation: 'start' | 'stop' | 'move' | 'other' | undefined
  /** when the guest was asked to power down */
  stopAskedAt: number | undefined
  /** ends of the process that nobody asked for */
  crashes: readonly number[]
  /** its owner's account has been empty for too long: it stands still or is off, and stays so */
  isUnpaid: boolean
  /** a disk of it was found damaged when it was looked at last: it is off, and stays so */
  isCorrupt: boolean
}

export type Step = 'nothing' | 'start' | 'attach' | 'pause' | 'resume' | 'power-down' | 'quit' | 'kill'

/** A guest gets this long to power down by itself. */
export const POWER_DOWN_MS = 30_000
/** QEMU gets this long to end when told to. */
export const QUIT_MS = 3_000
const CRASH_WINDOW_MS = 600_000
const CRASHES = 5

/** Ends of the process that still count. */
function recent(crashes: readonly number[], now: number): readonly number[] {
  return crashes.filter(at => now - at < CRASH_WINDOW_MS)
}

/** Waits of 1, 2, 4 … s after each crash; after five within ten minutes no more starts. */
export function mayStartAt(crashes: readonly number[], now: number): number {
  const counted = recent(crashes, now)
  if (counted.length >= CRASHES) return Number.POSITIVE_INFINITY
  return counted.length === 0 ? now : counted.at(-1)! + 1_000 * 2 ** (counted.length - 1)
}

/** The one step that brings the machine nearer to what is wanted. */
export function decide(desired: Desired, seen: Observed, course: Course, now: number): Step {
  if (course.operation !== undefined) return 'nothing'
  const wantsOn = desired === 'running' || desired === 'paused'
  if ((course.isUnpaid || course.isCorrupt) && !seen.isAlive) return 'nothing'
  if (!seen.isAlive) return wantsOn && now >= mayStartAt(course.crashes, now) ? 'start' : 'nothing'
  if (!wantsOn) return stopStep(seen, course, now)
  if (seen.qmp === 'absent') return 'attach'
  if (desired === 'running' && ['io-error', 'paused', 'postmigrate', 'prelaunch'].includes(seen.qmp))
    return 'resume'
  if (desired === 'paused' && seen.qmp === 'running') return 'pause'
  return 'nothing'
}

function stopStep(seen: Observed, { stopAskedAt }: Course, now: number): Step {
  if (seen.qmp === 'absent') return 'attach'
  if (stopAskedAt === undefined) return seen.qmp === 'silent' ? 'nothing' : 'power-down'
  const waited = now - stopAskedAt
  if (waited >= POWER_DOWN_MS + QUIT_MS) return 'kill'
  // a guest that does not run cannot power itself down
  if (waited >= POWER_DOWN_MS || seen.qmp !== 'running') return seen.qmp === 'silent' ? 'nothing' : 'quit'
  return 'nothing'
}

/** The word that users read. */
export function stateOf(desired: Desired, seen: Observed, course: Course, now: number): State {
  if (desired === 'removed') return 'removed'
  if (course.operation === 'move') return 'moving'
  if (course.isUnpaid && (!seen.isAlive || seen.qmp === 'paused')) return 'unpaid'
  if (!seen.isAlive) {
    if (course.isCorrupt) return 'corrupt'
    if (course.operation === 'start') return 'starting'
    if (desired === 'stopped') return 'stopped'
    return mayStartAt(course.crashes, now) === Number.POSITIVE_INFINITY ? 'crashed' : 'starting'
  }
  if (course.operation === 'stop' || desired === 'stopped') return 'stopping'
  if (seen.qmp === 'silent') return 'unresponsive'
  if (seen.qmp === 'absent') return 'starting'
  if (seen.qmp === 'running' || seen.qmp === 'io-error') return seen.qmp
  return 'paused'
}
