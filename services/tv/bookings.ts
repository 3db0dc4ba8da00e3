import type { DatabaseSync } from 'node:sqlite'
import { transact } from '../host/index.ts'
import { TvRefusedError, TvRequestError } from './errors.ts'

const DAY_MS = 86_400_000
const MAX_MS = 30 * DAY_MS
const MAX_PER_TV = 200

export interface Booking {
  tv: string
  /** node, or node/account */
  who: string
  /** ms since 1970 */
  from: number
  to: number
  why: string
}

/** Who holds which TV of this node and when. The node beside a TV is the only one that can say so. */
export function createBookings(db: DatabaseSync, now: () => number) {
  const overlapping = db.prepare(
    'SELECT tv, who, from_ms AS "from", to_ms AS "to", why FROM booking WHERE tv = ? AND from_ms < ? AND to_ms > ? ORDER BY from_ms'
  )
  const insert = db.prepare('INSERT INTO booking (tv, who, from_ms, to_ms, why) VALUES (?, ?, ?, ?, ?)')
  const take = db.prepare('DELETE FROM booking WHERE tv = ? AND from_ms < ? AND to_ms > ?')
  const give = db.prepare('DELETE FROM booking WHERE tv = ? AND who = ? AND to_ms > ?')
  const all = (tv: string, from: number, to: number): Booking[] =>
    overlapping.all(tv, to, from) as unknown as Booking[]

  return {
    /**
     * One holder at a time. Who overrides takes the place of others.
     *
     * @returns those that were taken from others
     * @throws {TvRefusedError} somebody else has a part of it
     * @throws {TvRequestError} no such time
     */
    book(wanted: Booking, isOverride: boolean): Booking[] {
      const { tv, who, from, to, why } = wanted
      if (to <= from || to <= now() || to - from > MAX_MS)
        throw new TvRequestError('a booking ends after it begins, in the future, and within 30 days')
      const others = all(tv, from, to).filter(each => each.who !== who)
      const [first] = others
      if (first != null && !isOverride)
        throw new TvRefusedError(
          `${tv} is held by ${first.who} until ${new Date(first.to).toISOString()}: ${first.why}`
        )
      if (all(tv, now(), Number.MAX_SAFE_INTEGER).length >= MAX_PER_TV)
        throw new TvRefusedError(`${tv} has ${MAX_PER_TV} bookings already`)
      transact(db, () => {
        take.run(tv, to, from)
        insert.run(tv, who, from, to, why)
      })
      return others
    },
    /** Ends what somebody has booked. */
    release: (tv: string, who: string): boolean => Number(give.run(tv, who, now()).changes) > 0,
    /** who holds it now */
    holder: (tv: string): Booking | undefined => all(tv, now(), now() + 1)[0],
    /** from now on */
    of: (tv: string): Booking[] => all(tv, now(), Number.MAX_SAFE_INTEGER),
    tidy: (): void => void db.prepare('DELETE FROM booking WHERE to_ms < ?').run(now() - DAY_MS)
  }
}

export type Bookings = ReturnType<typeof createBookings>
