import { closeSync, existsSync, fdatasync, openSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { promisify } from 'node:util'
import { transact } from '../../host/index.ts'

/** Small things of this node: its school, settings of its store. */
export function createOwn(db: DatabaseSync) {
  const get = db.prepare('SELECT value FROM own WHERE key = ?')
  const set = db.prepare('INSERT OR REPLACE INTO own VALUES (?, ?)')
  return {
    get: (key: string): Uint8Array | undefined => (get.get(key) as { value: Uint8Array } | undefined)?.value,
    set: (key: string, value: Uint8Array): void => void set.run(key, value)
  }
}
export type Own = ReturnType<typeof createOwn>

/** How bytes are kept of a person who is to be read by nobody while he is signed out. */
export interface Sealing {
  seal(bytes: Uint8Array): Uint8Array
  /** @throws {MalformedMessageError} */
  open(bytes: Uint8Array): Uint8Array
}
type Value = string | number | null | Uint8Array

/** Statements of a database; with `sealing` all bytes that they write are sealed, and all that they read are opened. */
export function createStatements(db: DatabaseSync, sealing?: Sealing) {
  const kept = (values: Value[]): Value[] =>
    sealing == null ? values : values.map(each => (each instanceof Uint8Array ? sealing.seal(each) : each))
  function opened<T>(row: unknown): T {
    if (sealing == null || row == null) return row as T
    const columns = Object.entries(row).map(([name, value]) => [
      name,
      value instanceof Uint8Array ? sealing.open(value) : value
    ])
    return Object.fromEntries(columns) as T
  }
  return {
    all<T>(sql: string) {
      const statement = db.prepare(sql)
      return (...values: Value[]): T[] => statement.all(...kept(values)).map(row => opened<T>(row))
    },
    one<T>(sql: string) {
      const statement = db.prepare(sql)
      return (...values: Value[]): T | undefined => opened<T | undefined>(statement.get(...kept(values)))
    },
    /** As they are read. */
    iterate<T>(sql: string) {
      const statement = db.prepare(sql)
      return function* (...values: Value[]): Generator<T> {
        for (const row of statement.iterate(...kept(values))) yield opened<T>(row)
      }
    },
    run(sql: string) {
      const statement = db.prepare(sql)
      return (...values: Value[]): number => statement.run(...kept(values)).changes as number
    }
  }
}

/**
 * A transaction that waits for no disk. `kill -9` loses nothing of it; with the power it may be lost as a whole, together
 * with all that came after it. What others give again needs no more; whoever promises something waits for `createDisk`.
 */
export function transactLater<T>(db: DatabaseSync, work: () => T): T {
  if (db.isTransaction) return work()
  db.exec('PRAGMA synchronous = NORMAL')
  try {
    return transact(db, work)
  } finally {
    db.exec('PRAGMA synchronous = FULL')
  }
}

const syncFile = promisify(fdatasync)

/**
 * Waits until all that was committed is on the disk, as SQLite would with every commit, but beside other work: one wait is
 * for all that was committed before it began. Call the result outside of transactions.
 */
export function createDisk(db: DatabaseSync): () => Promise<void> {
  const log = `${db.location()}-wal`
  const count = db.prepare('SELECT total_changes() AS changes')
  const changes = (): number => (count.get() as { changes: number }).changes
  let kept = changes()
  let waiting: Promise<void> | undefined

  async function flush(): Promise<void> {
    const all = changes()
    // where the disk allows no log, SQLite waits with every commit
    if (existsSync(log)) {
      const file = openSync(log, 'r')
      try {
        await syncFile(file)
      } finally {
        closeSync(file)
      }
    }
    kept = all
  }
  return async () => {
    for (const all = changes(); kept < all; ) {
      waiting ??= flush().finally(() => {
        waiting = undefined
      })
      await waiting
    }
  }
}

/** Work on the same key one after the other; who waits for it hears what it throws, the next does not. */
export function createTurns() {
  const last = new Map<string, Promise<unknown>>()
  return function inTurn<T>(key: string, work: () => Promise<T>): Promise<T> {
    const turn = (last.get(key) ?? Promise.resolve()).then(work, work)
    const settled = turn.then(
      () => undefined,
      () => undefined
    )
    last.set(key, settled)
    void settled.then(() => {
      if (last.get(key) === settled) last.delete(key)
    })
    return turn
  }
}
export type InTurn = ReturnType<typeof createTurns>
