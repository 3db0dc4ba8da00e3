/** Lets at most `width` tasks run at the same time; the others wait in the order in which they came. */
export function createGate(width: number): <R>(task: () => Promise<R>) => Promise<R> {
  const waiting: (() => void)[] = []
  let free = width
  return async task => {
    if (free > 0) free--
    else await new Promise<void>(resolve => waiting.push(resolve))
    try {
      return await task()
    } finally {
      const next = waiting.shift()
      if (next == null) free++
      else next()
    }
  }
}
