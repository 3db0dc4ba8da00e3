import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import { gunzipSync, gzipSync } from 'node:zlib'
import { transact } from '../host/index.ts'
import type { Validators } from '../outbound/index.ts'
import type { Event, Outcome, RuleRow, SubscriptionRow } from './contract.ts'
import type { Change, KnownItem } from './core/compare.ts'
import type { Figures } from './core/judge.ts'
import { UnknownRuleError } from './errors.ts'
import type { Fields } from './extract/contract.ts'
import type { Rule, Subscription } from './rule.ts'
import { skeletonsOf, tokensOf } from './search/fold.ts'

/** Fetches of which the pages are kept. */
const KEPT_FETCHES = 10
const DAY_MS = 86_400_000
/** zlib takes two of them for each page, until V8 collects its heap, and by default 16 KiB; most pages become 3. */
const CHUNK_BYTES = 4096

export interface RuleState extends RuleRow {
  isBased: boolean
  history: Figures[]
  broken: number
  logins: number[]
}

export interface Page {
  at: number
  url: string
  hash: string
  text: string
  validators?: PageValidators
}

/** By what its host can be asked whether a page is still the same; `since`: when all of it came, ms since 1970. */
export type PageValidators = Validators & { since: number }

/** A page of the last fetch. */
export interface KnownPage extends Pick<Page, 'hash' | 'validators'> {
  /** undefined: its rule was removed meanwhile */
  text(): string | undefined
}

export type Store = ReturnType<typeof createStore>

