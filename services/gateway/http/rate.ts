/** Whoever asks with a token: well above what one node can compute. */
const KNOWN_PER_WINDOW = 100_000
/** Strangers get the dashboard's files and the state of health. */
const STRANGER_PER_WINDOW = 1_000
/** Guesses of a token. 256 random bits would hold anyway; this keeps the log and the CPU quiet. */
const REFUSED_PER_WINDOW = 60
const WINDOW_MS = 10_000
/** Addresses that are counted apart; the rest share one counter. */
const MAX_COUNTED = 10_000

/**
 * Counts requests in windows of ten seconds. Pure but for its counters.
 * `key`: the token's id, or the address of a stranger.
 */
export function createRate(now: () => number) {
  const counts = new Map<string, number>()
  let ends = 0

  function count(key: string, most: number): boolean {
    const at = now()
    if (at >= ends) {
      counts.clear()
      ends = at + WINDOW_MS
    }
    const kept = counts.has(key) || counts.size < MAX_COUNTED ? key : ''
    const seen = (counts.get(kept) ?? 0) + 1
    counts.set(kept, seen)
    return seen <= most
  }

  return {
    /** false when it is one too many */
    known: (id: string): boolean => count(`token ${id}`, KNOWN_PER_WINDOW),
    stranger: (address: string): boolean => count(`address ${address}`, STRANGER_PER_WINDOW),
    refused: (address: string): boolean => count(`refused ${address}`, REFUSED_PER_WINDOW),
    /** seconds until the next window */
    get retryAfter(): number {
      return Math.max(1, Math.ceil((ends - now()) / 1000))
    }
  }
}
