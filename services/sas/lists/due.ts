import type { Listener, OnceListed } from './listed-poll.ts'

/** A poll and the name by which it is known again. */
export interface Listed<T> {
  hash: string
  poll: T
  /** it changes what the machine does */
  isControl: boolean
}

/** The first one that was not done yet; undefined: all were. Pure. */
export const dueOnce = (
  once: readonly Listed<OnceListed>[],
  { isDone, mayControl }: { isDone(listed: Listed<OnceListed>): boolean; mayControl: boolean }
): Listed<OnceListed> | undefined => once.find(each => (mayControl || !each.isControl) && !isDone(each))

/**
 * The listener that is due for longest; undefined: none is. One that never was comes first, in the order of the file.
 * `askedAt`: ms of the clock that `now` is of. Pure.
 */
export function dueListener(
  listeners: readonly Listed<Listener>[],
  {
    askedAt,
    now,
    mayControl
  }: { askedAt(listed: Listed<Listener>): number | undefined; now: number; mayControl: boolean }
): Listed<Listener> | undefined {
  let found: { listed: Listed<Listener>; overdue: number } | undefined
  for (const listed of listeners) {
    if (listed.isControl && !mayControl) continue
    const before = askedAt(listed)
    const overdue = before == null ? Number.POSITIVE_INFINITY : now - before - 1000 * listed.poll.time
    if (overdue >= 0 && overdue > (found?.overdue ?? -1)) found = { listed, overdue }
  }
  return found?.listed
}
