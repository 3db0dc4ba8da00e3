import { isIPv6 } from 'node:net'

/** What is counted apart. A failure counts against each of the keys under which it came. */
type Lane = 'name' | 'address' | 'pair' | 'device' | 'own'
export type Key = `${Lane} ${string}`

const MINUTE_MS = 60_000
/**
 * Failures without a wait, and how soon one of them is forgotten. A school behind one address signs in at once, and
 * mistypes more than one person does; a name that is tried from everywhere has been tried by more than its owner.
 */
const LANES: Record<Lane, { free: number; forgetMs: number }> = {
  pair: { free: 5, forgetMs: 60 * MINUTE_MS },
  device: { free: 10, forgetMs: 60 * MINUTE_MS },
  own: { free: 10, forgetMs: 60 * MINUTE_MS },
  name: { free: 20, forgetMs: 60 * MINUTE_MS },
  address: { free: 120, forgetMs: 2 * MINUTE_MS }
}
/** The first wait; each further failure doubles it. */
const FIRST_MS = 1_000
/** Nobody is locked out for ever: the longest wait. */
export const LONGEST_MS = 15 * MINUTE_MS
/** Keys that are counted apart; beyond, the one whose last failure is oldest is forgotten. */
const MAX_KEYS = 20_000

export interface Count {
  /** those that were forgotten meanwhile taken off, as of `last` */
  failures: number
  /** of the last failure, ms since 1970 */
  last: number
}

/** When the next attempt may come, ms since 1970. Pure. */
function opensAt(count: Count | undefined, lane: Lane): number {
  if (count == null) return 0
  const over = Math.floor(count.failures) - LANES[lane].free
  return over < 0 ? 0 : count.last + Math.min(LONGEST_MS, FIRST_MS * 2 ** over)
}

/** The count after one more failure. Pure. */
function failedAgain(count: Count | undefined, lane: Lane, now: number): Count {
  if (count == null) return { failures: 1, last: now }
  const forgotten = Math.max(0, now - count.last) / LANES[lane].forgetMs
  return { failures: Math.max(0, count.failures - forgotten) + 1, last: now }
}

/**
 * Under what an attempt to sign in counts. Who has signed in from this browser before counts in a lane of its own, so
 * that nobody else's failures, be it from a thousand addresses, keep him out.
 */
export function keysOf(init: { name: string; address: string; device?: string }): Key[] {
  if (init.device != null) return [`device ${init.device}`]
  const address = networkOf(init.address)
  return [`pair ${address} ${init.name}`, `address ${address}`, `name ${init.name}`]
}

/** One household or machine: an IPv4 address, or the /64 of an IPv6 address. */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped != null || !isIPv6(address)) return mapped ?? address
  const [head = '', tail = ''] = address.split('%')[0]!.toLowerCase().split('::')
  const before = head.split(':').filter(Boolean)
  const after = tail.split(':').filter(Boolean)
  const zeros = address.includes('::') ? Array(Math.max(0, 8 - before.length - after.length)).fill('0') : []
  const groups = [...before, ...zeros, ...after].slice(0, 4)
  return `${groups.map(group => group.replace(/^0+(?=.)/, '')).join(':')}::/64`
}

export interface Attempt {
  /** It was right: it is taken back, and what failed before under its keys is forgotten. */
  succeeded(): void
  /** It was neither right nor wrong. */
  undo(): void
}

/** Counts attempts in memory. `waitMs` in the answer: it is too early, and nothing was counted. */
export function createAttempts(now: () => number) {
  const counts = new Map<Key, Count>()
  const laneOf = (key: Key): Lane => key.slice(0, key.indexOf(' ')) as Lane

  function put(key: Key, count: Count): void {
    // the map is in the order of last failures
    counts.delete(key)
    counts.set(key, count)
    if (counts.size > MAX_KEYS) counts.delete(counts.keys().next().value!)
  }

  function takeBack(key: Key): void {
    const count = counts.get(key)
    if (count == null) return
    if (count.failures <= 1) counts.delete(key)
    else count.failures--
  }

  return {
    /** Counts as a failure at once, so that a thousand attempts side by side are a thousand. */
    enter(keys: Key[]): Attempt | { waitMs: number } {
      const waitMs = Math.max(...keys.map(key => opensAt(counts.get(key), laneOf(key)))) - now()
      if (waitMs > 0) return { waitMs }
      for (const key of keys) put(key, failedAgain(counts.get(key), laneOf(key), now()))
      return {
        succeeded() {
          // not the address's: who has an account of his own would clear it with that
          for (const key of keys)
            if (laneOf(key) === 'address') takeBack(key)
            else counts.delete(key)
        },
        undo: () => keys.forEach(takeBack)
      }
    }
  }
}
export type Attempts = ReturnType<typeof createAttempts>
