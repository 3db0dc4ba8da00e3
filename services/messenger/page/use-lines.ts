import { useCallback, useEffect, useMemo, useState } from 'react'
import { oneAtATime } from '../../host/page/one-at-a-time.ts'
import { PAGE_LINES } from './api.ts'
import type { PartProps } from './part.ts'
import type { Line } from './wire.ts'

export interface Page {
  /** the oldest first */
  lines: readonly Line[]
  /** there are older ones */
  hasMore: boolean
}

/** What was said in a chat, as far back as somebody looked; undefined: not known yet. */
export function useLines({ api, listen, fail }: PartProps, group: string) {
  const [page, setPage] = useState<Page>()
  const load = useCallback(async () => {
    const { items } = await api.lines(group)
    setPage(before => withNewest(before, items))
  }, [api, group])
  const reload = useMemo(() => oneAtATime(() => load().catch(fail)), [load, fail])
  useEffect(() => {
    void reload()
    return listen(event => {
      const { chat } = (event?.value ?? {}) as { chat?: string }
      const isOurs = event?.type === 'messenger:chat' && chat === group
      if (event === undefined || isOurs || event.type === 'messenger:kept') void reload()
    })
  }, [reload, listen, group])

  async function older(): Promise<void> {
    const { items } = await api.lines(group, page?.lines[0])
    setPage(before => ({
      lines: [...items.toReversed(), ...(before?.lines ?? [])],
      hasMore: isFull(items)
    }))
  }
  /** Loads older ones until this one is there. */
  async function reach(line: Line): Promise<void> {
    const found: Line[] = []
    let [oldest, hasMore] = [page?.lines[0], page?.hasMore ?? false]
    if (oldest === undefined || page!.lines.some(({ id }) => id === line.id)) return
    while (hasMore && !found.some(({ id }) => id === line.id)) {
      const { items } = await api.lines(group, oldest)
      found.unshift(...items.toReversed())
      oldest = found[0] ?? oldest
      hasMore = isFull(items)
    }
    setPage(before => ({ lines: [...found, ...(before?.lines ?? [])], hasMore }))
  }
  return { page, reload, older, reach }
}

/** Who came and went is told beside the messages that fill a page. */
const isFull = (lines: readonly Line[]): boolean =>
  lines.filter(({ kind }) => kind !== 'members').length >= PAGE_LINES

/** The newest page behind what is older; where nothing of it was here, what is between is not known. Pure. */
export function withNewest(before: Page | undefined, newestFirst: readonly Line[]): Page {
  const lines = newestFirst.toReversed()
  const from = before?.lines.findIndex(({ id }) => id === lines[0]?.id) ?? -1
  return from < 0
    ? { lines, hasMore: isFull(newestFirst) }
    : { lines: [...before!.lines.slice(0, from), ...lines], hasMore: before!.hasMore }
}
