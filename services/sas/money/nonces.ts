import { randomBytes } from 'node:crypto'

/** An order is carried out within that time. */
export const GOOD_MS = 60_000
const MAX = 64

/** Numbers that orders must carry: each is good for a minute and once, and none outlives this process. */
export function createNonces(now: () => number) {
  const given = new Map<string, number>()
  const isGood = (nonce: string): boolean => {
    const at = given.get(nonce)
    // a clock that was set back makes none younger than it is by much
    return at != null && Math.abs(now() - at) <= GOOD_MS
  }
  return {
    give(): string {
      // the oldest goes first: who asks for many spoils only what was not used yet
      if (given.size >= MAX) given.delete(given.keys().next().value!)
      const nonce = randomBytes(16).toString('hex')
      given.set(nonce, now())
      return nonce
    },
    isGood,
    /** Whether it is good; it is not any more afterwards. */
    use(nonce: string): boolean {
      const was = isGood(nonce)
      given.delete(nonce)
      return was
    }
  }
}
