/** How a try ended before its first byte. */
export type Failure =
  | { kind: 'connect' | 'overdue' }
  | { kind: 'status'; status: number; code?: string; retryAfterMs?: number }

export type Decision = { next: 'again'; waitMs: number } | { next: 'provider' } | { next: 'fail' }

const TRIES = 2
const FIRST_WAIT_MS = 500
/** Who says that it takes longer is left for another one. */
const LONGEST_WAIT_MS = 10_000
/** of statuses below 500, those that pass by themselves */
const PASSING: ReadonlySet<number> = new Set([408, 409, 429])

/** Whether it says nothing about the question: another try, or another provider, may answer. */
export const isPassing = (failure: Failure): boolean =>
  failure.kind !== 'status' ||
  ((failure.status >= 500 || PASSING.has(failure.status)) && failure.code !== 'insufficient_quota')

/**
 * What to do after a failed try, of which there have been `tries` at this provider.
 *
 * @param random from 0 to 1, so that those who failed together do not come back together
 */
export function decide(failure: Failure, tries: number, random: number): Decision {
  if (!isPassing(failure)) return { next: 'fail' }
  const told = failure.kind === 'status' ? failure.retryAfterMs : undefined
  const waitMs = told ?? FIRST_WAIT_MS * 2 ** (tries - 1) * (0.5 + random / 2)
  return tries >= TRIES || waitMs > LONGEST_WAIT_MS ? { next: 'provider' } : { next: 'again', waitMs }
}

/** `Retry-After` (RFC 9110, 10.2.3) in ms; undefined where it says nothing. */
export function readRetryAfter(text: string | undefined, now: number): number | undefined {
  if (text == null) return undefined
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : Math.max(0, at - now)
}
