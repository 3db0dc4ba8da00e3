import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import { createLogSync } from '../../bootstrap/files.ts'

const FILE = 'ledger.sqlite'

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
  -- own orders that are not certified yet
  CREATE TABLE IF NOT EXISTS own (
    seq INTEGER PRIMARY KEY, hash BLOB NOT NULL, signature BLOB NOT NULL, body BLOB NOT NULL
  ) STRICT;
  -- certified segments of all accounts; added: ms; logged: seen in the log of a witness;
  -- mine: of or for this node's account; covered: by the checkpoint that opened this epoch;
  -- crc: of the bytes, because SQLite has none and a bit that flips here would be signed upon
  CREATE TABLE IF NOT EXISTS segments (
    account TEXT NOT NULL, last INTEGER NOT NULL, first INTEGER NOT NULL, bytes BLOB NOT NULL,
    added INTEGER NOT NULL, logged INTEGER NOT NULL, mine INTEGER NOT NULL,
    covered INTEGER NOT NULL DEFAULT 0, crc INTEGER, PRIMARY KEY (account, last)
  ) STRICT;
  CREATE INDEX IF NOT EXISTS unlogged ON segments (account) WHERE logged = 0;
  -- fork proofs and evidence
  CREATE TABLE IF NOT EXISTS statements (
    kind INTEGER NOT NULL, key TEXT NOT NULL, bytes BLOB NOT NULL,
    added INTEGER NOT NULL, logged INTEGER NOT NULL, PRIMARY KEY (kind, key)
  ) STRICT;
  CREATE INDEX IF NOT EXISTS unlogged_statements ON statements (kind) WHERE logged = 0;
  CREATE TABLE IF NOT EXISTS checkpoints (
    next INTEGER PRIMARY KEY, bytes BLOB NOT NULL, votes BLOB NOT NULL
  ) STRICT;
  -- witness: the checkpoint that it signed for an epoch, never another
  CREATE TABLE IF NOT EXISTS proposals (next INTEGER PRIMARY KEY, hash BLOB NOT NULL, lengths TEXT NOT NULL) STRICT;
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
  -- certified transfers of and to this node's account: what a memo paid for
  CREATE TABLE IF NOT EXISTS transfers (
    sender TEXT NOT NULL, seq INTEGER NOT NULL, receiver TEXT NOT NULL, memo TEXT NOT NULL, amount INTEGER NOT NULL,
    PRIMARY KEY (sender, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS transfers_memo ON transfers (memo, sender, receiver, amount);
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
  mine: boolean
}

export interface TransferRow {
  sender: string
  seq: number
  receiver: string
  memo: string
  amount: bigint
}

/** What a log holds, by kind. */
export type Item = [kind: number, bytes: Uint8Array]
export const SEGMENT_ITEM = 0
export const FORK_ITEM = 1
export const EVIDENCE_ITEM = 2

interface UnloggedRow {
  kind: number
  key: string
  bytes: Uint8Array
  added: number
}

export interface CheckpointRow {
  next: number
  bytes: Uint8Array
  votes: Uint8Array
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
  /** Everything that was committed before is safe from a power cut; the node goes on meanwhile. */
  synced(): Promise<void>
  batch<T>(work: () => T): T
  getMeta(key: string): unknown
  setMeta(key: string, value: string | number): void
  dropMeta(key: string): void
  putOwn(row: OwnRow): void
  own(fromSeq: number, limit: number): OwnRow[]
  dropOwn(beforeSeq: number): void
  /** Gives up own orders from a number on, and what they did to jobs. */
  dropOwnFrom(seq: number): void
  putJob(job: string, bound: bigint, escrowed: number): void
  settleJob(job: string, settled: number | null): void
  dropJob(job: string): void
  job(job: string): JobRow | undefined
  dropJobs(settledBefore: number): void
  openJobs(): JobRow[]
  putTransfer(row: TransferRow): void
  /** the largest, in micro-credits */
  transfer(memo: string, sender: string, receiver: string): bigint | undefined
  putSegment(row: SegmentRow, logged: boolean): boolean
  dropSegment(account: string, last: number): void
  setLogged(account: string, last: number): void
  segment(account: string, last: number): Uint8Array | undefined
  /** not covered by the checkpoint; `isIntact`: the bytes are those that were written */
  segments(): Iterable<{ account: string; last: number; bytes: Uint8Array; isIntact: boolean }>
  /** ms when the oldest segment arrived */
  firstAdded(): number | undefined
  mine(limit: number): Uint8Array[]
  /** Marks what a checkpoint covers; gives up all of it that is not mine, unless `keep`. */
  cover(accounts: Iterable<readonly [account: string, seq: number]>, keep: boolean): void
  putStatement(kind: number, key: string, bytes: Uint8Array, added: number, logged: boolean): boolean
  statements(kind: number): Iterable<{ key: string; bytes: Uint8Array; added: number }>
  statement(kind: number, key: string): Uint8Array | undefined
  setStatementLogged(kind: number, key: string, logged: boolean): void
  dropStatement(kind: number, key: string): void
  checkpoint(): CheckpointRow | undefined
  putCheckpoint(row: CheckpointRow): void
  dropCheckpoint(next: number): void
  proposal(next: number): { hash: Uint8Array; lengths: number[] } | undefined
  putProposal(next: number, hash: Uint8Array, lengths: number[]): void
  segmentsOf(account: string, fromSeq: number, limit: number): Uint8Array[]
  unlogged(limit: number): { item: Item; account: string; added: number }[]
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
  /** Gives up the logs and checkpoints before that of an epoch. */
  dropEpochsBefore(epoch: number): void
  close(): void
}

/** Without a directory it is in memory, for simulations. */
export function openStore(directory?: string): Store {
  if (directory != null) mkdirSync(directory, { recursive: true, mode: 0o700 })
  const db = new DatabaseSync(directory == null ? ':memory:' : join(directory, FILE))
  // 16 MiB between copies of the log into the file, each of which waits for the disk
  db.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 1000; PRAGMA wal_autocheckpoint = 4096'
  )
  db.exec(SCHEMA)
  addChecksums(db)
  const p = <const S extends string>(sql: S) => db.prepare(sql)
  const getMeta = p('SELECT value FROM meta WHERE key = ?')
  const setMeta = p('INSERT OR REPLACE INTO meta VALUES (?, ?)')
  const dropMeta = p('DELETE FROM meta WHERE key = ?')
  const putOwn = p('INSERT INTO own VALUES (?, ?, ?, ?)')
  const own = p('SELECT seq, hash, signature, body FROM own WHERE seq >= ? ORDER BY seq LIMIT ?')
  const dropOwn = p('DELETE FROM own WHERE seq < ?')
  const dropOwnFrom = [
    p('DELETE FROM own WHERE seq >= ?'),
    p('DELETE FROM jobs WHERE escrowed >= ?'),
    p('UPDATE jobs SET settled = NULL WHERE settled >= ?'),
    p("DELETE FROM meta WHERE key = 'grant' AND value >= ?")
  ]
  const putJob = p('INSERT OR IGNORE INTO jobs VALUES (?, ?, ?, NULL)')
  const settleJob = p('UPDATE jobs SET settled = ? WHERE job = ?')
  const job = p('SELECT job, bound, escrowed, settled FROM jobs WHERE job = ?')
  const openJobs = p('SELECT job, bound, escrowed, settled FROM jobs WHERE settled IS NULL')
  const putTransfer = p('INSERT OR IGNORE INTO transfers VALUES (?, ?, ?, ?, ?)')
  const transfer = p(
    'SELECT max(amount) AS amount FROM transfers WHERE memo = ? AND sender = ? AND receiver = ?'
  )
  // an amount may have 63 bits
  transfer.setReadBigInts(true)
  const putSegment = p('INSERT OR IGNORE INTO segments VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?)')
  const setLogged = p('UPDATE segments SET logged = 1 WHERE account = ? AND last = ? AND logged = 0')
  const segment = p('SELECT bytes FROM segments WHERE account = ? AND last = ?')
  const dropSegment = p('DELETE FROM segments WHERE account = ? AND last = ?')
  const segments = p('SELECT account, last, bytes, crc FROM segments WHERE covered = 0 ORDER BY rowid')
  const mine = p('SELECT bytes FROM segments WHERE mine = 1 ORDER BY rowid DESC LIMIT ?')
  const firstAdded = p('SELECT min(added) AS first FROM segments')
  const cover = p(
    'UPDATE segments SET covered = 1, logged = 1 WHERE account = ? AND last < ? AND covered = 0'
  )
  const dropCovered = p('DELETE FROM segments WHERE covered = 1 AND mine = 0')
  const carryOver = p('UPDATE segments SET logged = 0 WHERE covered = 0')
  const putStatement = p('INSERT OR IGNORE INTO statements VALUES (?, ?, ?, ?, ?)')
  const statements = p('SELECT key, bytes, added FROM statements WHERE kind = ?')
  const statement = p('SELECT bytes FROM statements WHERE kind = ? AND key = ?')
  const setStatementLogged = p('UPDATE statements SET logged = ? WHERE kind = ? AND key = ?')
  const dropStatement = p('DELETE FROM statements WHERE kind = ? AND key = ?')
  const unloggedStatements = p('SELECT kind, key, bytes, added FROM statements WHERE logged = 0 LIMIT ?')
  const checkpoint = p('SELECT next, bytes, votes FROM checkpoints ORDER BY next DESC LIMIT 1')
  const putCheckpoint = p('INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?)')
  const dropCheckpoint = p('DELETE FROM checkpoints WHERE next = ?')
  const proposal = p('SELECT hash, lengths FROM proposals WHERE next = ?')
  const putProposal = p('INSERT INTO proposals VALUES (?, ?, ?)')
  const dropJob = p('DELETE FROM jobs WHERE job = ?')
  const dropJobs = p('DELETE FROM jobs WHERE settled < ?')
  const dropEntries = p('DELETE FROM entries WHERE CAST(log AS INTEGER) < ?')
  const dropCheckpoints = p('DELETE FROM checkpoints WHERE next < ?')
  const segmentsOf = p('SELECT bytes FROM segments WHERE account = ? AND last >= ? ORDER BY last LIMIT ?')
  const unlogged = p(
    `SELECT ${SEGMENT_ITEM} AS kind, account AS key, bytes, added FROM segments WHERE logged = 0 ORDER BY rowid LIMIT ?`
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
      // a full disk has rolled it back already
      if (db.isTransaction) db.exec('ROLLBACK')
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
    synced: directory == null ? async () => {} : createLogSync(join(directory, FILE)),
    getMeta: key => getMeta.get(key)?.value,
    setMeta: (key, value) => void setMeta.run(key, value),
    dropMeta: key => void dropMeta.run(key),
    putOwn: row => void putOwn.run(row.seq, row.hash, row.signature, row.body),
    own: (fromSeq, limit) => own.all(fromSeq, limit) as unknown as OwnRow[],
    dropOwn: beforeSeq => void dropOwn.run(beforeSeq),
    dropOwnFrom: seq => {
      for (const statement of dropOwnFrom) statement.run(seq)
    },
    putJob: (id, bound, escrowed) => void putJob.run(id, bound.toString(), escrowed),
    settleJob: (id, settled) => void settleJob.run(settled, id),
    job: id => jobFrom(job.get(id)),
    openJobs: () => openJobs.all().map(row => jobFrom(row)!),
    putTransfer: ({ sender, seq, receiver, memo, amount }) =>
      void putTransfer.run(sender, seq, receiver, memo, amount),
    transfer: (memo, sender, receiver) =>
      (transfer.get(memo, sender, receiver)!.amount as bigint | null) ?? undefined,
    putSegment: (row, logged) =>
      putSegment.run(
        row.account,
        row.last,
        row.first,
        row.bytes,
        row.added,
        logged ? 1 : 0,
        row.mine ? 1 : 0,
        crc32(row.bytes)
      ).changes > 0,
    setLogged: (account, last) => void setLogged.run(account, last),
    segment: (account, last) => segment.get(account, last)?.bytes as Uint8Array | undefined,
    dropSegment: (account, last) => void dropSegment.run(account, last),
    segments: () =>
      (segments.all() as unknown as (SegmentRow & { crc: number | null })[]).map(
        ({ account, last, bytes, crc }) => ({
          account,
          last,
          bytes,
          isIntact: crc == null || crc === crc32(bytes)
        })
      ),
    firstAdded: () => (firstAdded.get()?.first as number | null) ?? undefined,
    mine: limit => bytesIn(mine.all(limit)),
    cover: (accounts, keep) => {
      for (const [account, seq] of accounts) cover.run(account, seq)
      if (!keep) dropCovered.run()
      carryOver.run()
    },
    putStatement: (kind, key, bytes, added, logged) =>
      putStatement.run(kind, key, bytes, added, logged ? 1 : 0).changes > 0,
    statements: kind =>
      statements.all(kind) as unknown as { key: string; bytes: Uint8Array; added: number }[],
    statement: (kind, key) => statement.get(kind, key)?.bytes as Uint8Array | undefined,
    setStatementLogged: (kind, key, logged) => void setStatementLogged.run(logged ? 1 : 0, kind, key),
    dropStatement: (kind, key) => void dropStatement.run(kind, key),
    checkpoint: () => checkpoint.get() as unknown as CheckpointRow | undefined,
    dropCheckpoint: next => void dropCheckpoint.run(next),
    putCheckpoint: row => void putCheckpoint.run(row.next, row.bytes, row.votes),
    proposal: next => {
      const row = proposal.get(next) as { hash: Uint8Array; lengths: string } | undefined
      return row && { hash: row.hash, lengths: JSON.parse(row.lengths) }
    },
    putProposal: (next, hash, lengths) => void putProposal.run(next, hash, JSON.stringify(lengths)),
    dropJob: id => void dropJob.run(id),
    dropJobs: before => void dropJobs.run(before),
    dropEpochsBefore: epoch => {
      dropEntries.run(epoch)
      dropCheckpoints.run(epoch)
    },
    segmentsOf: (account, fromSeq, limit) => bytesIn(segmentsOf.all(account, fromSeq, limit)),
    unlogged: limit => {
      const rows = [...unloggedStatements.all(limit), ...unlogged.all(limit)] as unknown as UnloggedRow[]
      return rows.map(({ kind, key, bytes, added }) => ({ item: [kind, bytes], account: key, added }))
    },
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

/** Folders from before there were checksums: what lies in them is taken as it is. */
function addChecksums(db: DatabaseSync): void {
  const columns = db.prepare('PRAGMA table_info(segments)').all()
  if (!columns.some(({ name }) => name === 'crc')) db.exec('ALTER TABLE segments ADD COLUMN crc INTEGER')
}

function jobFrom(row: Record<string, unknown> | undefined): JobRow | undefined {
  return row == null ? undefined : ({ ...row, bound: BigInt(row.bound as string) } as JobRow)
}
