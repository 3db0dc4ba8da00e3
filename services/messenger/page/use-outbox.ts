import { useEffect, useRef, useState } from 'react'
import type { Api } from './api.ts'
import { createOutbox, type Outbox, type Waiting } from './outbox.ts'
import type { PageProps } from './props.ts'

const KEY = 'artel.messenger.outbox'

/**
 * What was written here and is not with the node yet; it goes as long as the tab is open, also after the page was
 * loaded anew. Whoever signs out lets go of it, and nobody sends what another wrote.
 */
export function useOutbox(api: Api, listen: PageProps['listen'], me: string, isQuiet: boolean) {
  const isQuietNow = useRef(isQuiet)
  isQuietNow.current = isQuiet
  const [waiting, setWaiting] = useState<readonly Waiting[]>([])
  const [outbox, setOutbox] = useState<Outbox>()
  useEffect(() => {
    const kept = keptOf(me)
    setWaiting(kept)
    const made = createOutbox(
      (message, key) => (isQuietNow.current ? api.sayLater : api.say)(message, key),
      rows => {
        sessionStorage.setItem(KEY, JSON.stringify({ me, rows }))
        setWaiting(rows)
      },
      kept
    )
    setOutbox(made)
    const stop = listen(event => {
      if (event === undefined) made.wake()
    })
    return () => {
      stop()
      made.close()
    }
  }, [api, listen, me])
  return { waiting, outbox }
}

function keptOf(me: string): readonly Waiting[] {
  const { me: by, rows } = JSON.parse(sessionStorage.getItem(KEY) ?? '{}') as {
    me?: string
    rows?: Waiting[]
  }
  return by === me ? rows! : []
}
