import { useCallback, useEffect, useState } from 'react'
import type { PageProps } from './api.ts'

/**
 * What the node says; asked again when the service tells `topic`, and where something may have been missed. `load` and
 * `fail` must keep their identity. `value` undefined: not known yet.
 */
export function useLoaded<T>(
  load: () => Promise<T>,
  { listen, topic, fail }: { listen: PageProps['listen']; topic: string; fail: (error: Error) => void }
): { value: T | undefined; reload(): Promise<void> } {
  const [value, setValue] = useState<T>()
  const reload = useCallback(() => load().then(setValue, fail), [load, fail])
  useEffect(() => {
    void reload()
    return listen(event => {
      if (event === undefined || event.type === topic) void reload()
    })
  }, [reload, listen, topic])
  return { value, reload }
}
