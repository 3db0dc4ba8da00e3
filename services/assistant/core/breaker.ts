/** Whether a provider's model is asked; pure, kept by who asks. */
export interface Breaker {
  /** failures one after the other */
  failures: number
  /** ms since 1970 until which nobody asks; then one may try */
  openUntil: number
}

export const CLOSED: Breaker = { failures: 0, openUntil: 0 }
const FAILURES = 5
const OPEN_MS = 30_000

/**
 * @returns how it stands while the try goes on; undefined: it may not be asked. After a pause one alone may try, for
 *   meanwhile it is open again.
 */
export function tryAt(breaker: Breaker, now: number): Breaker | undefined {
  if (breaker.failures < FAILURES) return breaker
  return now < breaker.openUntil ? undefined : { ...breaker, openUntil: now + OPEN_MS }
}

export const failedAt = ({ failures }: Breaker, now: number): Breaker => ({
  failures: failures + 1,
  openUntil: failures + 1 < FAILURES ? 0 : now + OPEN_MS
})
