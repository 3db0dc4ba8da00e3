import { byKey, type Change, compare, type KnownItem } from './core/compare.ts'
import { doubt, type Figures, figuresOf, remember } from './core/judge.ts'
import { isWanted, isWantedFirst } from './core/wanted.ts'
import { RuleError } from './errors.ts'
import type { Extractor } from './extract/extractor.ts'
import type { Rule } from './rule.ts'
import { compose } from './send/compose.ts'
import type { Page, Store } from './store.ts'
import type { Visit } from './visit.ts'

const SHOWN = 50
/** Changes of which a message is shown. */
const TOLD = 10

/** What a rule would have found on kept pages, and who would have been told what: by the same functions, and nothing is kept of it. */
export function createTest({
  store,
  visit,
  extractor
}: {
  store: Store
  visit: Visit
  extractor: Pick<Extractor, 'items'>
}) {
  return async (rule: Rule, id: string | undefined, signal: AbortSignal) => {
    const kept = id == null ? [] : store.pages.of(id)
    const pages =
      kept.length > 0 ? kept : await visit(rule, { id: id ?? '.test', signal, onLogin: refuse, after: 0 })
    const found = await extractor.items(
      pages.map(({ text }) => text),
      rule.extract,
      signal
    )
    const sentOf = (changes: readonly Change[], at: number, isFirst: boolean) =>
      store.subscriptions.list().flatMap(({ id: to, subscription }) => {
        const wants = isFirst ? isWantedFirst : isWanted
        const told = changes.filter(change => wants(subscription, { ...change, rule: id ?? '' }))
        if (told.length === 0) return []
        const events = told.slice(0, TOLD).map(change => ({ ...change, number: 0, at, rule: rule.name }))
        const kind = isFirst ? 'first' : 'events'
        const { text } = compose({ kind, subscription: subscription.name, events })
        return [{ subscription: to, events: told.length, text }]
      })
    let known: KnownItem[] | undefined
    let history: Figures[] = []
    return {
      fetches: [...Map.groupBy(pages.entries(), ([, { at }]) => at)].map(([at, of]) => {
        const items = byKey(
          of.flatMap(([i]) => found[i]!),
          rule.key
        )
        const names = Object.keys(rule.extract.fields)
        const figures = figuresOf([...items.values()], names)
        const reason = doubt(rule, {
          texts: of.map(([, { text }]: [number, Page]) => text),
          figures,
          history
        })
        const { changes } = reason == null ? compare(known ?? [], items) : { changes: [] }
        const isFirst = known == null
        if (reason == null) {
          known = after(known ?? [], items)
          history = remember(history, figures)
        }
        return {
          at,
          items: [...items.values()].slice(0, SHOWN),
          count: items.size,
          emptyFields: names.filter(name => figures.fill[name] === 0),
          doubt: reason,
          changes: isFirst ? 0 : changes.length,
          sent: sentOf(changes, at, isFirst)
        }
      })
    }
  }
}

function after(known: readonly KnownItem[], found: Parameters<typeof compare>[1]): KnownItem[] {
  const items = new Map(known.map(item => [item.key, item]))
  for (const item of compare(known, found).items) items.set(item.key, item)
  return [...items.values()]
}

function refuse(): never {
  throw new RuleError(
    'a rule with a login is tested on pages that are kept: put it, paused if need be, and run it once'
  )
}
