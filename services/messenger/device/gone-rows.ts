import type { DatabaseSync } from 'node:sqlite'
import { toHex } from '../core/codec.ts'
import type { Gone } from './claims.ts'
import { GONE, type Placed } from './store.ts'

const PAGE = 64

/** Places of chains whose events were deleted, any number of them in a row. */
export function createGoneRows(db: DatabaseSync) {
  // one chain at a time, until it is known to join what is here
  db.exec(`CREATE TEMP TABLE IF NOT EXISTS passed (
    seq INTEGER PRIMARY KEY, device TEXT NOT NULL, id TEXT NOT NULL UNIQUE, timeMs INTEGER NOT NULL, target TEXT
  ) STRICT`)
  const clear = db.prepare('DELETE FROM passed')
  const note = db.prepare(
    'INSERT OR IGNORE INTO passed (device, seq, id, timeMs, target) VALUES (?, ?, ?, ?, ?)'
  )
  const join = db.prepare(
    `INSERT INTO event (id, grp, device, seq, timeMs, kind, target, mark)
     SELECT id, ?, device, seq, timeMs, '${GONE}', target, 'saved' FROM passed ORDER BY seq`
  )
  const before = db.prepare(
    `SELECT id, device, seq, timeMs, bytes, signature, target FROM event
     WHERE grp = ? AND device = ? AND seq < ? ORDER BY seq DESC LIMIT ${PAGE}`
  )
  return {
    clear: (): void => void clear.run(),
    /** False: it has a place already. */
    note: ([device, seq, hash, timeMs]: Gone, of: string): boolean => {
      const id = toHex(hash)
      return note.run(device, seq, id, timeMs, of === id ? null : of).changes === 1
    },
    /** What was noted becomes part of its chain. */
    join: (grp: string): void => void join.run(grp),
    /** What stands before a place of a chain and is gone, the newest first. */
    *before(grp: string, device: string, seq: number): Generator<Placed[]> {
      for (let at = seq; ; ) {
        const rows = before.all(grp, device, at) as unknown as Placed[]
        const there = rows.findIndex((row, i) => row.bytes != null || row.seq !== at - 1 - i)
        const gone = there < 0 ? rows : rows.slice(0, there)
        if (gone.length > 0) yield gone
        if (there >= 0 || rows.length < PAGE) return
        at = rows.at(-1)!.seq
      }
    }
  }
}
