import { setMaxListeners } from 'main-event'
import { raceSignal } from 'race-signal'
import { OverdueError } from './errors.ts'

/** A timer that fires so late was held up by this process itself. */
const STOOD_STILL_MS = 100

/**
 * Calls `onLate` when `ms` are over. Where this process stood still meanwhile, what it waits for may have come and is only
 * not read yet, as timers come first: then it waits once more, for as long as it was late, and `ms` at most.
 */
export function startDeadline(ms: number, onLate: () => void) {
  let timer: NodeJS.Timeout
  function wait(nextMs: number, isAgain: boolean): void {
    const due = performance.now() + nextMs
    timer = setTimeout(() => {
      const lateMs = performance.now() - due
      if (isAgain || lateMs < STOOD_STILL_MS) onLate()
      else wait(Math.min(lateMs, ms), true)
    }, nextMs)
  }
  wait(ms, false)
  return {
    /** The time begins anew. */
    again(): void {
      clearTimeout(timer)
      wait(ms, false)
    },
    stop: (): void => clearTimeout(timer)
  }
}

/** A signal that ends with any of `signals`, and with an OverdueError after `ms` unless it is put off. */
export function createDeadline(what: string, ms: number, signals: readonly (AbortSignal | undefined)[]) {
  const controller = new AbortController()
  const given = signals.filter(signal => signal != null)
  setMaxListeners(Number.POSITIVE_INFINITY, controller.signal)
  const onAbort = (): void => controller.abort(given.find(({ aborted }) => aborted)?.reason)
  for (const signal of given) signal.addEventListener('abort', onAbort, { once: true })
  if (given.some(({ aborted }) => aborted)) onAbort()
  const timer = startDeadline(ms, () => controller.abort(new OverdueError(`${what} took more than ${ms} ms`)))
  return {
    signal: controller.signal,
    /** Something happened: the time begins anew. */
    putOff: timer.again,
    /** No longer than the signal, however long the work takes. */
    within<T>(work: Promise<T> | T): Promise<T> {
      return raceSignal(Promise.resolve(work), controller.signal)
    },
    [Symbol.dispose](): void {
      timer.stop()
      for (const signal of given) signal.removeEventListener('abort', onAbort)
    }
  }
}
