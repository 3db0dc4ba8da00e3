import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { StorageError } from '../errors.ts'
import { type Database, failed, type OnFault, type Queries, type Row, type Value } from './database.ts'
import { createInTurn } from './in-turn.ts'
import { createJoint } from './joint.ts'

const SQLITE_FULL = 13

/** The embedded database over an open file whose schema is there; whoever opened the file closes it. */
export function overSqlite(database: DatabaseSync, onFault: OnFault = () => {}): Database {
  const statements = new Map<string, StatementSync>()
  // a statement from outside must not slip into an open transaction
  const inTurn = createInTurn()

  /** @throws StorageError where the disk is full, DatabaseError */
  function asked<T>(ask: () => T): T {
    try {
      return ask()
    } catch (error) {
      if ((error as { errcode?: number }).errcode !== SQLITE_FULL) throw failed(error, onFault)
      throw new StorageError('this host has no room for its records of machines', { cause: error })
    }
  }

  function run<T extends Row>(sql: string, values: Value[]): T[] {
    let statement = statements.get(sql)
    if (statement === undefined) {
      statement = database.prepare(sql)
      statements.set(sql, statement)
    }
    return statement.all(Object.fromEntries(values.map((value, i) => [`$${i + 1}`, value]))) as T[]
  }

  const queries: Queries = { query: async (sql, ...values) => asked(() => run(sql, values)) }
  async function transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    asked(() => database.exec('BEGIN IMMEDIATE'))
    try {
      const result = await work(queries)
      asked(() => database.exec('COMMIT'))
      return result
    } catch (error) {
      // a full disk has rolled it back already
      if (database.isTransaction) database.exec('ROLLBACK')
      throw error
    }
  }

  return {
    kind: 'sqlite',
    query: (sql, ...values) => inTurn(() => queries.query(sql, ...values)),
    together: work => inTurn(() => work(queries)),
    joint: createJoint((isTransaction, work) =>
      inTurn(() => (isTransaction ? transaction(work) : work(queries)))
    ),
    transaction: work => inTurn(() => transaction(work)),
    close: inTurn.idle
  }
}
