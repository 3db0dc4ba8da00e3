import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
  -- own orders that are not certified yet
  CREATE TABLE IF NOT EXISTS own (
    seq INTEGER PRIMARY KEY, hash BLOB NOT NULL, signature BLOB NOT NULL, body BLOB NOT NULL
  ) STRICT;
  -- certified segments of all accounts; added: ms; logged: seen in the log of a witness
  CREATE TABLE IF NOT EXISTS segments (
    account TEXT NOT NULL, last INTEGER NOT NULL, first INTEGER NOT NULL, bytes BLOB NOT NULL,
    added INTEGER NOT NULL, logged INTEGER NOT NULL, PRIMARY KEY (account, last)
  ) STRICT;
  CREATE INDEX IF NOT EXISTS unlogged ON segments (account) WHERE logged = 0;
  -- witness: what it signed, never another for the same number
  CREATE TABLE IF NOT EXISTS votes (
    account TEXT NOT NULL, seq INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (account, seq)
  ) STRICT, WITHOUT ROWID;
  -- the last run that a witness voted for, in case its owner signs another
  CREATE TABLE IF NOT EXISTS voted (account TEXT PRIMARY KEY, bytes BLOB NOT NULL) STRICT, WITHOUT ROWID;
  -- own escrows; bound in decimal; settled: number of the settling order
  CREATE TABLE IF NOT EXISTS jobs (
    job TEXT PRIMARY KEY, bound TEXT NOT NULL, escrowed INTEGER NOT NULL, settled INTEGER
  ) STRICT, WITHOUT ROWID;
  -- OrbitDB logs: entries by position
  CREATE TABLE IF NOT EXISTS entries (
    log TEXT NOT NULL, position INTEGER NOT NULL, hash TEXT NOT NULL UNIQUE, bytes BLOB NOT NULL,
    PRIMARY KEY (log, position)
  ) STRICT;
