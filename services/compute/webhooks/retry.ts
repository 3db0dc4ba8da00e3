const MINUTE_MS = 60_000
const FIRST_RETRY_MS = 5_000
const LAST_RETRY_MS = 30 * MINUTE_MS

/** A receiver that is down longer misses the message. */
export const GIVE_UP_MS = 24 * 60 * MINUTE_MS

/**
 * When a message is tried again after `attempts` in vain: 5 s, 10 s, … and at last every half hour; undefined when its
 * day is over. Times in ms since 1970.
 */
export function nextAttempt(created: number, attempts: number, now: number): number | undefined {
  const wait = Math.min(FIRST_RETRY_MS * 2 ** (attempts - 1), LAST_RETRY_MS)
  const last = created + GIVE_UP_MS
  if (now >= last) return undefined
  // the last try is when the day ends
  return Math.min(now + wait, last)
}
