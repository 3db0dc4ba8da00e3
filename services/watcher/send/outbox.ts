import { createHash } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import type { Event, Message, SubscriptionRow } from '../contract.ts'
import { nextTime } from '../core/times.ts'
import { isWanted, isWantedFirst } from '../core/wanted.ts'
import type { RuleState, Store } from '../store.ts'

/** Of one message; the rest is in the next. */
const EVENTS = 500
const GIVE_UP_MS = 24 * 3_600_000
const RETRY_MS = 60_000
const MOST_RETRY_MS = 3_600_000

export interface Waiting {
  id: number
  subscription: string
  name: string
  message: Message
  at: number
  tries: number
}

export type Outbox = ReturnType<typeof createOutbox>

/** Messages from the moment they are certain until they are sent. Everything here writes inside a transaction of its caller. */
export function createOutbox(db: DatabaseSync, store: Store, now: () => number) {
  const insert = db.prepare(
    'INSERT INTO outbox (subscription, name, message, at, dueAt) VALUES (?, ?, ?, ?4, ?4) ON CONFLICT (name) DO NOTHING'
  )

  /** @param what what the message is about: the same names the same message */
  function put(subscription: string, what: string, message: Message): void {
    const name = createHash('sha256').update(`${subscription}\n${what}`).digest('hex').slice(0, 40)
    insert.run(subscription, name, JSON.stringify(message), now())
  }

  /** Messages of all events since the cursor, for those that are told at once or whose time has come. */
  function cut(): void {
    for (const row of store.subscriptions.list()) {
      const { digest, timeZone, heartbeat, name } = row.subscription
      if (digest != null && row.dueAt! > now()) continue
      let { cursor } = row
      let told = 0
      for (;;) {
        const events = store.events.after(cursor, EVENTS)
        if (events.length === 0) break
        cursor = events.at(-1)!.number
        const wanted = events.filter(event => isWanted(row.subscription, event))
        if (wanted.length === 0) continue
        told += wanted.length
        put(row.id, `events ${cursor}`, { kind: 'events', subscription: name, events: wanted.map(shown) })
      }
      if (digest != null && told === 0 && heartbeat)
        put(row.id, `nothing ${row.dueAt}`, { kind: 'nothing', subscription: name, events: [] })
      const dueAt = digest == null ? undefined : nextTime(digest, timeZone, now())
      if (cursor !== row.cursor || dueAt !== row.dueAt) store.subscriptions.move(row.id, cursor, dueAt)
    }
  }

  /** To all who are told of a rule. */
  function alarm(rule: RuleState, what: Pick<Message, 'kind' | 'reason' | 'before' | 'after'>): void {
    for (const { id, subscription } of store.subscriptions.list())
      if (subscription.rule == null || subscription.rule === rule.id)
        put(id, `${what.kind} ${rule.id} ${now()}`, {
          ...what,
          subscription: subscription.name,
          rule: rule.rule.name,
          events: []
        })
  }

  /** What was there already, for those who want to hear of it. */
  function first(rule: RuleState): void {
    for (const row of store.subscriptions.list()) existing(row, rule)
  }

  function existing(
    { id, subscription }: Pick<SubscriptionRow, 'id' | 'subscription'>,
    rule: RuleState
  ): void {
    if (subscription.first !== 'matching') return
    const items = store.items
      .known(rule.id)
      .filter(({ isGone, fields }) => !isGone && isWantedFirst(subscription, { rule: rule.id, new: fields }))
    for (let from = 0; from < items.length; from += EVENTS)
      put(id, `first ${rule.id} ${rule.version} ${from}`, {
        kind: 'first',
        subscription: subscription.name,
        events: items.slice(from, from + EVENTS).map(({ key, fields }) => ({
          number: 0,
          rule: rule.rule.name,
          at: now(),
          kind: 'new',
          key,
          new: fields
        }))
      })
  }

  const shown = (event: Event): Event => ({ ...event, rule: store.rules.name(event.rule) ?? event.rule })

  const read = (row: Record<string, unknown>): Waiting => ({
    id: row.id as number,
    subscription: row.subscription as string,
    name: row.name as string,
    message: JSON.parse(row.message as string) as Message,
    at: row.at as number,
    tries: row.tries as number
  })

  return {
    cut,
    alarm,
    first,
    existing,
    /** of each subscription the oldest, where its time has come: they are sent in order, and a dead server holds up no other */
    due: (): Waiting[] =>
      db
        .prepare(
          `SELECT * FROM outbox WHERE dueAt <= ?
           AND id IN (SELECT min(id) FROM outbox WHERE state = 'waiting' GROUP BY subscription)`
        )
        .all(now())
        .map(row => read(row as Record<string, unknown>)),
    /** What is told is on the disk before: else after a power cut another message could have its name. */
    secure: (id: number) =>
      db.exec(
        `PRAGMA synchronous = FULL; UPDATE outbox SET tries = tries WHERE id = ${id}; PRAGMA synchronous = NORMAL`
      ),
    sent: (id: number) => db.prepare("UPDATE outbox SET state = 'sent', error = NULL WHERE id = ?").run(id),
    /** Tried again with growing waits, for a day. */
    refused({ id, at, tries }: Waiting, error: string): void {
      const state = now() - at > GIVE_UP_MS ? 'dead' : 'waiting'
      const wait = Math.min(RETRY_MS * 2 ** tries, MOST_RETRY_MS)
      db.prepare('UPDATE outbox SET state = ?, error = ?, tries = ?, dueAt = ? WHERE id = ?').run(
        state,
        error,
        tries + 1,
        now() + wait,
        id
      )
    },
    counts: (): Record<string, number> =>
      Object.fromEntries(
        db
          .prepare('SELECT state, count(*) AS n FROM outbox GROUP BY state')
          .all()
          .map(row => [row.state as string, row.n as number])
      )
  }
}
