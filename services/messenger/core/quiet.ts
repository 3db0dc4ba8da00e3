import { hoursOf, isWithin } from '../../host/index.ts'
import type { Event } from './event.ts'
import type { Policy, Role } from './statement.ts'

/* Quiet hours: what is said in them is read when they end. Pure. */

const MINUTE_MS = 60_000
/** Hours that have no end for so long have none. */
const MAX_MINUTES = 8 * 24 * 60
/** What comes so long after it says that it was written, where it could have come before, was not written then. */
export const LATE_MS = 10 * MINUTE_MS

/** ms since 1970; `until` is the first that is not quiet */
export interface Period {
  from: number
  until: number
}

export function minuteOf(atMs: number): Period {
  const from = Math.floor(atMs / MINUTE_MS) * MINUTE_MS
  return { from, until: from + MINUTE_MS }
}

/** Whether these are hours of people with this role. */
export const isQuietFor = ({ quietRoles = ['pupil'] }: Policy, role: Role | undefined): boolean =>
  role != null && quietRoles.includes(role)

/** The quiet hours around a moment; undefined: it is in none. Hours in zones that are not known here are none. */
export function quietAt({ quietHours = [] }: Policy, atMs: number): Period | undefined {
  const hours = quietHours.flatMap(text => hoursOf(text) ?? [])
  // no hours at all would be always
  const isQuiet = (at: number): boolean => hours.length > 0 && isWithin(hours, at)
  if (!isQuiet(atMs)) return undefined
  let { from, until } = minuteOf(atMs)
  for (let n = 0; n < MAX_MINUTES && isQuiet(from - MINUTE_MS); n++) from -= MINUTE_MS
  for (let n = 0; n < MAX_MINUTES && isQuiet(until); n++) until += MINUTE_MS
  return { from, until }
}

/**
 * Whether what is heard now was hardly written when it says, before the quiet hours: it did not come with what was written
 * then. `couldHearMs`: since when whoever hears it could have.
 */
export const isLate = (
  { timeMs }: Pick<Event, 'timeMs'>,
  { from }: Period,
  couldHearMs: number,
  nowMs: number
): boolean => timeMs < from && nowMs - Math.max(timeMs, couldHearMs) > LATE_MS
