import type { Event, EventOf } from './event.ts'
import type { Generation } from './generation.ts'
import type { Roster } from './roster.ts'
import type { Role } from './statement.ts'

/* Who may pin and silence, and what that makes of what others say. Pure: members with the same events see the same. */

const MINUTE_MS = 60_000
/** What nobody hears of who is silenced. He can still delete, and confirm what he has read. */
const SPOKEN: readonly Event['kind'][] = ['text', 'file', 'edit', 'react', 'pin']
const RANK: Record<Role, number> = { pupil: 0, teacher: 1, admin: 2 }

export const isSpoken = (kind: Event['kind']): boolean => SPOKEN.includes(kind)

/** When a silence ends, ms since 1970. */
export const silencedUntil = ({ timeMs, body }: Pick<EventOf<'silence'>, 'timeMs' | 'body'>): number =>
  timeMs + body.minutes * MINUTE_MS

/** What silences a person at a time: the newest word on it, as long as it lasts. `silences`: in their order. */
export function silenceAt(
  silences: readonly EventOf<'silence'>[],
  user: string | undefined,
  timeMs: number
): EventOf<'silence'> | undefined {
  const last = silences.findLast(each => each.body.user === user && each.timeMs <= timeMs)
  return last != null && silencedUntil(last) > timeMs ? last : undefined
}

/** Teachers silence pupils, admins both; nobody an admin. As the roster was at the event. */
export function maySilence(
  { device, roster: at, body }: Pick<EventOf<'silence'>, 'device' | 'roster' | 'body'>,
  roster: Roster
): boolean {
  const [by, of] = [roster.person(device, at), roster.user(body.user, at)]
  return by != null && of != null && RANK[by.role] > RANK[of.role]
}

/** Who is no pupil pins, and in a chat of two both do. */
export function mayPin(
  { device, roster: at, timeMs }: Pick<Event, 'device' | 'roster' | 'timeMs'>,
  generations: readonly Generation[],
  roster: Roster
): boolean {
  const by = roster.person(device, at)
  const then = generations.findLast(each => each.timeMs <= timeMs) ?? generations[0]
  return by != null && (by.role !== 'pupil' || (then != null && then.users.length <= 2))
}
