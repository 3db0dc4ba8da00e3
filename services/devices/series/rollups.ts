import type { SQLInputValue } from 'node:sqlite'

export const MINUTE_MS = 60_000
export const HOUR_MS = 3_600_000
const MINUTES_KEPT_MS = 30 * 24 * HOUR_MS
const ROLLUP = 'WHERE device = ? AND reading = ? AND step = ? AND t = ? AND agent = ?'

export interface Point {
  t: number
  n: number
  min: number
  max: number
  mean: number
  last: number
}

export interface RollupsInit {
  run(sql: string, ...values: SQLInputValue[]): unknown
  get<T>(sql: string, ...values: SQLInputValue[]): T | undefined
  all<T>(sql: string, ...values: SQLInputValue[]): T[]
}

export const bucketOf = (at: number, step: number): number => Math.floor(at / step) * step

/** Numbers by minute and hour. */
export function createRollups({ run, get, all }: RollupsInit) {
  /** hours out of which something was taken */
  const left = new Map<string, readonly [string, string, number, number, string]>()

  /** `isLast`: it is the newest of that time. */
  function add(
    agent: string,
    device: string,
    reading: string,
    step: number,
    at: number,
    value: number,
    isLast = true
  ): void {
    run(
      `INSERT INTO rollup VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?6, ?6, ?6)
       ON CONFLICT (device, reading, step, t, agent) DO UPDATE SET n = n + 1, sum = sum + ?6,
         min = min(min, ?6), max = max(max, ?6)${isLast ? ', last = ?6' : ''}`,
      agent,
      device,
      reading,
      step,
      bucketOf(at, step),
      value
    )
  }

  function remove(
    agent: string,
    device: string,
    reading: string,
    step: number,
    at: number,
    value: number
  ): void {
    const key = [device, reading, step, bucketOf(at, step), agent] as const
    run(`UPDATE rollup SET n = n - 1, sum = sum - ? ${ROLLUP}`, value, ...key)
    run(`DELETE FROM rollup ${ROLLUP} AND n < 1`, ...key)
    if (step === HOUR_MS) left.set(key.join(' '), key)
  }

  /** What is left of hours says their minutes again, as far as those are kept. */
  function settle(): void {
    for (const key of left.values()) {
      const [device, reading, , from, agent] = key
      const minutes = all<Pick<Point, 'n' | 'min' | 'max' | 'last'>>(
        `SELECT n, min, max, last FROM rollup
         WHERE device = ? AND reading = ? AND step = ? AND t >= ? AND t < ? AND agent = ? ORDER BY t`,
        ...[device, reading, MINUTE_MS, from, from + HOUR_MS, agent]
      )
      const n = minutes.reduce((sum, each) => sum + each.n, 0)
      if (n === 0 || get<{ n: number }>(`SELECT n FROM rollup ${ROLLUP}`, ...key)?.n !== n) continue
      const [min, max] = [
        Math.min(...minutes.map(each => each.min)),
        Math.max(...minutes.map(each => each.max))
      ]
      run(`UPDATE rollup SET min = ?, max = ?, last = ? ${ROLLUP}`, min, max, minutes.at(-1)!.last, ...key)
    }
    left.clear()
  }

  return {
    add,
    remove,
    settle,
    /** Lets go of what is too old. */
    tidy: (now: number): void =>
      void run('DELETE FROM rollup WHERE step = ? AND t < ?', MINUTE_MS, now - MINUTES_KEPT_MS),
    points: (
      device: string,
      reading: string,
      step: number,
      from: number,
      to: number,
      limit: number
    ): Point[] =>
      all<Point>(
        `SELECT t, sum(n) AS n, min(min) AS min, max(max) AS max, sum(sum) / sum(n) AS mean, last FROM rollup
         WHERE device = ? AND reading = ? AND step = ? AND t >= ? AND t < ? GROUP BY t ORDER BY t LIMIT ?`,
        device,
        reading,
        step,
        from,
        to,
        limit
      )
  }
}
