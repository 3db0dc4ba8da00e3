import type { EntryClass } from './entry.ts'

/** What a node writes when its log has less and less room. */
export type Pressure = 'none' | 'thin' | 'account'

/** Above the budget samples are thinned; this much above it only accounts are written. */
const ACCOUNT_SHARE = 1.05
/** One of so many samples is still written. */
const THINNED = 10

export function pressureOf(bytes: number, budget: number): Pressure {
  if (bytes <= budget) return 'none'
  return bytes <= budget * ACCOUNT_SHARE ? 'thin' : 'account'
}

/** Whether an entry is written; `index` counts the samples of its device. */
export function isWritten(pressure: Pressure, kind: EntryClass, index: number): boolean {
  if (kind === 'account' || pressure === 'none') return true
  if (pressure === 'account') return false
  return kind === 'event' || index % THINNED === 0
}

export interface Oldest {
  /** ms since 1970 of its first entry */
  timeMs: number
  /** two witnesses have all of it, or it is the copy of a witness */
  isSafe: boolean
}

/** Whether the oldest segment of a log is let go. */
export function letsGo({ timeMs, isSafe }: Oldest, now: number, keepMs: number, pressure: Pressure): boolean {
  return isSafe && (now - timeMs > keepMs || pressure !== 'none')
}
