import { useCallback, useEffect, useRef, useState } from 'react'

/** Nothing is told of what changes with every question. */
const REFRESH_MS = 5_000

/** What the node says, asked again every so often. `load` and `fail` must keep their identity. `value` undefined: not known yet. */
export function useLoaded<T>(
  load: () => Promise<T>,
  fail: (error: Error) => void
): { value: T | undefined; reload(): Promise<void> } {
  const [value, setValue] = useState<T>()
  const latest = useRef(load)
  latest.current = load
  const reload = useCallback(
    () =>
      load().then(answer => {
        // of what was asked before it is no answer
        if (latest.current === load) setValue(answer)
      }, fail),
    [load, fail]
  )
  useEffect(() => {
    void reload()
    const timer = window.setInterval(() => void reload(), REFRESH_MS)
    return () => window.clearInterval(timer)
  }, [reload])
  return { value, reload }
}