/** The rows of schema.ts. What belongs together is written inside `atomically`. */
export function createStore(db: DatabaseSync) {
  const statements = new Map<string, ReturnType<DatabaseSync['prepare']>>()
  function prepared(sql: string) {
    const statement = statements.get(sql) ?? db.prepare(sql)
    statements.set(sql, statement)
    return statement
  }
  type Row = Record<string, unknown>
  const get = (sql: string, ...values: SQLInputValue[]) => prepared(sql).get(...values) as Row | undefined
  const all = (sql: string, ...values: SQLInputValue[]) => prepared(sql).all(...values) as Row[]
  const run = (sql: string, ...values: SQLInputValue[]) => prepared(sql).run(...values)

  const atomically = <T>(work: () => T): T => transact(db, work)

  const rules = {
    /** A new version is a new beginning: what it finds first tells nobody anything. */
    put(id: string, version: string, rule: Rule, signature: Uint8Array, dueAt: number): void {
      run(
        `INSERT INTO rule (id, version, body, signature, dueAt) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO UPDATE SET version = ?2, body = ?3, signature = ?4, dueAt = ?5, isBased = 0, history = '[]', broken = 0
         WHERE version <> ?2`,
        id,
        version,
        JSON.stringify(rule),
        signature,
        dueAt
      )
    },
    list: (): RuleState[] => all('SELECT * FROM rule ORDER BY rowid').map(ruleOf),
    /** @throws {UnknownRuleError} */
    get(id: string): RuleState {
      const row = get('SELECT * FROM rule WHERE id = ?', id)
      if (row == null) throw new UnknownRuleError(`there is no rule ${id}; artel watch rules lists them`)
      return ruleOf(row)
    },
    /** for people; undefined: there is no such rule */
    name: (id: string) =>
      get("SELECT body ->> '$.name' AS name FROM rule WHERE id = ?", id)?.name as string | undefined,
    due: (now: number): RuleState[] =>
      all('SELECT * FROM rule WHERE dueAt <= ? AND isPaused = 0 ORDER BY dueAt', now).map(ruleOf),
    remove: (id: string): boolean => run('DELETE FROM rule WHERE id = ?', id).changes > 0,
    pause: (id: string, isPaused: boolean) =>
      run('UPDATE rule SET isPaused = ? WHERE id = ?', Number(isPaused), id),
    plan: (id: string, dueAt: number) => run('UPDATE rule SET dueAt = ? WHERE id = ?', dueAt, id),
    loggedIn: (id: string, times: readonly number[]) =>
      run('UPDATE rule SET logins = ? WHERE id = ?', JSON.stringify(times), id),
    ended: (id: string, outcome: Outcome, broken: number) =>
      run('UPDATE rule SET last = ?, broken = ? WHERE id = ?', JSON.stringify(outcome), broken, id),
    /** Of a right fetch. */
    based: (id: string, history: readonly Figures[]) =>
      run('UPDATE rule SET isBased = 1, history = ? WHERE id = ?', JSON.stringify(history), id)
  }

  const items = {
    known: (rule: string): KnownItem[] =>
      all('SELECT key, fields, missing, isGone FROM item WHERE rule = ?', rule).map(row => ({
        key: row.key as string,
        fields: JSON.parse(row.fields as string) as Fields,
        missing: row.missing as number,
        isGone: row.isGone === 1
      })),
    put(rule: string, { key, fields, missing, isGone }: KnownItem, at: number): void {
      const row = get(
        `INSERT INTO item (rule, key, fields, first, last, missing, isGone) VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6)
         ON CONFLICT (rule, key) DO UPDATE SET fields = ?3, missing = ?5, isGone = ?6 RETURNING id`,
        rule,
        key,
        JSON.stringify(fields),
        at,
        missing,
        Number(isGone)
      )!
      const text = Object.values(fields).join(' ')
      run('DELETE FROM words WHERE rowid = ?', row.id as number)
      run(
        'INSERT INTO words (rowid, tokens, skeletons) VALUES (?, ?, ?)',
        row.id as number,
        tokensOf(text).join(' '),
        skeletonsOf(text).join(' ')
      )
    },
    seen: (rule: string, at: number) =>
      run('UPDATE item SET last = ? WHERE rule = ? AND missing = 0 AND isGone = 0', at, rule),
    clear: (rule: string) => run('DELETE FROM item WHERE rule = ?', rule),
    /**
     * Those with all words of the text, as they are written first, then in another script or spelling; the newest first.
     * To order them by rank would mean to weigh all that have a frequent word: 0.2 s of a million.
     */
    find(text: string, rule: string | undefined, limit: number) {
      const quoted = (words: string[]): string => words.map(word => `"${word}"`).join(' ')
      const columns = [`tokens : (${quoted(tokensOf(text))})`, `skeletons : (${quoted(skeletonsOf(text))})`]
      const found = new Map<number, Row>()
      if (tokensOf(text).length > 0)
        for (const match of columns)
          for (const row of all(
            `SELECT item.* FROM words JOIN item ON item.id = words.rowid
             WHERE words MATCH ?1 AND (?2 IS NULL OR rule = ?2) ORDER BY words.rowid DESC LIMIT ?3`,
            match,
            rule ?? null,
            limit
          ))
            found.set(row.id as number, row)
      return [...found.values()].slice(0, limit).map(itemOf)
    },
    list: (rule: string | undefined, limit: number) =>
      all(
        'SELECT * FROM item WHERE ?1 IS NULL OR rule = ?1 ORDER BY last DESC, id DESC LIMIT ?2',
        rule ?? null,
        limit
      ).map(itemOf)
  }

  const events = {
    add: (rule: string, at: number, { kind, key, old, new: now }: Change) =>
      run(
        'INSERT INTO event (rule, at, kind, key, old, new) VALUES (?, ?, ?, ?, ?, ?)',
        rule,
        at,
        kind,
        key,
        old == null ? null : JSON.stringify(old),
        now == null ? null : JSON.stringify(now)
      ),
    last: (): number =>
      (get("SELECT coalesce(max(seq), 0) AS number FROM sqlite_sequence WHERE name = 'event'")
        ?.number as number) ?? 0,
    after: (cursor: number, limit: number): Event[] =>
      all('SELECT * FROM event WHERE number > ? ORDER BY number LIMIT ?', cursor, limit).map(eventOf),
    newest: (rule: string | undefined, before: number, limit: number): Event[] =>
      all(
        'SELECT * FROM event WHERE (?1 IS NULL OR rule = ?1) AND number < ?2 ORDER BY number DESC LIMIT ?3',
        rule ?? null,
        before,
        limit
      ).map(eventOf)
  }

  const pages = {
    /** of the last fetches, the oldest first */
    of: (rule: string): Page[] =>
      all('SELECT * FROM snapshot WHERE rule = ? ORDER BY at, id', rule).map(row => ({
        at: row.at as number,
        url: row.url as string,
        hash: row.hash as string,
        text: gunzipSync(row.text as Uint8Array).toString()
      })),
    /** Of the last fetch, in the order of the rule. */
    known: (rule: string): KnownPage[] =>
      all(
        `SELECT id, hash, validators FROM snapshot
         WHERE rule = ?1 AND at = (SELECT at FROM snapshot WHERE rule = ?1 ORDER BY id DESC LIMIT 1) ORDER BY id`,
        rule
      ).map(({ id, hash, validators }) => ({
        hash: hash as string,
        validators: parse<PageValidators>(validators),
        text() {
          const row = get('SELECT text FROM snapshot WHERE id = ?', id as number)
          return row && gunzipSync(row.text as Uint8Array).toString()
        }
      })),
    add: (rule: string, { at, url, hash, text, validators }: Page) =>
      run(
        'INSERT INTO snapshot (rule, at, url, hash, text, validators) VALUES (?, ?, ?, ?, ?, ?)',
        rule,
        at,
        url,
        hash,
        gzipSync(text, { chunkSize: CHUNK_BYTES }),
        validators == null ? null : JSON.stringify(validators)
      )
  }

  const subscriptions = {
    put: (id: string, body: Subscription, cursor: number, dueAt: number | undefined) =>
      run(
        `INSERT INTO subscription (id, body, cursor, dueAt) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (id) DO UPDATE SET body = ?2, dueAt = ?4`,
        id,
        JSON.stringify(body),
        cursor,
        dueAt ?? null
      ),
    list: (): SubscriptionRow[] => all('SELECT * FROM subscription ORDER BY rowid').map(subscriptionOf),
    remove: (id: string): boolean => run('DELETE FROM subscription WHERE id = ?', id).changes > 0,
    move: (id: string, cursor: number, dueAt: number | undefined) =>
      run('UPDATE subscription SET cursor = ?, dueAt = ? WHERE id = ?', cursor, dueAt ?? null, id)
  }

  /** Forgets what nobody needs: old pages, old events that are in every message, what has long gone. */
  function prune(rule: string, retentionDays: number, now: number): void {
    const before = now - retentionDays * DAY_MS
    run(
      `DELETE FROM snapshot WHERE rule = ?1 AND at NOT IN
       (SELECT DISTINCT at FROM snapshot WHERE rule = ?1 ORDER BY at DESC LIMIT ?2)`,
      rule,
      KEPT_FETCHES
    )
    run(
      `DELETE FROM event WHERE rule = ? AND at < ?
       AND number <= (SELECT coalesce(min(cursor), 9e15) FROM subscription)`,
      rule,
      before
    )
    run('DELETE FROM item WHERE rule = ? AND isGone = 1 AND last < ?', rule, before)
    run("DELETE FROM outbox WHERE state <> 'waiting' AND at < ?", before)
  }

  return { atomically, rules, items, events, pages, subscriptions, prune }
}

