import { type Generation, goneOf, headOf } from '../core/generation.ts'
import { PolicyError } from '../errors.ts'
import type { School } from '../school/school.ts'
import type { DeviceStore } from './store.ts'

export type Leaving = ReturnType<typeof createLeaving>

/** Who has said that he goes; those who may change the chat go on without him as soon as they know. */
export function createLeaving(store: DeviceStore, school: School, self: string) {
  const leaves = store.db.prepare(
    `SELECT device, seq FROM event WHERE grp = ? AND kind = 'leave' ORDER BY timeMs, id`
  )
  const userOf = (device: string): string | undefined => school.known().device(device)?.user

  /** Whether its author could have let somebody go. */
  function mayChange({ by, roster: at }: Generation): boolean {
    const known = school.known()
    return known.person(by, at)?.role !== 'pupil' || known.policy(at).pupilGroups
  }
  /** Who has said so, in order, and whom nobody who knew of it has kept or let in since. */
  function said(grp: string): string[] {
    const generations = store.generations(grp)
    return (leaves.all(grp) as { device: string; seq: number }[]).flatMap(({ device, seq }) => {
      const user = userOf(device)
      const isKept = (each: Generation, i: number): boolean =>
        each.users.includes(user!) && headOf(each.heads, device) >= seq && (i === 0 || mayChange(each))
      return user == null || generations.some(isKept) ? [] : [user]
    })
  }
  const gone = (grp: string): ReadonlySet<string> =>
    goneOf(store.generations(grp).at(-1)?.users ?? [], said(grp), school.known())

  return {
    gone,
    /** Whether the person of this device has. */
    hasGone: (grp: string): boolean => gone(grp).has(userOf(self) ?? ''),
    /** @throws {PolicyError} nobody who stays could go on without the person of this device */
    check(grp: string, users: readonly string[]): void {
      const own = userOf(self) ?? ''
      if (goneOf(users, [...said(grp), own], school.known()).has(own)) return
      throw new PolicyError(
        users.length === 1
          ? 'nobody else is in this chat'
          : 'all others are pupils; add somebody who is none before you go'
      )
    }
  }
}
