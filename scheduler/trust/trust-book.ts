import { badShare, errsTooOften, NO_TRUST, type Trust } from './credibility.ts'

// Comparisons from which a record says something about a worker that was never caught.
const TELLING_COMPARISONS = 5

/** What is known of peers, by key, and what share of them is bad. `known`: from before a restart. */
export function createTrustBook(known: Iterable<[string, Trust]>) {
  const trusts = new Map<string, Trust>(known)
  let seen = 0
  let bad = 0
  for (const trust of trusts.values()) count(trust, 1)

  function count(trust: Trust, sign: 1 | -1): void {
    if (trust.compared < TELLING_COMPARISONS && trust.wrong === 0) return
    seen += sign
    if (errsTooOften(trust)) bad += sign
  }

  return {
    of: (key: string): Trust => trusts.get(key) ?? NO_TRUST,

    change(key: string, change: (trust: Trust) => Trust): Trust {
      const before = trusts.get(key) ?? NO_TRUST
      const trust = change(before)
      count(before, -1)
      count(trust, 1)
      trusts.set(key, trust)
      return trust
    },

    /** Share of workers that err too often, among those that were compared often enough to tell, or caught. */
    shareOfBad: (): number => badShare(seen, bad)
  }
}
