import { transact } from '../../host/index.ts'
import type { Messenger } from '../assemble.ts'
import type { Signed } from '../core/codec.ts'
import { keptAs, readEvent } from '../core/event.ts'
import { counts } from '../core/generation.ts'
import type { KeptGeneration } from '../device/store.ts'
import { isEnvelope, isEvent } from './verify.ts'

export interface Restored {
  events: number
  generations: number
  mail: number
  files: number
  statements: number
}
interface Place {
  id: string
  grp: string
  device: string
  seq: number
}
type Kept = Place & Signed
/** without content where it was deleted */
type Row = Kept | (Place & { bytes: null; signature: null })
const isKept = (row: Row): row is Kept => row.bytes != null

/** all but its number, which is of its disk */
const EVENT = 'id, grp, device, seq, timeMs, kind, target, bytes, signature, mark'

/** Places of chains where nothing stands here, or the same event damaged: not where it was deleted since. */
const LOST = `
  SELECT id, grp, device, seq, bytes, signature FROM archive.event AS a
  WHERE NOT EXISTS (
    SELECT 1 FROM main.event AS m
    WHERE m.grp = a.grp AND m.device = a.device AND m.seq = a.seq AND
      (m.id <> a.id OR m.bytes IS NULL OR a.bytes IS NULL OR (m.bytes = a.bytes AND m.signature = a.signature))
  )
  ORDER BY timeMs, id`

/**
 * Brings from the database at `file` what is missing or damaged here, all of it or nothing. What is here and right stays
 * as it is, what was deleted stays deleted, and what is damaged there as well stays away.
 */
export function restoreFrom(
  { db, store, school, intake }: Messenger,
  file: string,
  { group, user }: { group?: string; user?: string }
): Restored {
  const isPart = group != null || user != null
  const run = (sql: string, ...values: string[]): number => Number(db.prepare(sql).run(...values).changes)
  const generationsOf = new Map<string, readonly KeptGeneration[]>()

  db.prepare('ATTACH ? AS archive').run(file)
  try {
    return transact(db, () => {
      const statements =
        !isPart && school.roster == null
          ? run('INSERT OR IGNORE INTO main.statement SELECT * FROM archive.statement')
          : 0
      // their folders are beside the database
      if (!isPart) run('INSERT OR IGNORE INTO main.hosted SELECT * FROM archive.hosted')
      const generations =
        user == null
          ? run(
              `INSERT OR IGNORE INTO main.generation SELECT * FROM archive.generation WHERE ? IN ('', grp)`,
              group ?? ''
            )
          : 0
      // what counts goes by those that came
      store.reread()
      const lost = (db.prepare(LOST).all() as unknown as Row[]).filter(isMeant)
      // chains go on behind what was deleted
      const copy = db.prepare(
        `INSERT OR IGNORE INTO main.event (${EVENT}) SELECT ${EVENT} FROM archive.event WHERE id = ?`
      )
      for (const { id } of lost.filter(row => !isKept(row))) copy.run(id)
      const kept = lost.filter(isKept).filter(isEvent)
      for (const row of kept) store.add({ ...row, event: readEvent(row) }, 'kept')
      for (const row of kept) settle(row)
      const mail = isPart ? 0 : sealed('envelope', 'id, address, bytes, at')
      const files = isPart ? 0 : sealed('blob', 'id, bytes, at')
      return { events: kept.length, generations, mail, files, statements }
    })
  } finally {
    store.reread()
    db.exec('DETACH archive')
  }

  function isMeant({ grp, device, seq }: Row): boolean {
    if (group != null && grp !== group) return false
    if (user != null && school.roster?.device(device)?.user !== user) return false
    const generations = generationsOf.get(grp) ?? store.generations(grp)
    generationsOf.set(grp, generations)
    // what a later generation left out would stand in the way of what its author wrote after it
    return counts(generations, device, seq)
  }

  /** What is said about it may be here, or its words where only it was lost. */
  function settle(row: Kept): void {
    const event = readEvent(row)
    intake.settle({ id: row.id, event })
    store.index(keptAs(event).target ?? row.id)
  }

  /** Rows that their own id proves. */
  function sealed(table: 'envelope' | 'blob', columns: string): number {
    const lost = db
      .prepare(
        `SELECT ${columns} FROM archive.${table} AS a
         WHERE NOT EXISTS (SELECT 1 FROM main.${table} AS m WHERE m.id = a.id AND m.bytes = a.bytes)`
      )
      .all() as ({ id: string; bytes: Uint8Array } & Record<string, string | number | Uint8Array>)[]
    const names = columns.split(', ')
    const put = db.prepare(
      `INSERT INTO main.${table} (${columns}) VALUES (${names.map(() => '?').join(', ')})
       ON CONFLICT (id) DO UPDATE SET bytes = excluded.bytes`
    )
    const right = lost.filter(isEnvelope)
    for (const row of right) put.run(...names.map(name => row[name]!))
    return right.length
  }
}
