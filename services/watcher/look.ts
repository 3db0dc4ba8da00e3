import type { Message, Outcome } from './contract.ts'
import { byKey, compare } from './core/compare.ts'
import { doubt, figuresOf, remember } from './core/judge.ts'
import { LoginError } from './errors.ts'
import type { Fields } from './extract/contract.ts'
import type { Extractor } from './extract/extractor.ts'
import type { Page, RuleState, Store } from './store.ts'
import type { Visit } from './visit.ts'

export interface LookInit {
  store: Store
  visit: Visit
  extractor: Pick<Extractor, 'items'>
  /** Writes messages for whom events and alarms are of interest; called inside the transaction. */
  outbox: {
    cut(): void
    alarm(rule: RuleState, message: Pick<Message, 'kind' | 'reason' | 'before' | 'after'>): void
    first(rule: RuleState): void
  }
  now(): number
}

/** So many broken fetches in a row are told, once. */
const ALARM_AFTER = 3
const LOGINS_A_DAY = 3
const DAY_MS = 86_400_000
/** Of all pages, with the pauses between them. */
const LOOK_MS = 3_600_000

/**
 * Looks at the pages of a rule, and keeps what has changed. Events, their messages and what subscriptions have seen are one
 * transaction: after a power cut all of it is there or nothing.
 */
export function createLook({ store, visit, extractor, outbox, now }: LookInit) {
  return async (id: string, stop: AbortSignal): Promise<Outcome> => {
    const signal = AbortSignal.any([stop, AbortSignal.timeout(LOOK_MS)])
    const state = store.rules.get(id)
    const { rule } = state
    let pages: Page[]
    let rows: Fields[]
    try {
      pages = await visit(rule, { id, signal, onLogin: () => countLogin(state) })
      rows = (
        await extractor.items(
          pages.map(({ text }) => text),
          rule.extract,
          signal
        )
      ).flat()
    } catch (error) {
      // that somebody stopped it says nothing of the site
      stop.throwIfAborted()
      return store.atomically(() => failed(id, error as Error))
    }
    // the rule may have been changed or removed while its pages came
    return store.atomically(() => keep(store.rules.get(id), state.version, pages, rows))
  }

  function failed(id: string, error: Error): Outcome {
    const { broken } = store.rules.get(id)
    const outcome = end('failed', { reason: `${error.name}: ${error.message}` })
    store.rules.ended(id, outcome, broken)
    return outcome
  }

  function keep(state: RuleState, version: string, pages: Page[], rows: Fields[]): Outcome {
    const { id, rule, isBased, history } = state
    if (state.version !== version) return end('failed', { reason: 'the rule was changed meanwhile' })
    for (const page of pages) store.pages.add(id, page)
    const found = byKey(rows, rule.key)
    const figures = figuresOf([...found.values()], Object.keys(rule.extract.fields))
    const reason = doubt(rule, { texts: pages.map(({ text }) => text), figures, history })
    if (reason != null) return broke(state, reason, found)
    if (state.broken >= ALARM_AFTER) outbox.alarm(state, { kind: 'mended' })
    const at = now()
    if (!isBased) store.items.clear(id)
    const { changes, items } = compare(store.items.known(id), found)
    for (const item of items) store.items.put(id, item, at)
    store.items.seen(id, at)
    store.rules.based(id, remember(history, figures))
    if (isBased) for (const change of changes) store.events.add(id, at, change)
    else outbox.first(state)
    outbox.cut()
    const count = isBased ? changes.length : 0
    const outcome = end('ok', { items: found.size, changes: count, isFirst: !isBased })
    store.rules.ended(id, outcome, 0)
    store.prune(id, rule.retentionDays, at)
    return outcome
  }

  function broke(state: RuleState, reason: string, found: ReadonlyMap<string, Fields>): Outcome {
    const broken = state.broken + 1
    const outcome = end('broken', { reason, items: found.size })
    store.rules.ended(state.id, outcome, broken)
    store.prune(state.id, state.rule.retentionDays, now())
    if (broken === ALARM_AFTER) {
      const [before] = store.items.known(state.id)
      outbox.alarm(state, { kind: 'broken', reason, before: before?.fields, after: [...found.values()][0] })
    }
    return outcome
  }

  function countLogin({ id, logins }: RuleState): void {
    const recent = logins.filter(at => at > now() - DAY_MS)
    if (recent.length >= LOGINS_A_DAY)
      throw new LoginError(
        `${LOGINS_A_DAY} logins within a day; the next is at ${new Date(recent[0]! + DAY_MS).toISOString()}`
      )
    store.rules.loggedIn(id, [...recent, now()])
  }

  function end(state: Outcome['state'], what: Partial<Outcome>): Outcome {
    return { at: now(), state, items: 0, changes: 0, isFirst: false, ...what }
  }
}
