import { raceSignal } from 'race-signal'
import type { KnownPage, Page } from './store.ts'

/** What a page was when it came. */
export interface Read extends Pick<Page, 'url' | 'text' | 'hash' | 'validators'> {
  bytes: number
}

export interface Wanted {
  /** ms since 1970: a page that was asked for later than that does; default: only one that comes now */
  after?: number
  /** what the caller has of it, from before */
  known?: KnownPage
  signal: AbortSignal
}

/** `isCommon`: what anybody would get; else it may be the visitor's alone */
interface Fetched {
  page: Read
  isCommon: boolean
}

interface Kept {
  at: number
  /** undefined: it still comes */
  page?: Read
  coming: Promise<Read | undefined>
}

/** Of all pages that are kept here together. */
const MOST_CHARS = 20_000_000

/**
 * Pages that are the same for everybody: who asks for one while it comes or soon after gets that one, and later it is asked
 * whether it is still right.
 *
 * @param keptMs how long one serves others as it is
 */
export function createRecent({ keptMs, now }: { keptMs(): number; now(): number }) {
  const pages = new Map<string, Kept>()
  let chars = 0

  function drop(key: string): void {
    chars -= pages.get(key)?.page?.text.length ?? 0
    pages.delete(key)
  }

  /** Forgets what can serve nobody, and the oldest where all are too much. */
  function forget(): void {
    const youngest = now() - keptMs()
    for (const [key, { at, page }] of pages)
      if (page != null && (chars > MOST_CHARS || (at < youngest && page.validators == null))) drop(key)
  }

  /** @param fetch may say that the known one is still right */
  return async function read(
    key: string,
    wanted: Wanted,
    fetch: (known: KnownPage | undefined) => Promise<Fetched>
  ): Promise<Read> {
    const { after = Number.POSITIVE_INFINITY, signal } = wanted
    const last = pages.get(key)
    if (last != null && last.at > after && (last.page == null || last.at + keptMs() >= now())) {
      // who asked for it may have gone, or it was for him alone
      return (await raceSignal(last.coming, signal)) ?? read(key, wanted, fetch)
    }
    const old = last?.page
    const at = now()
    const fetched = fetch(wanted.known ?? (old && { ...old, text: () => old.text }))
    const begun: Kept = { at, coming: fetched.then(keep, () => keep()) }
    function keep(fetched?: Fetched): Read | undefined {
      if (!fetched?.isCommon) {
        if (pages.get(key) === begun) drop(key)
        return
      }
      const { page } = fetched
      if (pages.get(key) === begun) {
        begun.page = page
        chars += page.text.length
        forget()
      }
      return page
    }
    // the newest comes last
    drop(key)
    pages.set(key, begun)
    return (await fetched).page
  }
}
