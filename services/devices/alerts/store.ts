import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import { ConflictError, transact } from '../../host/index.ts'
import { UnknownAlertError } from '../errors.ts'
import { matches, type Rule, type State, type StoredRule } from './rule.ts'

const MAX_RULES = 200
const MAX_SILENCES = 1_000
const MINUTE_MS = 60_000
const KEPT_MS = 90 * 24 * 3_600_000

export interface Alert {
  key: string
  rule: string
  agent: string
  device: string
  severity: Rule['severity']
  state: State
  /** the entry that opened it */
  number: number
  seq: number
  /** the reading, or what the event says; null for silence */
  value: number | Record<string, unknown> | null
  count: number
  openedAt: number
  heardAt: number
  firedAt?: number
  acknowledgedAt?: number
  acknowledgedBy?: string
  note?: string
  resolvedAt?: number
  /** nobody had acknowledged it, and others have heard so */
  escalatedAt?: number
}
export interface Silence {
  id: number
  devices: string
  rule?: string
  until: number
  why: string
  by: string
}
export interface Heard {
  agent: string
  device: string
  number: number
  seq: number
  at: number
  value?: number
}
/** 1: that it fires, 2: that it is over, 3: that nobody looks after it, 4: that this is over, too */
export type Step = 1 | 2 | 3 | 4
/** What is to be told, and since when. */
export interface Due {
  alert: Alert
  step: Step
  /** ms since 1970 */
  since: number
}
export interface Message {
  id: string
  url: string
  step: Step
  keys: string[]
  body: string
  createdAt: number
}
/** Of some alerts: which were told, and of which others have heard that nobody looks after them. */
export interface Told {
  keys: string[]
  escalated: string[]
}
type Opened = Omit<Alert, 'count'>

const TOLD: Readonly<Record<Step, string>> = {
  1: 'told >= 1',
  2: 'told >= 2',
  3: '(escalated >= 2 OR acknowledgedAt IS NOT NULL)',
  4: 'escalated = 4'
}

