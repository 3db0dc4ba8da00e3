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

type Row = Record<'quota' | 'spent' | 'seen', bigint | null> & { id: string; name: string }

export type By = 'day' | 'user' | 'model'
const MAX_SUMS = 10_000
const sums = (by: By, order: string): string =>
  `SELECT ${by} AS key, sum(calls) AS calls, sum(saved) AS saved, sum(cost) AS cost
   FROM spending WHERE day >= ? GROUP BY ${by} ORDER BY ${order} LIMIT ${MAX_SUMS}`
const DAY_MS = 24 * 60 * 60_000

/**
 * What users may spend and have spent. Before a call the most that it can cost is held, afterwards it is settled once;
 * nobody is ever above his quota, however many of his calls run.
 *
 * @param usualQuota micro-credits of a user of whom nothing else was said
 */
export function createCredits(db: DatabaseSync, usualQuota: () => bigint) {
  const prepared = (sql: string) => {
    const statement = db.prepare(sql)
    statement.setReadBigInts(true)
    return statement
  }
  const sql = {
    see: prepared(
      'INSERT INTO users (id, name, seen) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name, seen = excluded.seen'
    ),
    left: prepared('SELECT coalesce(quota, ?2) - spent AS credits FROM users WHERE id = ?1'),
    spend: prepared('UPDATE users SET spent = spent + ? WHERE id = ?'),
    count: prepared(
      `INSERT INTO spending (day, user, model, calls, saved, cost) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
       ON CONFLICT DO UPDATE SET calls = calls + ?4, saved = saved + ?5, cost = cost + ?6`
    ),
    list: prepared('SELECT id, name, quota, spent, seen FROM users ORDER BY seen DESC, id'),
    quota: prepared('UPDATE users SET quota = ? WHERE id = ?'),
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
    /** A user is known from the first time that he asks. */
    see: (id: string, name: string, now: number): void => void sql.see.run(id, name, now),

    /** @returns the hold; undefined: it does not fit into what is left */
    hold(user: string, amount: bigint): Hold | undefined {
      const left = sql.left.get(user, usualQuota()) as { credits: bigint } | undefined
      if (left == null || left.credits - heldOf(user) < amount) return undefined
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
      transact(db, () => {
        sql.spend.run(charged, user)
        sql.count.run(day(now), user, model, 1, 0, charged)
      })
      release(hold)
      return charged
    },

    /** An answer that nobody had to be asked for. */
    saved: (user: string, model: string, now: number): void =>
      void sql.count.run(day(now), user, model, 0, 1, 0),

    list: (): Account[] =>
      (sql.list.all() as unknown as Row[]).map(({ id, name, quota, spent, seen }) => ({
        id,
        name,
        ...(quota == null ? {} : { quota }),
        spent: spent!,
        held: heldOf(id),
        seen: Number(seen)
      })),

    /** false: there is no such user */
    setQuota: (id: string, quota: bigint | undefined): boolean =>
      Number(sql.quota.run(quota ?? null, id).changes) > 0,
    remove(id: string): boolean {
      for (const hold of holds) if (hold.user === id) release(hold)
      sql.removeSpending.run(id)
      return Number(sql.remove.run(id).changes) > 0
    },

    /** by day (as 2026-11-30, the newest first), user or model (the dearest first) */
    spending: (since: number, by: By) =>
      (sql.spending[by].all(day(since)) as Record<string, bigint | string>[]).map(row => ({
        key:
          by === 'day' ? new Date(Number(row.key) * DAY_MS).toISOString().slice(0, 10) : (row.key as string),
        calls: Number(row.calls),
        saved: Number(row.saved),
        cost: row.cost as bigint
      }))
  }
}

export type Credits = ReturnType<typeof createCredits>
