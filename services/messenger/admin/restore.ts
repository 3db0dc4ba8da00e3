import type { Messenger } from '../assemble.ts'
import { hashOf, toHex } from '../core/codec.ts'
import { readEvent } from '../core/event.ts'
import { readEnvelope } from '../mailbox/envelope.ts'
import { transact } from '../store/database.ts'

export interface Restored {
  events: number
  generations: number
  mail: number
  files: number
  statements: number
}
type Row = { id: string; grp: string; device: string; seq: number; bytes: Uint8Array; signature: Uint8Array }

/**
 * Brings from the database at `file` what is missing or damaged here, all of it or nothing. What is here and right stays
 * as it is, and what was deleted stays deleted.
 */
export function restoreFrom(
  { db, store, school }: Messenger,
  file: string,
  { group, user }: { group?: string; user?: string }
): Restored {
  const isPart = group != null || user != null
  const run = (sql: string, ...values: string[]): number => Number(db.prepare(sql).run(...values).changes)
  const isMeant = ({ grp, device }: Row): boolean =>
    (group == null || grp === group) && (user == null || school.roster?.device(device)?.user === user)

  db.prepare('ATTACH ? AS archive').run(file)
  try {
    return transact(db, () => {
      const statements =
        !isPart && school.roster == null
          ? run('INSERT OR IGNORE INTO main.statement SELECT * FROM archive.statement')
          : 0
      const generations =
        user == null
          ? run(
              `INSERT OR IGNORE INTO main.generation SELECT * FROM archive.generation WHERE ? IN ('', grp)`,
              group ?? ''
            )
          : 0
      let events = 0
      const rows = db
        .prepare(
          `SELECT id, grp, device, seq, bytes, signature FROM archive.event
           WHERE bytes IS NOT NULL ORDER BY timeMs, id`
        )
        .all() as Row[]
      for (const row of rows) {
        if (!isMeant(row)) continue
        const signed = { bytes: row.bytes, signature: row.signature }
        const here = db.prepare('SELECT bytes, signature FROM main.event WHERE id = ?').get(row.id) as
          | { bytes: Uint8Array | null; signature: Uint8Array | null }
          | undefined
        // deleted since
        if (here != null && here.bytes == null) continue
        const isSame =
          here != null &&
          Buffer.from(here.bytes!).equals(row.bytes) &&
          Buffer.from(here.signature!).equals(row.signature)
        if (isSame || toHex(hashOf(row.bytes)) !== row.id) continue
        // where only the message was lost
        store.dropWords(row.id)
        store.add(signed, readEvent(signed), 'kept')
        if (store.about(row.id).some(({ kind }) => kind === 'delete')) store.empty(row.id)
        events++
      }
      const mail = isPart ? 0 : sealed(`envelope`, 'id, address, bytes, at')
      const files = isPart ? 0 : sealed(`blob`, 'id, bytes, at')
      return { events, generations, mail, files, statements }
    })
  } finally {
    db.exec('DETACH archive')
  }

  /** Rows that their own id proves. */
  function sealed(table: 'envelope' | 'blob', columns: string): number {
    const missing = db
      .prepare(
        `SELECT ${columns} FROM archive.${table} AS a WHERE NOT EXISTS (SELECT 1 FROM main.${table} AS m WHERE m.id = a.id)`
      )
      .all() as Record<string, string | number | Uint8Array>[]
    const names = columns.split(', ')
    const insert = db.prepare(
      `INSERT INTO main.${table} (${columns}) VALUES (${names.map(() => '?').join(', ')})`
    )
    const right = missing.filter(row => readEnvelope(row.bytes as Uint8Array).id === row.id)
    for (const row of right) insert.run(...names.map(name => row[name]!))
    return right.length
  }
}
