import { useCallback, useEffect, useState } from 'react'
import type { Api } from './api.ts'
import type { Words } from './words.ts'

/** What each part of the page works with. `tell` and `fail` keep their identity. */
export interface PartProps {
  api: Api
  words: Words
  tell(text: string): void
  fail(error: Error): void
}

const REFRESH_MS = 3_000

/**
 * What the node says, asked again and again while somebody looks. `load` and `fail` must keep their identity. `value`
 * undefined: not known yet.
 */
export function usePolled<T>(load: () => Promise<T>, fail: (error: Error) => void) {
  const [value, setValue] = useState<T>()
  const reload = useCallback(() => load().then(setValue, fail), [load, fail])
  useEffect(() => {
    void reload()
    const timer = setInterval(() => {
      if (!document.hidden) void reload()
    }, REFRESH_MS)
    return () => clearInterval(timer)
  }, [reload])
  return { value, reload }
}

/** Lines that are not empty. */
export const linesOf = (text: string): string[] =>
  text
    .split('\n')
    .map(line => line.trim())
    .filter(Boolean)
