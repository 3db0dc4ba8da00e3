import type { Queries, Row, Value } from './database.ts'

/** Statements that share a commit. */
const AT_ONCE = 64

interface Waiting {
  sql: string
  values: Value[]
  done(rows: Row[]): void
  failed(error: Error): void
}

/**
 * Statements that stand each for itself. Those that come while others are under way are one transaction, so that they
 * wait for the disk once; one that fails fails alone.
 *
 * @param alone does its work while no transaction is under way; of more than one statement it makes one
 */
export function createJoint(
  alone: <T>(isTransaction: boolean, work: (queries: Queries) => Promise<T>) => Promise<T>
): Queries {
  const waiting: Waiting[] = []
  let isBusy = false

  async function doThese(these: readonly Waiting[]): Promise<void> {
    try {
      const results = await alone(these.length > 1, queries =>
        Promise.all(these.map(({ sql, values }) => queries.query(sql, ...values)))
      )
      for (const [i, { done }] of these.entries()) done(results[i]!)
    } catch (error) {
      if (these.length === 1) return these[0]!.failed(error as Error)
      for (const one of these) await doThese([one])
    }
  }

  async function doAll(): Promise<void> {
    isBusy = true
    while (waiting.length > 0) await doThese(waiting.splice(0, AT_ONCE))
    isBusy = false
  }

  return {
    query: <T extends Row>(sql: string, ...values: Value[]) =>
      new Promise<T[]>((done, failed) => {
        waiting.push({ sql, values, done: done as (rows: Row[]) => void, failed })
        if (!isBusy) void doAll()
      })
  }
}
