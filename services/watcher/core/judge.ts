import type { Fields } from '../extract/contract.ts'
import type { Rule } from '../rule.ts'

/** Of a right fetch, to hold later ones against. */
export interface Figures {
  items: number
  /** by field: the share of items in which it is not empty */
  fill: Readonly<Record<string, number>>
}

const KEPT = 10

export function figuresOf(items: readonly Fields[], names: readonly string[]): Figures {
  const fill = names.map(name => [
    name,
    items.length === 0 ? 0 : items.filter(fields => (fields[name] ?? '') !== '').length / items.length
  ])
  return { items: items.length, fill: Object.fromEntries(fill) }
}

/** The newest ten, the newest last. */
export const remember = (history: readonly Figures[], figures: Figures): Figures[] =>
  [...history, figures].slice(-KEPT)

/**
 * Why what was found is not believed; undefined: it is right. A changed layout would else say that everything is gone.
 *
 * @param texts the pages
 * @param history of the right fetches before, the newest last
 */
export function doubt(
  { expect, login, browser }: Pick<Rule, 'expect' | 'login' | 'browser'>,
  { texts, figures, history }: { texts: readonly string[]; figures: Figures; history: readonly Figures[] }
): string | undefined {
  const lacks = (text: string): boolean => texts.some(page => !page.includes(text))
  const marker = (login ?? browser?.login)?.marker
  if (marker != null && lacks(marker)) return `a page does not have "${marker}": not logged in`
  const header = expect.header.find(lacks)
  if (header != null) return `a page does not have "${header}"`
  if (figures.items === 0 && expect.emptyWhen != null && texts.some(page => page.includes(expect.emptyWhen!)))
    return undefined
  if (figures.items === 0) return 'there are no items'
  const usual = median(history.map(({ items }) => items))
  if (figures.items * 2 < usual) return `${figures.items} items, where ${usual} are usual`
  for (const [name, share] of Object.entries(figures.fill)) {
    const before = median(history.filter(({ items }) => items > 0).map(({ fill }) => fill[name] ?? 0))
    if (share * 2 < before)
      return `"${name}" stands in ${percent(share)} of the items, where ${percent(before)} are usual`
  }
  return undefined
}

/** 0 of none */
function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length % 2 === 1) return sorted[middle]!
  return sorted.length === 0 ? 0 : (sorted[middle - 1]! + sorted[middle]!) / 2
}

const percent = (share: number): string => `${Math.round(share * 100)} %`
