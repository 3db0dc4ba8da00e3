/** Waits, or until the signal. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) return resolve()
    const end = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end)
  })
}

/** Does the work again and again with a rest in between, until the signal; what it throws is told and not the end. */
export async function every(
  restMs: number,
  signal: AbortSignal,
  work: () => Promise<void>,
  onError: (error: Error) => void
): Promise<void> {
  while (!signal.aborted) {
    try {
      await work()
    } catch (error) {
      if (!signal.aborted) onError(error as Error)
    }
    await pause(restMs, signal)
  }
}

/** The promise, or the reason of the signal when that comes first. What the promise stands for goes on. */
export function within<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (signal == null) return promise
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error)
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

/** Whether a time is that long ago. One that lies ahead is: the clock was set back since, and would be for years. */
export const isOver = (since: number, ms: number, now: number): boolean => now < since || now - since >= ms
