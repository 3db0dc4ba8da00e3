/** One step of time at most: a clock that is years ahead drags nobody's along at once. */
export const MAX_AHEAD_MS = 400 * 24 * 3_600_000

export interface Timed {
  timeMs: number
  /** hex of its hash */
  id: string
}

/** The order in which everybody shows events: by time, then by hash. */
export const compareEvents = (a: Timed, b: Timed): number =>
  a.timeMs - b.timeMs || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)

/** The time of a new event: that of the clock, later than all it comes after, within bounds. `newestMs`: of these. */
export const timeAfter = (newestMs: number, clockMs: number): number =>
  Math.min(Math.max(Math.round(clockMs), newestMs + 1), newestMs + MAX_AHEAD_MS)

/** Whether somebody else's event has such a time. */
export const isTimely = (timeMs: number, newestMs: number): boolean =>
  timeMs > newestMs && timeMs <= newestMs + MAX_AHEAD_MS
