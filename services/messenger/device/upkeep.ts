import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Person } from '../assemble-person.ts'
import type { Role } from '../core/statement.ts'
import { createPackages } from './packages.ts'

const SEEN_MS = 60 * 24 * 3_600_000
/** One member after the other renews a chat, so that not all do at once. */
const RENEW_STEP_MS = 3_000
const ROLES: readonly Role[] = ['admin', 'teacher', 'pupil']
/** Fresh keys are no hurry, and each try takes key packages of all. */
const FRESH_AGAIN_MS = 24 * 3_600_000

export interface UpkeepInit {
  now(): number
  signal: AbortSignal
  degraded(what: string, reason: string | undefined): void
  log(message: string, ...args: unknown[]): void
}
export type Upkeep = ReturnType<typeof createUpkeep>

/** What a device does by itself, again and again, and when the roster has grown. */
export function createUpkeep(person: Person, { now, signal, degraded, log }: UpkeepInit) {
  const { self, school, groups, store, post, sync, network, quiet, later } = person
  const packages = createPackages(person.mls, store, person.own, school, network, signal)
  /** when a chat was first seen to need other members */
  const staleSince = new Map<string, number>()

  /** Chats whose people or devices have changed go on with those that are right, and old ones with fresh keys. */
  async function renewStale(): Promise<void> {
    for (const grp of store.groups()) {
      const isStale = groups.isStale(grp)
      if (!isStale && !groups.isOld(grp)) {
        staleSince.delete(grp)
        continue
      }
      const since = staleSince.get(grp) ?? now()
      staleSince.set(grp, since)
      const { devices } = groups.current(grp).newest
      const roleOf = (device: string): Role | undefined => school.known().person(device)?.role
      // who may change a chat comes first
      const rank = ROLES.flatMap(role => devices.filter(each => roleOf(each) === role)).indexOf(self)
      if (now() - since < Math.max(0, rank) * RENEW_STEP_MS) continue
      try {
        await groups.change(grp, now => ({ ...now, users: groups.stillIn(grp, now.users) }))
        degraded(`members of ${grp.slice(0, 8)}`, undefined)
      } catch (error) {
        if (isStale) degraded(`members of ${grp.slice(0, 8)}`, (error as Error).message)
        else staleSince.set(grp, now() + FRESH_AGAIN_MS)
      }
    }
  }

  return {
    start(): void {
      if (school.roster == null) return
      post.tend()
      person.finishDeleting()
    },
    onGrown(): void {
      post.tend()
      for (const grp of store.groups()) person.retry(grp)
    },
    async tend(): Promise<void> {
      post.tend()
      // pages look at it anew
      if (quiet.look(post.isAlone())) person.changedAll()
      await later.tend()
      // others have their turn in between
      while (!signal.aborted && store.indexNew()) await nextTurn()
      await packages.tend()
      await groups.joinPending()
      await renewStale()
    },
    async compare(): Promise<void> {
      for (const grp of store.groups()) {
        // who was away may have missed that it went on
        await groups.follow(grp).catch((error: Error) => log('%s: %s', grp, error.message))
        await sync.one(grp)
      }
      store.forgetSeen(now() - SEEN_MS)
    }
  }
}
