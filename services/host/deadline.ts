import { setMaxListeners } from 'main-event'
import { raceSignal } from 'race-signal'
import { OverdueError } from './errors.ts'

/** A signal that ends with any of `signals`, and with an OverdueError after `ms` unless it is put off. */
export function createDeadline(what: string, ms: number, signals: readonly (AbortSignal | undefined)[]) {
  const controller = new AbortController()
  const given = signals.filter(signal => signal != null)
  setMaxListeners(Number.POSITIVE_INFINITY, controller.signal)
  const onAbort = (): void => controller.abort(given.find(({ aborted }) => aborted)?.reason)
  for (const signal of given) signal.addEventListener('abort', onAbort, { once: true })
  if (given.some(({ aborted }) => aborted)) onAbort()
  const late = (): void => controller.abort(new OverdueError(`${what} took more than ${ms} ms`))
  let timer = setTimeout(late, ms)
  return {
    signal: controller.signal,
    /** Something happened: the time begins anew. */
    putOff(): void {
      clearTimeout(timer)
      timer = setTimeout(late, ms)
    },
    /** No longer than the signal, however long the work takes. */
    within<T>(work: Promise<T> | T): Promise<T> {
      return raceSignal(Promise.resolve(work), controller.signal)
    },
    [Symbol.dispose](): void {
      clearTimeout(timer)
      for (const signal of given) signal.removeEventListener('abort', onAbort)
    }
  }
}
