import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Database, Queries, Row, Value } from './database.ts'
import { createInTurn } from './in-turn.ts'

/** The embedded database over an open file whose schema is there; whoever opened the file closes it. */
export function overSqlite(database: DatabaseSync): Database {
  const statements = new Map<string, StatementSync>()
  // a statement from outside must not slip into an open transaction
  const inTurn = createInTurn()

  function run<T extends Row>(sql: string, values: Value[]): T[] {
    let statement = statements.get(sql)
    if (statement === undefined) {
      statement = database.prepare(sql)
      statements.set(sql, statement)
    }
    return statement.all(Object.fromEntries(values.map((value, i) => [`$${i + 1}`, value]))) as T[]
  }

  const queries: Queries = { query: async (sql, ...values) => run(sql, values) }
  return {
    kind: 'sqlite',
    query: (sql, ...values) => inTurn(async () => run(sql, values)),
    together: work => inTurn(() => work(queries)),
    transaction: work =>
      inTurn(async () => {
        database.exec('BEGIN IMMEDIATE')
        try {
          const result = await work(queries)
          database.exec('COMMIT')
          return result
        } catch (error) {
          // a full disk has rolled it back already
          if (database.isTransaction) database.exec('ROLLBACK')
          throw error
        }
      }),
    close: inTurn.idle
  }
}
