import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { oneAtATime } from './one-at-a-time.ts'

interface Options {
  fail(error: Error): void
  /** of the dashboard, with what the service tells when something has changed */
  listen?(listener: (event: { type: string } | undefined) => void): () => void
  topic?: string
  /** where nothing is told of what changes */
  everyMs?: number
}

/**
 * What the node says; asked again when the service tells `topic`, and where something may have been missed, or every so
 * often. `load` and `fail` must keep their identity. `value` undefined: not known yet.
 */
export function useLoaded<T>(
  load: () => Promise<T>,
  { listen, topic, fail, everyMs }: Options
): { value: T | undefined; reload(): Promise<void> } {
  const [value, setValue] = useState<T>()
  const latest = useRef(load)
  latest.current = load
  const ask = useCallback(
    () =>
      load().then(answer => {
        // of what was asked before it is no answer
        if (latest.current === load) setValue(answer)
      }, fail),
    [load, fail]
  )
  const reload = useMemo(() => oneAtATime(ask), [ask])
  useEffect(() => {
    void reload()
    const timer = everyMs == null ? undefined : window.setInterval(() => void reload(), everyMs)
    const stop = listen?.(event => {
      if (event === undefined || event.type === topic) void reload()
    })
    return () => {
      window.clearInterval(timer)
      stop?.()
    }
  }, [reload, listen, topic, everyMs])
  return { value, reload }
}
