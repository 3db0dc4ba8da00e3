import type { Finding } from './declared.ts'

/** As it was found by itself. `since`: ms since 1970, when it was first found so. */
export type Kept = Finding & { since: number }

/** What was found when this node looked last, by itself; tells what is in another state than before, once. `now`: ms since 1970. */
export function createAlarm(now: () => number, tell: (finding: Finding, before: Finding['state']) => void) {
  let last: readonly Kept[] = []
  return {
    last: (): readonly Kept[] => last,
    /** What was not looked at before counts as fine until then. Whether something has changed. */
    hear(findings: readonly Finding[]): boolean {
      const known = new Map(last.map(each => [each.name, each]))
      const stateOf = (name: string): Finding['state'] => known.get(name)?.state ?? 'ok'
      const changed = findings.filter(({ name, state }) => state !== stateOf(name))
      last = findings.map(each => {
        const before = known.get(each.name)
        return { ...each, since: before?.state === each.state ? before.since : now() }
      })
      for (const each of changed) tell(each, stateOf(each.name))
      return changed.length > 0
    }
  }
}
export type Alarm = ReturnType<typeof createAlarm>
