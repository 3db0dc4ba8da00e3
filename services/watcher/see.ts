import { byKey } from './core/compare.ts'
import type { Fields } from './extract/contract.ts'
import type { Extractor } from './extract/extractor.ts'
import type { SharedRule } from './messages.ts'
import type { Rule } from './rule.ts'
import type { Page } from './store.ts'
import type { Visit, VisitOptions } from './visit.ts'

export interface Seeing {
  visit: Visit
  extractor: Pick<Extractor, 'items'>
}

/** The pages of a rule, and the items that stand there, by their key. */
export async function see(
  { visit, extractor }: Seeing,
  rule: SharedRule & Pick<Rule, 'login' | 'browser'>,
  options: VisitOptions
): Promise<{ pages: Page[]; items: Map<string, Fields> }> {
  const pages = await visit(rule, options)
  const texts = pages.map(({ text }) => text)
  const rows = await extractor.items(texts, rule.extract, options.signal)
  return { pages, items: byKey(rows.flat(), rule.key) }
}
