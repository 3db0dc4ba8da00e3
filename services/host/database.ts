import { DatabaseSync } from 'node:sqlite'
import { MigrationError } from './errors.ts'

/** Another process that reads it, such as a backup, is waited for. */
const BUSY_MS = 5_000

/** All that `work` writes or, where it throws, nothing of it; also where one calls the other. */
export function transact<T>(db: DatabaseSync, work: () => T): T {
  if (db.isTransaction) return work()
  db.exec('BEGIN IMMEDIATE')
  try {
    const result = work()
    db.exec('COMMIT')
    return result
  } catch (error) {
    // a full disk has rolled it back already, and what it said must not be lost
    if (db.isTransaction) db.exec('ROLLBACK')
    throw error
  }
}

/**
 * Opens a SQLite file and brings it up to date: the scripts that it does not have yet run in their order, each in a
 * transaction of its own, counted in `user_version`.
 *
 * @throws {MigrationError} a newer version has written it
 */
export function openDatabase(file: string, migrations: readonly string[]): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: BUSY_MS })
  try {
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON')
    const { user_version: done } = database.prepare('PRAGMA user_version').get() as { user_version: number }
    if (done > migrations.length)
      throw new MigrationError(
        `${file} is of version ${done}, this program knows ${migrations.length}; run the newer program, or move the file away`
      )
    for (const [i, script] of [...migrations.entries()].slice(done)) {
      database.exec(`BEGIN IMMEDIATE; ${script}; PRAGMA user_version = ${i + 1}; COMMIT`)
    }
    return database
  } catch (error) {
    // ends an open transaction too
    database.close()
    throw error
  }
}