const parse = <T>(text: unknown): T | undefined =>
  text == null ? undefined : (JSON.parse(text as string) as T)

const ruleOf = (row: Record<string, unknown>): RuleState => ({
  id: row.id as string,
  version: row.version as string,
  rule: parse<Rule>(row.body)!,
  isPaused: row.isPaused === 1,
  dueAt: row.dueAt as number,
  last: parse<Outcome>(row.last),
  isBased: row.isBased === 1,
  history: parse<Figures[]>(row.history)!,
  broken: row.broken as number,
  logins: parse<number[]>(row.logins)!
})

const itemOf = (row: Record<string, unknown>) => ({
  rule: row.rule as string,
  key: row.key as string,
  fields: parse<Fields>(row.fields)!,
  first: row.first as number,
  last: row.last as number,
  isGone: row.isGone === 1
})

const eventOf = (row: Record<string, unknown>): Event => ({
  number: row.number as number,
  rule: row.rule as string,
  at: row.at as number,
  kind: row.kind as Event['kind'],
  key: row.key as string,
  old: parse<Fields>(row.old),
  new: parse<Fields>(row.new)
})

const subscriptionOf = (row: Record<string, unknown>): SubscriptionRow => ({
  id: row.id as string,
  subscription: parse<Subscription>(row.body)!,
  cursor: row.cursor as number,
  dueAt: (row.dueAt as number | null) ?? undefined
})
