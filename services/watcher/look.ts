import type { Agreement, Message, Outcome } from './contract.ts'
import { compare } from './core/compare.ts'
import { doubt, figuresOf, remember } from './core/judge.ts'
import { LoginError } from './errors.ts'
import type { Fields } from './extract/contract.ts'
import { type Seeing, see } from './see.ts'
import type { Share } from './share/create-share.ts'
import type { Page, RuleState, Store } from './store.ts'

interface Seen {
  pages: Page[]
  /** what this node saw, by which the site is judged */
  own: ReadonlyMap<string, Fields>
  /** what counts */
  found: ReadonlyMap<string, Fields>
  /** keys of which nothing is known by this look */
  unconfirmed: ReadonlySet<string>
  agreement?: Agreement
}

export interface LookInit extends Seeing {
  store: Store
  share: Pick<Share, 'look'>
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
export function createLook({ store, share, outbox, now, ...seeing }: LookInit) {
  return async (id: string, stop: AbortSignal): Promise<Outcome> => {
    const signal = AbortSignal.any([stop, AbortSignal.timeout(LOOK_MS)])
    const state = store.rules.get(id)
    const { rule } = state
    let seen: Seen
    try {
      seen = rule.agree == null ? await alone(state, signal) : await share.look(rule, rule.agree, signal)
    } catch (error) {
      // that somebody stopped it says nothing of the site
      stop.throwIfAborted()
      return store.atomically(() => failed(id, error as Error))
    }
    // the rule may have been changed or removed while its pages came
    return store.atomically(() => keep(store.rules.get(id), state.version, seen))
  }

  async function alone(state: RuleState, signal: AbortSignal): Promise<Seen> {
    const { id, rule, isBased, last } = state
    const { pages, items } = await see(seeing, rule, {
      id,
      signal,
      onLogin: () => countLogin(state),
      // those of another version of the rule may be others, or of somebody else
      known: isBased ? store.pages.known(id) : undefined,
      after: last?.at ?? 0
    })
    return { pages, own: items, found: items, unconfirmed: new Set() }
  }

  function failed(id: string, error: Error): Outcome {
    const { broken } = store.rules.get(id)
    const outcome = end('failed', { reason: `${error.name}: ${error.message}` })
    store.rules.ended(id, outcome, broken)
    return outcome
  }

  function keep(state: RuleState, version: string, seen: Seen): Outcome {
    const { id, rule, isBased, history } = state
    const { pages, own, found, unconfirmed, agreement } = seen
    if (state.version !== version) return end('failed', { reason: 'the rule was changed meanwhile' })
    for (const page of pages) store.pages.add(id, page)
    const figures = figuresOf([...own.values()], Object.keys(rule.extract.fields))
    const reason = doubt(rule, { texts: pages.map(({ text }) => text), figures, history })
    if (reason != null) return broke(state, reason, own)
    if (state.broken >= ALARM_AFTER) outbox.alarm(state, { kind: 'mended' })
    const at = now()
    if (!isBased) store.items.clear(id)
    const { changes, items } = compare(
      store.items.known(id).filter(({ key }) => !unconfirmed.has(key)),
      found
    )
    for (const item of items) store.items.put(id, item, at)
    store.items.seen(id, at)
    store.rules.based(id, remember(history, figures))
    if (isBased) for (const change of changes) store.events.add(id, at, change)
    else outbox.first(state)
    outbox.cut()
    const count = isBased ? changes.length : 0
    const outcome = end('ok', { items: found.size, changes: count, isFirst: !isBased, agreement })
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
