import { useSyncExternalStore } from 'react'

/*
 * Pages live behind the hash, so that the node serves one file and needs no list of pages.
 */

export const PAGES = [
  'overview',
  'jobs',
  'compose',
  'ledger',
  'contribute',
  'lend',
  'services',
  'accounts',
  'account'
] as const
export type PageName = (typeof PAGES)[number]

export interface Route {
  page: PageName
  /** what stands after the page: a job, a service */
  id?: string
}

/** `#/jobs/ID` → page and id; everything unknown is the overview. */
export function parseRoute(hash: string): Route {
  const [page, id] = hash.replace(/^#\/?/, '').split('/', 2)
  const known = PAGES.find(name => name === page)
  return known == null ? { page: 'overview' } : { page: known, ...(id ? { id: decode(id) } : {}) }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

export const href = (page: PageName, id?: string): string =>
  `#/${page}${id == null ? '' : `/${encodeURIComponent(id)}`}`

export function go(page: PageName, id?: string): void {
  window.location.hash = href(page, id)
}

function subscribe(changed: () => void): () => void {
  window.addEventListener('hashchange', changed)
  return () => window.removeEventListener('hashchange', changed)
}

export function useRoute(): Route {
  return parseRoute(useSyncExternalStore(subscribe, () => window.location.hash))
}
