import type { DatabaseSync } from 'node:sqlite'
import type { Event } from '../core/event.ts'
import { isSpoken } from '../core/moderation.ts'
import { isLate, isQuietFor, minuteOf, type Period, quietAt } from '../core/quiet.ts'
import type { School } from '../school/school.ts'
import type { DeviceStore } from './store.ts'

/** A device that did nothing for so long stood still, and could hear nothing. */
const STILL_MS = 60_000

export type Quiet = ReturnType<typeof createQuiet>

/**
 * Quiet hours of the person of a device. What others with such hours say in them is not shown before they end, whatever
 * their clients do and say; the logs of all members are the same. Who has no such hours reads it at once.
 */
export function createQuiet(
  db: DatabaseSync,
  store: Pick<DeviceStore, 'generations'>,
  school: School,
  self: string,
  now: () => number
) {
  const add = db.prepare('INSERT OR IGNORE INTO late VALUES (?, ?, ?, ?)')
  const forget = db.prepare('DELETE FROM late WHERE heardMs < ?')
  const lateOf = db.prepare('SELECT device, seq FROM late WHERE grp = ? AND heardMs >= ?')
  /** as long as it is so; hours begin and end with minutes */
  let known: { hours: string; span: Period; isQuiet: boolean } | undefined
  let [hearsSince, lookedAt] = [now(), now()]
  let wasQuiet = false

  /** Those that are now, of this person; undefined: none. */
  function current(): Period | undefined {
    const { roster } = school
    const policy = roster?.policy()
    if (policy?.quietHours == null || !isQuietFor(policy, roster?.person(self)?.role)) return undefined
    const at = now()
    const hours = policy.quietHours.join()
    if (known?.hours !== hours || at < known.span.from || at >= known.span.until) {
      const period = quietAt(policy, at)
      known = { hours, span: period ?? minuteOf(at), isQuiet: period != null }
    }
    return known.isQuiet ? known.span : undefined
  }
  /** Whether it is of somebody else who has quiet hours, and something that one reads. */
  function isOfAnother({ device, kind }: Event): boolean {
    const roster = school.known()
    const user = roster.device(device)?.user
    return (
      isSpoken(kind) &&
      user !== roster.device(self)?.user &&
      isQuietFor(roster.policy(), user == null ? undefined : roster.user(user)?.role)
    )
  }

  return {
    current,
    /** Whether an event of a chat is not shown before the hours end that are now. */
    heldIn(grp: string): (event: Event) => boolean {
      const period = current()
      if (period == null) return () => false
      const late = new Set(
        (lateOf.all(grp, period.from) as { device: string; seq: number }[]).map(
          ({ device, seq }) => `${device} ${seq}`
        )
      )
      return event =>
        (event.timeMs >= period.from || late.has(`${event.device} ${event.seq}`)) && isOfAnother(event)
    },
    /** Events have come: notes which say that they are of before these hours and hardly can be. */
    hear(grp: string, events: readonly Event[]): void {
      const period = current()
      if (period == null) return
      const cameIn = store.generations(grp).find(({ devices }) => devices.includes(self))?.timeMs ?? 0
      forget.run(period.from)
      for (const event of events)
        if (isLate(event, period, Math.max(hearsSince, cameIn), now()) && isOfAnother(event))
          add.run(grp, event.device, event.seq, now())
    },
    /** To be called again and again; `isAlone`: nobody gives anything. Whether quiet hours have begun or ended. */
    look(isAlone: boolean): boolean {
      if (isAlone || now() - lookedAt > STILL_MS) hearsSince = now()
      lookedAt = now()
      const before = wasQuiet
      wasQuiet = current() != null
      return before !== wasQuiet
    }
  }
}
