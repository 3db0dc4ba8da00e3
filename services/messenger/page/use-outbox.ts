import { useEffect, useState } from 'react'
import type { Api } from './api.ts'
import { createOutbox, type Outbox, type Waiting } from './outbox.ts'
import type { PageProps } from './props.ts'

/** What was written here and is not with the node yet; it goes as long as the page is open. */
export function useOutbox(api: Api, listen: PageProps['listen']) {
  const [waiting, setWaiting] = useState<readonly Waiting[]>([])
  const [outbox, setOutbox] = useState<Outbox>()
  useEffect(() => {
    const made = createOutbox(api.say, setWaiting)
    setOutbox(made)
    const stop = listen(event => {
      if (event === undefined) made.wake()
    })
    return () => {
      stop()
      made.close()
    }
  }, [api, listen])
  return { waiting, outbox }
}
