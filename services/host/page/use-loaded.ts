import { useCallback, useEffect, useMemo, useState } from 'react'
import { oneAtATime } from './one-at-a-time.ts'

interface Events {
  listen(listener: (event: { type: string } | undefined) => void): () => void
  topic: string
  fail(error: Error): void
}

/**
 * What the node says; asked again when the service tells `topic`, and where something may have been missed. `load` and
 * `fail` must keep their identity. `value` undefined: not known yet.
 */
export function useLoaded<T>(
  load: () => Promise<T>,
  { listen, topic, fail }: Events
): { value: T | undefined; reload(): Promise<void> } {
  const [value, setValue] = useState<T>()
  const ask = useCallback(() => load().then(setValue, fail), [load, fail])
  const reload = useMemo(() => oneAtATime(ask), [ask])
  useEffect(() => {
    void reload()
    return listen(event => {
      if (event === undefined || event.type === topic) void reload()
    })
  }, [reload, listen, topic])
  return { value, reload }
}
