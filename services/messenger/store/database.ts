import type { DatabaseSync } from 'node:sqlite'

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
