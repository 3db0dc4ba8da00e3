import type { DatabaseSync } from 'node:sqlite'
import { transact } from '../../host/index.ts'

export interface Account {
  id: string
  name: string
  /** micro-credits that may be spent in all; undefined: the usual ones */
  quota?: bigint
  spent: bigint
  /** of calls that run */
  held: bigint
  /** ms since 1970 */
  seen: number
}

/** What a call that runs may cost. */
export interface Hold {
  user: string
  amount: bigint
}

/** Of one day, user and model. */
interface Spent {
  day: number
  user: string
  model: string
  calls: number
  saved: number
  cost: bigint
}

type Row = Record<'quota' | 'spent' | 'seen', bigint | null> & { id: string; name: string }

export type By = 'day' | 'user' | 'model'
const MAX_SUMS = 10_000
const sums = (by: By, order: string): string =>
  `SELECT ${by} AS key, sum(calls) AS calls, sum(saved) AS saved, sum(cost) AS cost
   FROM spending WHERE day >= ? GROUP BY ${by} ORDER BY ${order} LIMIT ${MAX_SUMS}`
const DAY_MS = 24 * 60 * 60_000
/** What a kill may take back; a commit for each call would be a third of what it costs. */
const WRITE_MS = 50
const AGAIN_MS = 1000

/**
 * What users may spend and have spent. Before a call the most that it can cost is held, afterwards it is settled once;
 * nobody is ever above his quota, however many of his calls run. An answer does not wait for the file: what was
 * spent is written soon after, in one transaction with what else was.
 *
 * @param usualQuota micro-credits of a user of whom nothing else was said
 * @param onWritten whether it could be written, each time; where not, it is counted here and tried again
 */
