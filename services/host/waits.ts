const FIRST_MS = 1_000
const LAST_MS = 5 * 60_000
/** Running so long makes up for the failures before. */
const GOOD_MS = 10 * 60_000

/** Growing waits between tries: 1, 2, 4 … s, at most 5 min; from the beginning after a good while. */
export function createWaits(now: () => number) {
  let failures = 0
  let last = 0
  return {
    /** ms to wait before the next try */
    next(): number {
      if (now() - last > GOOD_MS) failures = 0
      const wait = Math.min(FIRST_MS * 2 ** failures++, LAST_MS)
      last = now() + wait
      return wait
    },
    reset(): void {
      failures = 0
    }
  }
}
