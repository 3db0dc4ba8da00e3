import { setTimeout as delay } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import { TooManyMessagesError } from '../errors.ts'

/** At once, before the rate counts: what somebody wrote while he was away, and the notes of a large new chat. */
export const BURST = 1_000
/** More have not sent lately; who is forgotten may send a burst again. */
const MAX_SENDERS = 10_000
/** Whoever brings something waits longer for an answer. */
const MAX_WAIT_MS = 25_000

/** How often each does something: `BURST` times at once, and `perMinute` times a minute. Times are ms of any one clock. */
export function createRates(perMinute: () => number) {
  /** when all that each did would have been through at the rate */
  const throughAt = new LRUCache<string, number>({ max: MAX_SENDERS })
  const through = (who: string, count: number, at: number): number => {
    const eachMs = 60_000 / perMinute()
    return Math.max(throughAt.get(who) ?? -Infinity, at - BURST * eachMs) + count * eachMs
  }
  const wait = (who: string, count: number, at: number): number => Math.max(0, through(who, count, at) - at)
  return {
    /** After how many ms so many, at most `BURST`, are within the rate. */
    wait,
    /** The same, and counts them where that is 0. */
    take(who: string, count: number, at: number): number {
      const waitMs = wait(who, count, at)
      if (waitMs === 0) throughAt.set(who, through(who, count, at))
      return waitMs
    }
  }
}
export type Rates = ReturnType<typeof createRates>

/**
 * Waits until so many more of a sender are within the rate: he hears nothing till then, and sends nothing on.
 *
 * @param onSlow it has to wait
 * @throws {TooManyMessagesError} it would take too long; nothing is counted, and he brings it again
 */
export async function inTime(
  rates: Rates,
  who: string,
  count: number,
  onSlow: () => void,
  signal: AbortSignal
): Promise<void> {
  const endAt = performance.now() + MAX_WAIT_MS
  for (;;) {
    const now = performance.now()
    const waitMs = rates.take(who, count, now)
    if (waitMs === 0) return
    onSlow()
    if (now + waitMs > endAt) {
      const seconds = Math.ceil(waitMs / 1000)
      throw new TooManyMessagesError(
        `more than the policy lets a device send; go on in ${seconds} s`,
        seconds
      )
    }
    await delay(waitMs, undefined, { signal })
  }
}