export function createCredits(
  db: DatabaseSync,
  usualQuota: () => bigint,
  onWritten: (error: Error | undefined) => void = () => {}
) {
  const prepared = (sql: string) => {
    const statement = db.prepare(sql)
    statement.setReadBigInts(true)
    return statement
  }
  const sql = {
    see: prepared(
      'INSERT INTO users (id, name, seen, quota) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name, seen = excluded.seen'
    ),
    user: prepared('SELECT quota, spent FROM users WHERE id = ?'),
    spend: prepared('UPDATE users SET spent = spent + ? WHERE id = ?'),
    count: prepared(
      `INSERT INTO spending (day, user, model, calls, saved, cost) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
       ON CONFLICT DO UPDATE SET calls = calls + ?4, saved = saved + ?5, cost = cost + ?6`
    ),
    list: prepared('SELECT id, name, quota, spent, seen FROM users ORDER BY seen DESC, id'),
    quota: prepared('UPDATE users SET quota = ? WHERE id = ?'),
    book: prepared('INSERT OR IGNORE INTO payments (user, seq) VALUES (?, ?)'),
    pay: prepared('UPDATE users SET quota = coalesce(quota, 0) + ? WHERE id = ?'),
    remove: prepared('DELETE FROM users WHERE id = ?'),
    removeSpending: prepared('DELETE FROM spending WHERE user = ?'),
    spending: {
      day: prepared(sums('day', 'key DESC')),
      user: prepared(sums('user', 'cost DESC, key')),
      model: prepared(sums('model', 'cost DESC, key'))
    }
  }
  // what runs when the node is killed has nobody to deliver to: its holds end with it
  const holds = new Set<Hold>()
  const held = new Map<string, bigint>()
  const heldOf = (user: string): bigint => held.get(user) ?? 0n

  const users = new Map<string, { quota: bigint | null; spent: bigint }>()
  const unwritten = new Map<string, Spent>()
  let writing: NodeJS.Timeout | undefined

  function userOf(id: string) {
    const user = users.get(id) ?? (sql.user.get(id) as { quota: bigint | null; spent: bigint } | undefined)
    if (user != null) users.set(id, user)
    return user
  }

  function left(id: string): bigint {
    const user = userOf(id)
    return user == null ? 0n : (user.quota ?? usualQuota()) - user.spent - heldOf(id)
  }

  function note(spent: Spent): void {
    const { day, user, model } = spent
    const id = JSON.stringify([day, user, model])
    const before = unwritten.get(id)
    if (before == null) unwritten.set(id, spent)
    else
      unwritten.set(id, {
        ...before,
        calls: before.calls + spent.calls,
        saved: before.saved + spent.saved,
        cost: before.cost + spent.cost
      })
    writing ??= setTimeout(write, WRITE_MS)
  }

  /** All that was noted. @throws the file takes nothing */
  function flush(): void {
    if (unwritten.size === 0) return
    transact(db, () => {
      for (const { day, user, model, calls, saved, cost } of unwritten.values()) {
        if (cost > 0n) sql.spend.run(cost, user)
        sql.count.run(day, user, model, calls, saved, cost)
      }
    })
    unwritten.clear()
  }

  function write(): void {
    writing = undefined
    try {
      flush()
      onWritten(undefined)
    } catch (error) {
      onWritten(error as Error)
      writing = setTimeout(write, AGAIN_MS)
    }
  }

  /** false: it has ended before */
  function release(hold: Hold): boolean {
    if (!holds.delete(hold)) return false
    const rest = heldOf(hold.user) - hold.amount
    if (rest === 0n) held.delete(hold.user)
    else held.set(hold.user, rest)
    return true
  }

  const day = (now: number): number => Math.floor(now / DAY_MS)

  return {
    /**
     * A user is known from the first time that he asks.
     *
     * @param quota what he may spend until something else is said; default: the usual
     */
    see: (id: string, name: string, now: number, quota?: bigint): void =>
      void sql.see.run(id, name, now, quota ?? null),

    /** What a user may still spend. */
    left,

    /**
     * Counts what a user has paid, each transfer once, by its number.
     *
     * @returns whether it was not counted before
     */
    book(user: string, seq: number, amount: bigint): boolean {
      const isNew = transact(db, () => {
        const isNew = Number(sql.book.run(user, seq).changes) > 0
        if (isNew) sql.pay.run(amount, user)
        return isNew
      })
      const known = users.get(user)
      if (isNew && known != null) known.quota = (known.quota ?? 0n) + amount
      return isNew
    },

    /** @returns the hold; undefined: it does not fit into what is left */
    hold(user: string, amount: bigint): Hold | undefined {
      if (userOf(user) == null || left(user) < amount) return undefined
      const hold = { user, amount }
      holds.add(hold)
      held.set(user, heldOf(user) + amount)
      return hold
    },

    /**
     * Ends a hold; a second time does nothing.
     *
     * @returns what was charged, at most what was held
     */
    settle(hold: Hold, cost: bigint, model: string, now: number): bigint {
      if (!holds.has(hold)) return 0n
      const { user, amount } = hold
      const charged = cost < amount ? cost : amount
      userOf(user)!.spent += charged
      note({ day: day(now), user, model, calls: 1, saved: 0, cost: charged })
      release(hold)
      return charged
    },

    /** An answer that nobody had to be asked for. */
    saved: (user: string, model: string, now: number): void =>
      note({ day: day(now), user, model, calls: 0, saved: 1, cost: 0n }),

    list(): Account[] {
      flush()
      return (sql.list.all() as unknown as Row[]).map(({ id, name, quota, spent, seen }) => ({
        id,
        name,
        ...(quota == null ? {} : { quota }),
        spent: spent!,
        held: heldOf(id),
        seen: Number(seen)
      }))
    },

    /** false: there is no such user */
    setQuota(id: string, quota: bigint | undefined): boolean {
      const isThere = Number(sql.quota.run(quota ?? null, id).changes) > 0
      const user = users.get(id)
      if (isThere && user != null) user.quota = quota ?? null
      return isThere
    },
    remove(id: string): boolean {
      flush()
      for (const hold of holds) if (hold.user === id) release(hold)
      users.delete(id)
      sql.removeSpending.run(id)
      return Number(sql.remove.run(id).changes) > 0
    },

    /** by day (as 2026-11-30, the newest first), user or model (the dearest first) */
    spending(since: number, by: By) {
      flush()
      return (sql.spending[by].all(day(since)) as Record<string, bigint | string>[]).map(row => ({
        key:
          by === 'day' ? new Date(Number(row.key) * DAY_MS).toISOString().slice(0, 10) : (row.key as string),
        calls: Number(row.calls),
        saved: Number(row.saved),
        cost: row.cost as bigint
      }))
    },

    /** Writes what is left; before the file is closed. */
    close(): void {
      clearTimeout(writing)
      write()
      clearTimeout(writing)
    }
  }
}

export type Credits = ReturnType<typeof createCredits>