`

export interface OwnRow {
  seq: number
  hash: Uint8Array
  signature: Uint8Array
  body: Uint8Array
}

export interface SegmentRow {
  account: string
  first: number
  last: number
  bytes: Uint8Array
  added: number
}

export interface JobRow {
  job: string
  bound: bigint
  escrowed: number
  settled: number | null
}

/**
 * The ledger's own SQLite file (WAL). A plain commit survives kill −9; `durably` also survives a power cut, and
 * with it everything that was committed before.
 */
export interface Store {
  durably<T>(work: () => T): T
  batch<T>(work: () => T): T
  getMeta(key: string): unknown
  setMeta(key: string, value: string | number): void
  putOwn(row: OwnRow): void
  own(fromSeq: number, limit: number): OwnRow[]
  dropOwn(beforeSeq: number): void
  putJob(job: string, bound: bigint, escrowed: number): void
  settleJob(job: string, settled: number): void
  job(job: string): JobRow | undefined
  openJobs(): JobRow[]
  putSegment(row: SegmentRow, logged: boolean): boolean
  setLogged(account: string, last: number): void
  isLogged(account: string, last: number): boolean
  segments(): Iterable<{ bytes: Uint8Array }>
  segmentsOf(account: string, fromSeq: number, limit: number): Uint8Array[]
  unlogged(limit: number): SegmentRow[]
  voteOf(account: string, seq: number): Uint8Array | undefined
  putVote(account: string, seq: number, hash: Uint8Array): void
  voted(account: string): Uint8Array | undefined
  putVoted(account: string, bytes: Uint8Array): void
  dropVotes(account: string, beforeSeq: number): void
  putEntry(log: string, position: number, hash: string, bytes: Uint8Array): void
  entry(hash: string): Uint8Array | undefined
  entries(log: string, after: number, limit: number): Uint8Array[]
  lengthOf(log: string): number
  headOf(log: string): string | undefined
  close(): void
}

export function openStore(directory: string): Store {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const db = new DatabaseSync(join(directory, 'ledger.sqlite'))
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 1000')
  db.exec(SCHEMA)
  const p = <const S extends string>(sql: S) => db.prepare(sql)
  const getMeta = p('SELECT value FROM meta WHERE key = ?')
  const setMeta = p('INSERT OR REPLACE INTO meta VALUES (?, ?)')
  const putOwn = p('INSERT INTO own VALUES (?, ?, ?, ?)')
  const own = p('SELECT seq, hash, signature, body FROM own WHERE seq >= ? ORDER BY seq LIMIT ?')
  const dropOwn = p('DELETE FROM own WHERE seq < ?')
  const putJob = p('INSERT OR IGNORE INTO jobs VALUES (?, ?, ?, NULL)')
  const settleJob = p('UPDATE jobs SET settled = ? WHERE job = ?')
  const job = p('SELECT job, bound, escrowed, settled FROM jobs WHERE job = ?')
  const openJobs = p('SELECT job, bound, escrowed, settled FROM jobs WHERE settled IS NULL')
  const putSegment = p('INSERT OR IGNORE INTO segments VALUES (?, ?, ?, ?, ?, ?)')
  const setLogged = p('UPDATE segments SET logged = 1 WHERE account = ? AND last = ? AND logged = 0')
  const isLogged = p('SELECT logged FROM segments WHERE account = ? AND last = ?')
  const segments = p('SELECT bytes FROM segments ORDER BY rowid')
  const segmentsOf = p('SELECT bytes FROM segments WHERE account = ? AND last >= ? ORDER BY last LIMIT ?')
  const unlogged = p(
    'SELECT account, first, last, bytes, added FROM segments WHERE logged = 0 ORDER BY rowid LIMIT ?'
  )
  const voteOf = p('SELECT hash FROM votes WHERE account = ? AND seq = ?')
  const putVote = p('INSERT INTO votes VALUES (?, ?, ?)')
  const voted = p('SELECT bytes FROM voted WHERE account = ?')
  const putVoted = p('INSERT OR REPLACE INTO voted VALUES (?, ?)')
  const dropVotes = p('DELETE FROM votes WHERE account = ? AND seq < ?')
  const putEntry = p('INSERT OR IGNORE INTO entries VALUES (?, ?, ?, ?)')
  const entry = p('SELECT bytes FROM entries WHERE hash = ?')
  const entries = p('SELECT bytes FROM entries WHERE log = ? AND position > ? ORDER BY position LIMIT ?')
  const lengthOf = p('SELECT max(position) AS length FROM entries WHERE log = ?')
  const headOf = p('SELECT hash FROM entries WHERE log = ? ORDER BY position DESC LIMIT 1')

  let isOpenTransaction = false
  const batch = <T>(work: () => T): T => {
    if (isOpenTransaction) return work()
    isOpenTransaction = true
    db.exec('BEGIN')
    try {
      const result = work()
      db.exec('COMMIT')
      return result
    } catch (error) {
      db.exec('ROLLBACK')
      throw error
    } finally {
      isOpenTransaction = false
    }
  }
  const bytesIn = (rows: unknown[]): Uint8Array[] => rows.map(row => (row as { bytes: Uint8Array }).bytes)

  return {
    batch,
    durably: work => {
      db.exec('PRAGMA synchronous = FULL')
      try {
        return batch(work)
      } finally {
        db.exec('PRAGMA synchronous = NORMAL')
      }
    },
    getMeta: key => getMeta.get(key)?.value,
    setMeta: (key, value) => void setMeta.run(key, value),
    putOwn: row => void putOwn.run(row.seq, row.hash, row.signature, row.body),
    own: (fromSeq, limit) => own.all(fromSeq, limit) as unknown as OwnRow[],
    dropOwn: beforeSeq => void dropOwn.run(beforeSeq),
    putJob: (id, bound, escrowed) => void putJob.run(id, bound.toString(), escrowed),
    settleJob: (id, settled) => void settleJob.run(settled, id),
    job: id => jobFrom(job.get(id)),
    openJobs: () => openJobs.all().map(row => jobFrom(row)!),
    putSegment: (row, logged) =>
      putSegment.run(row.account, row.last, row.first, row.bytes, row.added, logged ? 1 : 0).changes > 0,
    setLogged: (account, last) => void setLogged.run(account, last),
    isLogged: (account, last) => isLogged.get(account, last)?.logged === 1,
    segments: () => segments.iterate() as Iterable<{ bytes: Uint8Array }>,
    segmentsOf: (account, fromSeq, limit) => bytesIn(segmentsOf.all(account, fromSeq, limit)),
    unlogged: limit => unlogged.all(limit) as unknown as SegmentRow[],
    voteOf: (account, seq) => voteOf.get(account, seq)?.hash as Uint8Array | undefined,
    putVote: (account, seq, hash) => void putVote.run(account, seq, hash),
    voted: account => voted.get(account)?.bytes as Uint8Array | undefined,
    putVoted: (account, bytes) => void putVoted.run(account, bytes),
    dropVotes: (account, beforeSeq) => void dropVotes.run(account, beforeSeq),
    putEntry: (log, position, hash, bytes) => void putEntry.run(log, position, hash, bytes),
    entry: hash => entry.get(hash)?.bytes as Uint8Array | undefined,
    entries: (log, after, limit) => bytesIn(entries.all(log, after, limit)),
    lengthOf: log => (lengthOf.get(log)?.length as number | null) ?? 0,
    headOf: log => headOf.get(log)?.hash as string | undefined,
    close: () => db.close()
  }
}

function jobFrom(row: Record<string, unknown> | undefined): JobRow | undefined {
  return row == null ? undefined : ({ ...row, bound: BigInt(row.bound as string) } as JobRow)
}