/** Rules, alerts and silences, in the database of the series. */
export function createAlertStore(db: DatabaseSync) {
  const statements = new Map<string, ReturnType<DatabaseSync['prepare']>>()
  function prepared(sql: string) {
    const statement = statements.get(sql) ?? db.prepare(sql)
    statements.set(sql, statement)
    return statement
  }
  const run = (sql: string, ...values: SQLInputValue[]) => prepared(sql).run(...values)
  const get = <T>(sql: string, ...values: SQLInputValue[]) => prepared(sql).get(...values) as T | undefined
  const all = <T>(sql: string, ...values: SQLInputValue[]) => prepared(sql).all(...values) as T[]
  let rules: StoredRule[] | undefined
  let revision = 0
  /** Of an alert. */
  function change(sql: string, ...values: SQLInputValue[]): void {
    if (run(sql, ...values).changes > 0) revision++
  }

  /** What a person decided is on the disk before he hears so; the rest can be read from the logs again. */
  function durably<T>(work: () => T): T {
    db.exec('PRAGMA synchronous = FULL')
    try {
      return transact(db, work)
    } finally {
      db.exec('PRAGMA synchronous = NORMAL')
    }
  }

  const resolve = (key: string, at: number): void =>
    change(
      "UPDATE alert SET state = 'resolved', resolvedAt = ? WHERE key = ? AND resolvedAt IS NULL",
      at,
      key
    )

  /** What was pending was nothing yet; what was firing is over. */
  function end(rule: string, at: number): void {
    run("DELETE FROM alert WHERE rule = ? AND state = 'pending'", rule)
    run("UPDATE alert SET state = 'resolved', resolvedAt = ? WHERE rule = ? AND resolvedAt IS NULL", at, rule)
    run('DELETE FROM heard WHERE rule = ?', rule)
    rules = undefined
  }

  function told(keys: readonly string[], step: Step): void {
    for (const key of keys)
      if (step > 2)
        run('UPDATE alert SET escalated = max(escalated, ?) WHERE key = ?', step === 3 ? 2 : 4, key)
      else run('UPDATE alert SET queued = max(queued, ?1), told = max(told, ?1) WHERE key = ?2', step, key)
  }

  function escalated(keys: readonly string[], at: number): void {
    for (const key of keys)
      change('UPDATE alert SET escalatedAt = ? WHERE key = ? AND escalatedAt IS NULL', at, key)
  }

  const knownRules = (): readonly StoredRule[] => {
    rules ??= all<{ since: number; rule: string }>('SELECT since, rule FROM rule ORDER BY name').map(
      ({ since, rule }) => ({ ...(JSON.parse(rule) as Rule), since })
    )
    return rules
  }

  /** Those that nobody has acknowledged in the time that their rule gives. */
  const unseen = (at: number): Due[] =>
    knownRules().flatMap(({ name, escalateMinutes }) => {
      if (escalateMinutes == null) return []
      const ms = escalateMinutes * MINUTE_MS
      return all<Stored>(
        `SELECT * FROM alert WHERE rule = ? AND resolvedAt IS NULL AND state = 'firing' AND escalated = 0
           AND firedAt <= ? ORDER BY firedAt LIMIT 1000`,
        name,
        at - ms
      )
        .map(asAlert)
        .map(alert => ({ alert, step: 3, since: alert.firedAt! + ms }))
    })

  return {
    rules: knownRules,
    /** A rule that changes begins anew. @throws {ConflictError} there are as many as there may be */
    setRule: (rule: Rule, at: number): void =>
      durably(() => {
        const { n } = get<{ n: number }>('SELECT count(*) AS n FROM rule WHERE name <> ?', rule.name)!
        if (n >= MAX_RULES) throw new ConflictError(`there are ${MAX_RULES} rules; remove one first`)
        end(rule.name, at)
        run('INSERT OR REPLACE INTO rule VALUES (?, ?, ?)', rule.name, at, JSON.stringify(rule))
      }),
    /** @throws {UnknownAlertError} */
    removeRule: (name: string, at: number): void =>
      durably(() => {
        if (run('DELETE FROM rule WHERE name = ?', name).changes === 0)
          throw new UnknownAlertError(`there is no rule "${name}"; artel devices rules lists them`)
        end(name, at)
      }),

    heard: (rule: string, agent: string, device: string): Heard | undefined =>
      get<Heard>(
        'SELECT agent, device, number, seq, at, value FROM heard WHERE rule = ? AND agent = ? AND device = ?',
        rule,
        agent,
        device
      ),
    hear: (rule: string, { agent, device, number, seq, at, value }: Heard): void =>
      void run(
        'INSERT OR REPLACE INTO heard VALUES (?, ?, ?, ?, ?, ?, ?)',
        rule,
        agent,
        device,
        number,
        seq,
        at,
        value ?? null
      ),
    countHeard: (rule: string): number =>
      get<{ n: number }>('SELECT count(*) AS n FROM heard WHERE rule = ?', rule)!.n,

    standing: (rule: string, agent: string, device: string): Alert | undefined => {
      const row = get<Stored>(
        'SELECT * FROM alert WHERE rule = ? AND agent = ? AND device = ? AND resolvedAt IS NULL',
        rule,
        agent,
        device
      )
      return row && asAlert(row)
    },
    /** A place for an alert that no entry opened: one that this device has not had under this rule. */
    placeOfNone: (rule: string, agent: string, device: string): number => {
      const { seq } = get<{ seq: number | null }>(
        'SELECT min(seq) AS seq FROM alert WHERE rule = ? AND agent = ? AND device = ?',
        rule,
        agent,
        device
      )!
      return Math.min(seq ?? 0, 0) - 1
    },
    pending: (rule: string): Alert[] =>
      all<Stored>("SELECT * FROM alert WHERE rule = ? AND state = 'pending'", rule).map(asAlert),
    countOpen: (): number =>
      get<{ n: number }>('SELECT count(*) AS n FROM alert WHERE resolvedAt IS NULL')!.n,
    open: ({
      key,
      rule,
      agent,
      device,
      severity,
      state,
      number,
      seq,
      value,
      openedAt,
      heardAt,
      firedAt
    }: Opened): void =>
      // one that was read before, and is read again because the series were made anew, stays as it ended
      change(
        `INSERT OR IGNORE INTO alert (key, rule, agent, device, severity, state, number, seq, value, count, openedAt, heardAt, firedAt)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?)`,
        key,
        rule,
        agent,
        device,
        severity,
        state,
        number,
        seq,
        JSON.stringify(value),
        openedAt,
        heardAt,
        firedAt ?? null
      ),
    fire: (key: string, at: number): void =>
      change("UPDATE alert SET state = 'firing', firedAt = ? WHERE key = ? AND state = 'pending'", at, key),
    count: (key: string): void => change('UPDATE alert SET count = count + 1 WHERE key = ?', key),
    resolve,
    drop: (key: string): void => change('DELETE FROM alert WHERE key = ?', key),

    /** @throws {UnknownAlertError} */
    acknowledge: (key: string, by: string, note: string | undefined, at: number): Alert =>
      durably(() => {
        const found = get<Stored>('SELECT * FROM alert WHERE key = ?', key)
        if (found == null)
          throw new UnknownAlertError(`there is no alert "${key}"; artel devices alerts lists them`)
        run(
          `UPDATE alert SET acknowledgedAt = ?, acknowledgedBy = ?, note = ?,
             state = iif(state = 'firing', 'acknowledged', state) WHERE key = ? AND acknowledgedAt IS NULL`,
          at,
          by,
          note ?? null,
          key
        )
        return asAlert(get<Stored>('SELECT * FROM alert WHERE key = ?', key)!)
      }),
    /** Another number once an alert is not as it was. */
    revision: (): number => revision,
    /** The newest first. */
    list: (state: State | 'open' | undefined, limit: number): Alert[] =>
      all<Stored>(
        `SELECT * FROM alert WHERE ?1 IS NULL OR state = ?1 OR (?1 = 'open' AND resolvedAt IS NULL)
         ORDER BY heardAt DESC, key LIMIT ?2`,
        state ?? null,
        limit
      ).map(asAlert),

    silences: (at: number): Silence[] =>
      all<Silence & { rule: string | null }>('SELECT * FROM silence WHERE until > ? ORDER BY until', at).map(
        ({ rule, ...rest }) => ({ ...rest, ...(rule == null ? {} : { rule }) })
      ),
    /** @throws {ConflictError} there are as many as there may be */
    silence: ({ devices, rule, until, why, by }: Omit<Silence, 'id'>, at: number): number =>
      durably(() => {
        run('DELETE FROM silence WHERE until <= ?', at)
        if (get<{ n: number }>('SELECT count(*) AS n FROM silence')!.n >= MAX_SILENCES)
          throw new ConflictError(`there are ${MAX_SILENCES} silences; end one first`)
        return Number(
          run(
            'INSERT INTO silence (devices, rule, until, why, by) VALUES (?, ?, ?, ?, ?)',
            devices,
            rule ?? null,
            until,
            why,
            by
          ).lastInsertRowid
        )
      }),
    /** @throws {UnknownAlertError} */
    endSilence: (id: number): void =>
      durably(() => {
        if (run('DELETE FROM silence WHERE id = ?', id).changes === 0)
          throw new UnknownAlertError(`there is no silence ${id}; artel devices silences lists them`)
      }),

    /** What is not written down to be told yet. */
    untold: (at: number): Due[] => {
      const silences = all<Silence>('SELECT * FROM silence WHERE until > ?', at)
      const changed = all<Stored>(
        `SELECT * FROM alert WHERE queued < 2 AND firedAt IS NOT NULL
           AND ((queued = 0 AND state = 'firing') OR (queued = 1 AND resolvedAt IS NOT NULL)) ORDER BY firedAt LIMIT 1000`
      )
        .map(asAlert)
        .map((alert): Due => {
          const { firedAt, resolvedAt } = alert
          return resolvedAt == null
            ? { alert, step: 1, since: firedAt! }
            : { alert, step: 2, since: resolvedAt }
        })
      const ended = all<Stored>(
        `SELECT * FROM alert WHERE escalatedAt IS NOT NULL AND escalated < 3 AND resolvedAt IS NOT NULL
           ORDER BY resolvedAt LIMIT 1000`
      )
        .map(asAlert)
        .map((alert): Due => ({ alert, step: 4, since: alert.resolvedAt! }))
      return [...changed, ...unseen(at), ...ended].filter(
        ({ alert: { rule, device } }) =>
          !silences.some(each => (each.rule == null || each.rule === rule) && matches(each.devices, device))
      )
    },
    queue: (message: Omit<Message, 'url'>, urls: readonly string[]): void =>
      durably(() => {
        const { id, step, keys, body, createdAt } = message
        for (const url of urls)
          run(
            'INSERT OR IGNORE INTO message VALUES (?, ?, ?, ?, ?, ?)',
            id,
            url,
            step,
            JSON.stringify(keys),
            body,
            createdAt
          )
        for (const key of keys)
          if (step > 2) run('UPDATE alert SET escalated = ? WHERE key = ?', step === 3 ? 1 : 3, key)
          else run('UPDATE alert SET queued = ? WHERE key = ?', step, key)
      }),
    /** The oldest, but for these receivers. */
    messages: (waiting: readonly string[]): Message[] =>
      all<Message & { keys: string }>(
        `SELECT * FROM message WHERE url NOT IN (SELECT value FROM json_each(?)) ORDER BY createdAt, id LIMIT 100`,
        JSON.stringify(waiting)
      ).map(row => ({ ...row, keys: JSON.parse(row.keys) as string[] })),
    /** A receiver has taken it then, or need not take it; the last one ends it. */
    sent: ({ id, url, keys, step }: Message, at?: number): void =>
      durably(() => {
        run('DELETE FROM message WHERE id = ? AND url = ?', id, url)
        if (step === 3 && at != null) escalated(keys, at)
        if (get('SELECT 1 FROM message WHERE id = ?', id) == null) told(keys, step)
      }),
    /** It is not told any more. */
    forget: ({ id, url }: Message): void => void run('DELETE FROM message WHERE id = ? AND url = ?', id, url),
    /** Another node has told them. */
    toldByOther: (keys: readonly string[], step: Step): void => durably(() => told(keys, step)),
    /** A receiver has heard that nobody looks after them, so it is to hear that they are over. */
    escalated: (keys: readonly string[], at: number): void => durably(() => escalated(keys, at)),
    /** Of these, those whose receivers have heard it from this node, or need not: somebody here looks after it. */
    areTold: (keys: readonly string[], step: Step): Told => ({
      keys: keys.filter(key => get(`SELECT 1 FROM alert WHERE key = ? AND ${TOLD[step]}`, key)),
      escalated: keys.filter(key => get('SELECT 1 FROM alert WHERE key = ? AND escalatedAt IS NOT NULL', key))
    }),
    /** Whether one of these still waits for somebody to look after it. */
    isUnseen: (keys: readonly string[]): boolean =>
      keys.some(key => get("SELECT 1 FROM alert WHERE key = ? AND state = 'firing'", key) != null),
    tidy(at: number): void {
      run('DELETE FROM alert WHERE resolvedAt < ?', at - KEPT_MS)
      run('DELETE FROM message WHERE createdAt < ?', at - KEPT_MS)
    }
  }
}

export type AlertStore = ReturnType<typeof createAlertStore>

type Stored = { [K in keyof Omit<Alert, 'value'>]-?: Alert[K] | null } & {
  value: string
  queued: number
  told: number
  escalated: number
}

function asAlert({ queued, told, escalated, value, ...row }: Stored): Alert {
  const known = Object.fromEntries(Object.entries(row).filter(([, each]) => each != null))
  return { ...(known as unknown as Alert), value: JSON.parse(value) as Alert['value'] }
}
