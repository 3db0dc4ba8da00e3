import { existsSync } from 'node:fs'
import { cp, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { ClassicLevel } from 'classic-level'
import type { DataKind } from './data-folder.ts'
import { describeFinding, examineData, type Finding } from './examine-data.ts'
import { lockFolder } from './lock.ts'

/** What was done about a finding; `kept`: where the old file lies now. */
export interface Repair {
  path: string
  done: string
  kept?: string
}

/** Mends a file in place of the old one, which lies at `kept` now; gives what it did. */
type Mend = (file: string, kept: string) => Promise<string> | string

const putAside: Mend = () => 'put aside'

const MEND: Record<DataKind, Mend> = {
  lock: putAside,
  'made-at-start': putAside,
  key: putAside,
  network: putAside,
  json: putAside,
  token: putAside,
  files: putAside,
  sqlite: salvage,
  level: mendLevel
}

/**
 * Puts damaged parts of a data folder aside under a dated name and makes again what can be made again. Nothing is
 * deleted, and what is intact or cannot be made again stays where it is.
 *
 * @throws {LockError} a node is running in it
 */
export async function repairData(folder: string, now: Date): Promise<Repair[]> {
  const stamp = now.toISOString().slice(0, 19).replaceAll(':', '-')
  const findings = await examineData(folder, 'thorough')
  const repairs: Repair[] = []
  const mend = async (finding: Finding): Promise<void> => {
    const { part, problem } = finding
    const file = join(folder, part.path)
    if (problem === 'rights' || part.remedy == null) {
      repairs.push({ path: part.path, done: `left as it is: ${describeFinding(folder, finding)}` })
    } else if (problem === 'missing') {
      await mkdir(dirname(file), { recursive: true, mode: 0o700 })
      createDatabase(file).close()
      repairs.push({ path: part.path, done: `made again, empty; ${part.loss}` })
    } else {
      const kept = `${file}.${stamp}`
      for (const suffix of part.kind === 'sqlite' ? ['', '-wal', '-shm'] : [''])
        if (existsSync(file + suffix)) await rename(file + suffix, kept + suffix)
      repairs.push({ path: part.path, done: `${await MEND[part.kind](file, kept)}; ${part.remedy}`, kept })
    }
  }
  const lock = findings.find(({ part }) => part.kind === 'lock')
  if (lock != null) await mend(lock)
  const release = lockFolder(folder)
  try {
    for (const finding of findings) if (finding !== lock) await mend(finding)
  } finally {
    release()
  }
  return repairs
}

function createDatabase(file: string): DatabaseSync {
  const db = new DatabaseSync(file, { enableForeignKeyConstraints: false })
  db.exec('PRAGMA journal_mode = WAL')
  return db
}

/** Copies every row that can still be read, table by table, from both ends. */
async function salvage(file: string, kept: string): Promise<string> {
  const db = createDatabase(file)
  let rows = 0
  try {
    const source = await openDamaged(kept)
    if (source == null) return 'nothing could be read; it is empty now'
    try {
      db.exec('BEGIN')
      const schema = source
        .prepare(
          "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
        )
        .all() as { type: string; name: string; sql: string }[]
      for (const { sql } of schema.filter(({ type }) => type === 'table')) db.exec(sql)
      for (const { name } of schema.filter(({ type }) => type === 'table')) rows += copyRows(source, db, name)
      for (const { sql } of schema.filter(({ type }) => type !== 'table')) db.exec(sql)
      db.exec('COMMIT')
    } finally {
      source.close()
    }
  } finally {
    db.close()
    for (const suffix of ['', '-wal', '-shm']) await rm(`${kept}.mended${suffix}`, { force: true })
  }
  return `${rows} rows could be read and are kept`
}

/** The old database; with a new head where the old one is damaged: its first 24 bytes are the same in all of ours. */
async function openDamaged(kept: string): Promise<DatabaseSync | undefined> {
  for (const isHeadNew of [false, true]) {
    let source: DatabaseSync | undefined
    try {
      if (isHeadNew) {
        // the old file stays as it was found
        for (const suffix of ['', '-wal'])
          if (existsSync(kept + suffix)) await cp(kept + suffix, `${kept}.mended${suffix}`)
        const handle = await open(`${kept}.mended`, 'r+')
        await handle.write(HEAD, 0, HEAD.length, 0)
        await handle.close()
      }
      source = new DatabaseSync(isHeadNew ? `${kept}.mended` : kept, { readOnly: true })
      source.prepare('SELECT count(*) FROM sqlite_master').get()
      return source
    } catch {
      // tried in the next way, or not to be read at all
      source?.close()
    }
  }
  return undefined
}

/** Magic, page size 4096, WAL for reading and writing, no reserved bytes, fixed fractions (sqlite.org/fileformat2.html). */
const HEAD = Buffer.concat([Buffer.from('SQLite format 3\0'), Uint8Array.of(0x10, 0x00, 2, 2, 0, 64, 32, 32)])

function copyRows(source: DatabaseSync, target: DatabaseSync, table: string): number {
  const name = `"${table.replaceAll('"', '""')}"`
  const columns = source.prepare(`PRAGMA table_info(${name})`).all() as { name: string; pk: number }[]
  const insert = target.prepare(`INSERT OR IGNORE INTO ${name} VALUES (${columns.map(() => '?').join(', ')})`)
  const keys = columns.filter(({ pk }) => pk > 0).map(({ name: key }) => `"${key}" DESC`)
  let rows = 0
  // without a key what was read already would come again
  for (const order of keys.length === 0 ? [''] : ['', `ORDER BY ${keys.join(', ')}`]) {
    try {
      const select = source.prepare(`SELECT * FROM ${name} ${order}`)
      select.setReadBigInts(true)
      for (const row of select.iterate())
        rows += Number(
          insert.run(...(Object.values(row as object) as (string | bigint | Uint8Array)[])).changes
        )
      return rows
    } catch {
      // a page that cannot be read; what lies behind it is read from the other end
    }
  }
  return rows
}

/** LevelDB's own repair, on a copy. */
async function mendLevel(folder: string, kept: string): Promise<string> {
  await cp(kept, folder, { recursive: true })
  try {
    await ClassicLevel.repair(folder)
    return 'repaired'
  } catch (error) {
    await rm(folder, { recursive: true })
    return `not even LevelDB's repair could read it (${(error as Error).message}); it is empty now`
  }
}
