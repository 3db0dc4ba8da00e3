/** What was said of each key, by the roster position at which it was. */
export function createHistory<T>() {
  const all = new Map<string, { n: number; value: T }[]>()
  return {
    set(key: string, n: number, value: T): void {
      const versions = all.get(key) ?? []
      versions.push({ n, value })
      all.set(key, versions)
    },
    /** as it was after statement `at`; default: now */
    get: (key: string, at = Number.POSITIVE_INFINITY): T | undefined =>
      all.get(key)?.findLast(({ n }) => n <= at)?.value,
    now: (): T[] => [...all.values()].map(versions => versions.at(-1)!.value)
  }
}
