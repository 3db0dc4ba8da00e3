import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { Database, Queries, Row, Value } from './database.ts'
import { MIGRATIONS } from './schema.ts'

/** Opens or creates the embedded database. What a finished call wrote survives a loss of power. */
export function openSqlite(file: string): Database {
  const database = new DatabaseSync(file)
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON')
  const { user_version: version } = database.prepare('PRAGMA user_version').get() as { user_version: number }
  for (let next = version; next < MIGRATIONS.length; next++) {
    database.exec(`BEGIN; ${MIGRATIONS[next]}; PRAGMA user_version = ${next + 1}; COMMIT`)
  }
  const statements = new Map<string, StatementSync>()
  let last: Promise<unknown> = Promise.resolve()

  function run<T extends Row>(sql: string, values: Value[]): T[] {
    let statement = statements.get(sql)
    if (statement === undefined) {
      statement = database.prepare(sql)
      statements.set(sql, statement)
    }
    return statement.all(Object.fromEntries(values.map((value, i) => [`$${i + 1}`, value]))) as T[]
  }

  /** One after the other: a statement from outside must not slip into an open transaction. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = last.then(work)
    last = turn.catch(() => {})
    return turn
  }

  const queries: Queries = { query: async (sql, ...values) => run(sql, values) }
  return {
    kind: 'sqlite',
    query: (sql, ...values) => inTurn(async () => run(sql, values)),
    transaction: work =>
      inTurn(async () => {
        database.exec('BEGIN IMMEDIATE')
        try {
          const result = await work(queries)
          database.exec('COMMIT')
          return result
        } catch (error) {
          database.exec('ROLLBACK')
          throw error
        }
      }),
    async close() {
      await last
      database.close()
    }
  }
}
