import { useCallback, useEffect, useRef, useState } from 'react'
import type { PageProps } from './api.ts'

interface Loaded<T> {
  /** undefined: not known yet */
  value: T | undefined
  reload(): Promise<void>
}

/**
 * What the node says, asked again when the service tells that something has changed, and every so often where nothing
 * is told. `load` and `fail` must keep their identity.
 */
export function useLoaded<T>(
  load: () => Promise<T>,
  listen: PageProps['listen'],
  fail: (error: Error) => void,
  everyMs: number
): Loaded<T> {
  const [value, setValue] = useState<T>()
  const latest = useRef(load)
  latest.current = load
  const reload = useCallback(async () => {
    try {
      const answer = await load()
      // an answer of the machine that was looked at before
      if (latest.current === load) setValue(answer)
    } catch (error) {
      if (latest.current === load) fail(error as Error)
    }
  }, [load, fail])

  useEffect(() => {
    setValue(undefined)
    void reload()
    const timer = window.setInterval(() => void reload(), everyMs)
    const stop = listen(event => {
      if (event === undefined || event.type.startsWith('vm:')) void reload()
    })
    return () => {
      window.clearInterval(timer)
      stop()
    }
  }, [reload, listen, everyMs])
  return { value, reload }
}
