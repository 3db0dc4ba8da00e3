const FIRST_WAIT_MS = 2_000
const MAX_WAIT_MS = 120_000

/**
 * Which nodes a tab dials when: one that does not answer is waited for twice as long each time, up to two minutes, and up
 * to half as long again by chance, so that all tabs do not come back to a node at once. Pure but for what it remembers.
 */
export function createDialTimes(random: () => number = Math.random) {
  const failures = new Map<string, { count: number; until: number }>()
  return {
    /** Those of `addresses` to dial now: of nodes that are not connected, and whose wait is over. `now`: ms. */
    due(addresses: readonly string[], connected: ReadonlySet<string>, now: number): string[] {
      for (const address of failures.keys()) if (!addresses.includes(address)) failures.delete(address)
      return addresses.filter(address => {
        const peer = /\/p2p\/([^/]+)$/.exec(address)?.[1]
        return peer != null && !connected.has(peer) && (failures.get(address)?.until ?? 0) <= now
      })
    },

    failed(address: string, now: number): void {
      const count = (failures.get(address)?.count ?? 0) + 1
      const wait = Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** (count - 1))
      failures.set(address, { count, until: now + wait * (1 + random() / 2) })
    },

    reached(address: string): void {
      failures.delete(address)
    }
  }
}
