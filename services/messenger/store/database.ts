import type { DatabaseSync } from 'node:sqlite'
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

/**
 * A transaction that waits for no disk: for what others give again. `kill -9` loses nothing of it; with the power it may
 * be lost as a whole, together with all that came after it and was not waited for. The next other commit waits for it too.
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
