import { hostOf } from '../../outbound/index.ts'
import { RuleError } from '../errors.ts'
import { MAX_SHARED_PAGES, type SharedRule } from '../messages.ts'
import { pagesOf, type Rule } from '../rule.ts'

/** What of a rule others are told. */
export const sharedOf = ({ urls, pages, extract, key }: Rule): SharedRule => ({ urls, pages, extract, key })

/**
 * The hosts that a rule names (`name:port`), the first page's first.
 *
 * @throws {RuleError} it has too many pages, or an address is none
 */
export function hostsOf(rule: SharedRule): string[] {
  const pages = pagesOf(rule)
  if (pages.length > MAX_SHARED_PAGES)
    throw new RuleError(
      `agree: at most ${MAX_SHARED_PAGES} pages, for others look at them too; here are ${pages.length}`
    )
  const hosts = pages.map(page => {
    const url = URL.parse(page)
    if (url == null) throw new RuleError(`urls: ${page.slice(0, 200)} is no address`)
    return hostOf(url)
  })
  return [...new Set(hosts)]
}
