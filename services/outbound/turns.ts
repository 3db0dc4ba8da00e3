import { setTimeout as delay } from 'node:timers/promises'
import { UnwelcomeError } from './errors.ts'

/** What a host has let us know. */
export interface Manners {
  /** ms since 1970; nothing is asked before */
  notBefore: number
  /** answers 429 and 503 in a row */
  refusals: number
}

const BACK_OFF_MS = 60_000
const MOST_BACK_OFF_MS = 6 * 3_600_000
/** Who has to wait longer for its turn is told so instead. */
const PATIENCE_MS = 10 * 60_000

/**
 * When a host may be asked again after an answer.
 *
 * @param retryAfter the header: seconds or a date (RFC 9110); undefined where there was none
 */
export function mannersAfter(
  { refusals }: Manners,
  { status, retryAfter, now, gapMs }: { status: number; retryAfter?: string; now: number; gapMs: number }
): Manners {
  if (status !== 429 && status !== 503) return { notBefore: now + gapMs, refusals: 0 }
  const asked = retryAfter == null ? undefined : retryMs(retryAfter, now)
  const waitMs = asked ?? BACK_OFF_MS * 2 ** Math.min(refusals, 12)
  return { notBefore: now + Math.max(gapMs, Math.min(waitMs, MOST_BACK_OFF_MS)), refusals: refusals + 1 }
}

function retryMs(text: string, now: number): number | undefined {
  if (/^\d{1,9}$/.test(text.trim())) return Number(text) * 1000
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : Math.max(0, at - now)
}

/** One after the other per host, with a pause between two. */
export function createTurns({ now = Date.now }: { now?: () => number } = {}) {
  const hosts = new Map<string, Manners & { last: Promise<unknown>; waiting: number }>()

  /**
   * Does `work` when it is the host's turn; it tells how the host answered.
   *
   * @throws {UnwelcomeError} the host wants a longer pause than anybody waits for
   */
  async function take<T>(
    host: string,
    { gapMs, signal }: { gapMs: number; signal: AbortSignal },
    work: (answered: (status: number, retryAfter?: string) => void) => Promise<T>
  ): Promise<T> {
    const state = hosts.get(host) ?? { notBefore: 0, refusals: 0, last: Promise.resolve(), waiting: 0 }
    hosts.set(host, state)
    const before = state.last
    const { promise, resolve: leave } = Promise.withResolvers<void>()
    // who gives up while it waits leaves the order as it was
    state.last = before.then(() => promise)
    state.waiting++
    try {
      await raceSignal(before, signal)
      const waitMs = state.notBefore - now()
      if (waitMs > PATIENCE_MS)
        throw new UnwelcomeError(
          `${host} wants to be left alone until ${new Date(state.notBefore).toISOString()}`,
          state.notBefore
        )
      if (waitMs > 0) await delay(waitMs, undefined, { signal })
      return await work((status, retryAfter) =>
        Object.assign(state, mannersAfter(state, { status, retryAfter, now: now(), gapMs }))
      )
    } finally {
      leave()
      state.waiting--
      forget(host)
    }
  }

  /** A host that nobody waits for and that has long wanted nothing is as one that was never asked. */
  function forget(newest: string): void {
    for (const [host, { waiting, notBefore, refusals }] of hosts) {
      const keptMs = refusals === 0 ? 0 : MOST_BACK_OFF_MS
      if (host !== newest && waiting === 0 && notBefore + keptMs < now()) hosts.delete(host)
    }
  }

  return { take }
}

async function raceSignal(promise: Promise<unknown>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
