import { headOf } from '../core/generation.ts'
import type { School } from '../school/school.ts'
import type { DeviceStore } from './store.ts'

export type Leaving = ReturnType<typeof createLeaving>

/** Who has said that he goes; those who may change the chat go on without him as soon as they know. */
export function createLeaving(store: DeviceStore, school: School, self: string) {
  const said = store.db.prepare(`SELECT device, seq FROM event WHERE grp = ? AND kind = 'leave'`)
  const userOf = (device: string): string | undefined => school.known().device(device)?.user

  /** People who have gone, and whom nobody has let in again since. */
  function gone(grp: string): ReadonlySet<string> {
    const found = new Set<string>()
    for (const { device, seq } of said.all(grp) as { device: string; seq: number }[]) {
      const user = userOf(device)
      if (user == null) continue
      const generations = store.generations(grp)
      const since = generations[generations.findLastIndex(({ users }) => !users.includes(user)) + 1]
      if (since != null && seq > headOf(since.heads, device)) found.add(user)
    }
    return found
  }
  return {
    gone,
    /** Whether the person of this device has. */
    hasGone: (grp: string): boolean => gone(grp).has(userOf(self) ?? '')
  }
}
