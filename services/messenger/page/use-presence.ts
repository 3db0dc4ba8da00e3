import { useCallback, useEffect, useRef, useState } from 'react'
import { useLoaded } from '../../host/page/use-loaded.ts'
import type { Api } from './api.ts'
import type { PartProps } from './part.ts'
import type { Presence } from './wire.ts'

/** The node takes somebody who says nothing for 75 s to be gone. */
const HERE_MS = 30_000
const LOOK_MS = 20_000
/** Nobody says that he writes no more. */
const SOON_MS = 3_000
const TYPING_MS = 3_000

// what cannot be told now is told the next time, and that the node does not answer stands above
const later = (): void => undefined

/** Who of a chat is here, and who writes; undefined: not known yet. */
export function usePresence({ api, listen }: PartProps, group: string): Presence | undefined {
  const load = useCallback(() => api.presence(group), [api, group])
  const [isWriting, setIsWriting] = useState(false)
  const { value } = useLoaded(load, {
    listen,
    topic: 'messenger:presence',
    fail: later,
    everyMs: isWriting ? SOON_MS : LOOK_MS
  })
  useEffect(() => setIsWriting(value !== undefined && value.typing.length > 0), [value])
  return value
}

/** Tells the others that this person is here, as long as he sees the page. */
export function useHere(api: Api, isOn: boolean): void {
  useEffect(() => {
    if (!isOn) return undefined
    const tell = (): void => {
      const isSeen = document.visibilityState === 'visible'
      api.setPresence(isSeen ? 'here' : 'away').catch(later)
    }
    tell()
    const timer = window.setInterval(tell, HERE_MS)
    document.addEventListener('visibilitychange', tell)
    return () => {
      window.clearInterval(timer)
      document.removeEventListener('visibilitychange', tell)
      api.setPresence('away').catch(later)
    }
  }, [api, isOn])
}

/** To be called whenever something is written. */
export function useTyping(api: Api, group: string): () => void {
  const last = useRef(0)
  return useCallback(() => {
    if (Date.now() - last.current < TYPING_MS) return
    last.current = Date.now()
    api.setPresence('typing', group).catch(later)
  }, [api, group])
}
