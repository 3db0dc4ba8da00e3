import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createLogSync } from '../../bootstrap/files.ts'
import type { SignedWork } from '../../ledger/index.ts'
import { decodeValue } from '../../sandbox/index.ts'
import type { JobState, VerificationReport, WorkerShare } from '../contract.ts'
import { headOf, type ResultBytes, wholeOf } from '../data/result-bytes.ts'
import { DamagedJobError } from '../errors.ts'
import type { TaskSpec } from '../tasks/registry.ts'
import type { Assurance, Trust } from '../trust/credibility.ts'
import { type JobEnd, type StoredJob, type StoredSlice, toJob, toSpans } from './job-rows.ts'
import { createCommits } from './one-commit.ts'
import { type InRow, openLargeValues, type Piece, piecesOf, type Value } from './value-files.ts'

/** How a job ended, with what is kept of it. */
export interface FinalState extends JobEnd {
  state: JobState
  finished: number
  cid?: string
  failure?: StoredJob['failure']
  result?: ResultBytes
  made?: MadeOf
  /** nothing is left to pay; default: there is */
  settled?: boolean
}

type NewJob = Pick<StoredJob, 'id' | 'type' | 'submitted' | 'bound' | 'name'>

export interface AcceptedSlice extends StoredSlice {
  /** as its workers know it */
  slice: number
  works: SignedWork[]
  assurance: Assurance
}

/** The accepted slices of a part whose values are the lists of a result, and where their items begin. */
export interface MadeOf {
  part: number
  lists: readonly { first: number; from: number }[]
}

// names of large values
const [SPECS, RESULT] = ['specs', 'result']
/** of a job that ended */
const KEPT = [SPECS, RESULT]
const nameOf = ({ part, first }: { part: number; first: number }): string => `${part}-${first}`

const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  -- a checkpoint waits for the disk, twice, and a small job writes a dozen pages: once in 300 jobs, not in 80
  PRAGMA wal_autocheckpoint = 4096;
  PRAGMA foreign_keys = ON;
  CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, type TEXT NOT NULL, state TEXT NOT NULL, submitted INTEGER NOT NULL,
    finished INTEGER, bound INTEGER NOT NULL, settled INTEGER NOT NULL DEFAULT 0, cid TEXT, failure TEXT,
    name TEXT, done INTEGER, total INTEGER, retries INTEGER, shares TEXT, verification TEXT
  ) STRICT;
  -- apart from what changes often: an update writes its whole row again
  CREATE TABLE IF NOT EXISTS specs (job TEXT PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE, specs BLOB NOT NULL, file INTEGER) STRICT;
  CREATE TABLE IF NOT EXISTS results (job TEXT PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE, result BLOB NOT NULL, file INTEGER, pieces TEXT) STRICT;
  CREATE INDEX IF NOT EXISTS jobs_open ON jobs (settled) WHERE settled = 0;
  CREATE TABLE IF NOT EXISTS slices (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE, part INTEGER NOT NULL, first INTEGER NOT NULL,
    count INTEGER NOT NULL, slice INTEGER NOT NULL, value BLOB, paid TEXT NOT NULL,
    answers INTEGER NOT NULL DEFAULT 1, audited INTEGER NOT NULL DEFAULT 0, canaries INTEGER NOT NULL DEFAULT 0,
    credibility REAL NOT NULL DEFAULT 0, file INTEGER, PRIMARY KEY (job, part, first)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS works (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE, worker TEXT NOT NULL, slice INTEGER NOT NULL,
    digest BLOB NOT NULL, amount INTEGER NOT NULL, signature BLOB NOT NULL, PRIMARY KEY (job, worker, slice)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS trust (
    key TEXT PRIMARY KEY, checks INTEGER NOT NULL, streak INTEGER NOT NULL, compared INTEGER NOT NULL, wrong INTEGER NOT NULL,
    caughtAt INTEGER
  ) STRICT, WITHOUT ROWID;
`

/**
 * Jobs and accepted slices in the coordinator's own SQLite file (WAL), large values in files beside it: what was written
 * survives kill −9, and a power cut what is `safe`.
 * `file`: a path, or ':memory:'.
 */
export function openStore(file: string) {
  const db = new DatabaseSync(file)
  db.exec(SCHEMA)
  addColumns(db)
  const large = openLargeValues(file === ':memory:' ? undefined : join(dirname(file), 'values'))
  const insertJob = db.prepare(
    'INSERT INTO jobs (id, type, state, submitted, bound, name) VALUES (?, ?, ?, ?, ?, ?)'
  )
  const insertSlice = db.prepare(
    `INSERT OR REPLACE INTO slices (job, part, first, count, slice, value, paid, answers, audited, credibility, file)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
  )
  const addCanary = db.prepare(
    `UPDATE slices SET paid = json_insert(paid, '$[#]', json_array(?, ?)), canaries = canaries + 1
     WHERE job = ? AND part = ? AND first = ?`
  )
  const selectChecks = db.prepare(
    `SELECT coalesce(sum((answers + canaries) * count + audited) * 1.0 / sum(count), 0) AS replicas,
       coalesce(sum(answers > 1), 0) AS compared, coalesce(sum(audited), 0) AS audited,
       coalesce(sum(canaries), 0) AS canaries, min(credibility) AS confidence FROM slices WHERE job = ?`
  )
  const deleteSlice = db.prepare('DELETE FROM slices WHERE job = ? AND part = ? AND first = ?')
  const insertWork = db.prepare(
    'INSERT OR REPLACE INTO works (job, worker, slice, digest, amount, signature) VALUES (?, ?, ?, ?, ?, ?)'
  )
  const deleteWorks = db.prepare(
    'DELETE FROM works WHERE job = ? AND slice = (SELECT slice FROM slices WHERE job = ? AND part = ? AND first = ?)'
  )
  const selectWorks = db.prepare('SELECT worker, slice, digest, amount, signature FROM works WHERE job = ?')
  const setTrust = db.prepare(
    'INSERT OR REPLACE INTO trust (key, checks, streak, compared, wrong, caughtAt) VALUES (?, ?, ?, ?, ?, ?)'
  )
  const endJob = db.prepare(
    `UPDATE jobs SET state = ?, finished = ?, cid = ?, failure = ?, done = ?, total = ?, retries = ?, shares = ?,
       verification = ?, settled = ?
     WHERE id = ?`
  )
  const dropValues = db.prepare('UPDATE slices SET value = NULL, file = NULL WHERE job = ?')
  const setSettled = db.prepare('UPDATE jobs SET settled = 1 WHERE id = ?')
  const reopen = [
    'DELETE FROM slices WHERE job = ?',
    'DELETE FROM works WHERE job = ?',
    'DELETE FROM results WHERE job = ?',
    `UPDATE jobs SET state = 'queued', finished = NULL, cid = NULL, done = NULL, total = NULL, retries = NULL,
       shares = NULL, verification = NULL WHERE id = ?`
  ].map(sql => db.prepare(sql))
  const setRunning = db.prepare("UPDATE jobs SET state = 'running' WHERE id = ? AND finished IS NULL")
  const selectOne = db.prepare('SELECT * FROM jobs WHERE id = ?')
  const selectOpen = db.prepare('SELECT * FROM jobs WHERE settled = 0 ORDER BY submitted')
  const selectSpecs = db.prepare('SELECT specs AS bytes, file AS inFile FROM specs WHERE job = ?')
  const insertSpecs = db.prepare('INSERT INTO specs (job, specs, file) VALUES (?, ?, ?)')
  const insertResult = db.prepare(
    'INSERT OR REPLACE INTO results (job, result, file, pieces) VALUES (?, ?, ?, ?)'
  )
  const selectResult = db.prepare('SELECT result AS bytes, file AS inFile, pieces FROM results WHERE job = ?')
  const selectSlices = db.prepare(
    'SELECT part, first, count, value, file, paid FROM slices WHERE job = ? ORDER BY part, first'
  )
  const selectSpans = db.prepare(
    'SELECT part, first, count, paid FROM slices WHERE job = ? ORDER BY part, first'
  )

  const { transaction, later, flush } = createCommits(db)
  const synced = file === ':memory:' ? async () => {} : createLogSync(file)

  function addWorks(job: string, works: SignedWork[]): void {
    for (const { worker, slices, signature } of works) {
      // of this node itself, which nobody is to be shown
      if (signature.length === 0) continue
      for (const work of slices) insertWork.run(job, worker, work.slice, work.digest, work.amount, signature)
    }
  }

  const selectFile = db.prepare('SELECT file FROM slices WHERE job = ? AND part = ? AND first = ?')

  /** The files of slices that are this result after its head; undefined where one of them is in a row, and where there are none. */
  function filesOf(job: string, { part, lists }: MadeOf): Piece[] | undefined {
    const pieces: Piece[] = []
    for (const { first, from } of lists) {
      const length = selectFile.get(job, part, first)?.file
      if (typeof length !== 'number') return
      pieces.push([nameOf({ part, first }), from, length])
    }
    return pieces.length > 0 ? pieces : undefined
  }

  function addResult(job: string, result: ResultBytes, made?: MadeOf): InRow {
    const pieces = made && filesOf(job, made)
    if (pieces == null) return large.put(job, RESULT, wholeOf(result))
    const bytes = headOf(result)
    const inFile = pieces.reduce((sum, [, from, length]) => sum + length - from, bytes.length)
    return { bytes, inFile, pieces: JSON.stringify(pieces) }
  }

  /** The names of what is kept of a job that ended. Of pieces that cannot be read nothing is: the result is lost. */
  function keptOf(job: string): string[] {
    const pieces = piecesOf(selectResult.get(job)?.pieces as string | null | undefined) ?? []
    return [...KEPT, ...pieces.map(([name]) => name)]
  }

  for (const job of large.jobs()) {
    // what a crash left behind
    const row = selectOne.get(job)
    if (row == null || row.finished != null) large.keepOnly(job, row == null ? [] : keptOf(job))
  }

  return {
    /**
     * Calls `write`, which calls this store, at the end of this turn of the event loop, in one commit with everything
     * else of it. Resolves when it is on disk; rejects with what it throws. What follows in the same turn of a job
     * (`of`) of which something could not be written is not written either.
     */
    later,
    /**
     * Everything of a job that was written in this turn of the event loop, or before, is safe from a power cut. `mayWait`:
     * together with what others are about to ask for.
     */
    async safe(id: string, mayWait?: boolean): Promise<void> {
      if (large.hasFiles(id)) await large.synced(id, keptOf(id))
      await synced(mayWait)
    },
    /** Whether large values of the job lie in files, which are safe later than its rows. */
    hasFiles: (id: string): boolean => large.hasFiles(id),
    /** `specs`: a list of TaskSpec as canonical bytes; `inRow`: what of them belongs into the row, once they are in their file */
    addJob(job: NewJob, specs: Value, inRow?: () => InRow): void {
      let isNew = false
      const write = (): void => {
        insertJob.run(job.id, job.type, 'queued', job.submitted, job.bound, job.name ?? null)
        isNew = true
        const { bytes, inFile } = inRow?.() ?? large.put(job.id, SPECS, specs)
        insertSpecs.run(job.id, bytes, inFile)
      }
      transaction(job.id, write, {
        // a disk that is full must not keep what was refused
        undo: () => isNew && large.keepOnly(job.id, [])
      })
    },
    /** As `addJob` in what is written `later`; large specs go to their file beside the event loop. */
    keepJob(job: NewJob, specs: Value): Promise<void> {
      // one that is there already keeps its own
      const value = large.hasFiles(job.id) ? undefined : large.write(job.id, SPECS, specs)
      return later(job.id, () => this.addJob(job, specs, value?.row), value?.ready)
    },
    /** Throws DamagedJobError for what was lost with the power or cannot be read. */
    specs(id: string): TaskSpec[] {
      const row = selectSpecs.get(id) as unknown as InRow | undefined
      const bytes = row && large.get(id, SPECS, row)
      if (bytes == null) throw new DamagedJobError(id, dirname(file), 'there is no spec')
      try {
        return decodeValue(bytes) as TaskSpec[]
      } catch (err) {
        throw new DamagedJobError(id, dirname(file), (err as Error).message)
      }
    },
    /** Nothing where they cannot be read: for who only looks. */
    specsOrNone(id: string): TaskSpec[] {
      try {
        return this.specs(id)
      } catch (err) {
        if (err instanceof DamagedJobError) return []
        throw err
      }
    },
    has: (id: string): boolean => selectOne.get(id) != null,
    running(id: string): void {
      transaction(id, () => setRunning.run(id))
    },
    addSlice(
      job: string,
      slice: AcceptedSlice,
      { bytes, inFile }: InRow = large.put(job, nameOf(slice), slice.value)
    ): void {
      const paid = JSON.stringify(slice.paid.map(({ worker, price }) => [worker, String(price)]))
      const { answers, audited, credibility } = slice.assurance
      // a slice without its signatures would be paid without a receipt
      transaction(job, () => {
        insertSlice.run(
          job,
          slice.part,
          slice.first,
          slice.count,
          slice.slice,
          bytes,
          paid,
          answers,
          audited,
          credibility,
          inFile
        )
        addWorks(job, slice.works)
      })
    },
    /** As `addSlice` in what is written `later`; a large value goes to its file beside the event loop. */
    async keepSlice(job: string, slice: AcceptedSlice): Promise<void> {
      const value = large.write(job, nameOf(slice), slice.value)
      await later(job, () => this.addSlice(job, slice, value.row()), value.ready)
    },
    /** One more worker that is paid for a slice which was accepted before. */
    addCanary(
      job: string,
      at: { part: number; first: number },
      { worker, price, works }: { worker: string; price: bigint; works: SignedWork[] }
    ): void {
      transaction(job, () => {
        addCanary.run(worker, String(price), job, at.part, at.first)
        addWorks(job, works)
      })
    },
    /** How the accepted slices of a job were verified. */
    verification(job: string): VerificationReport {
      flush(job)
      const { confidence, ...counts } = selectChecks.get(job) as Record<
        keyof VerificationReport,
        number | null
      >
      return { ...(counts as VerificationReport), confidence: confidence ?? undefined }
    },
    removeSlice(job: string, part: number, first: number): void {
      transaction(
        job,
        () => {
          deleteWorks.run(job, job, part, first)
          deleteSlice.run(job, part, first)
        },
        { after: () => large.drop(job, nameOf({ part, first })) }
      )
    },
    /** What the workers signed of a job, a slice each, in a fixed order. */
    works(job: string): SignedWork[] {
      flush(job)
      return selectWorks.all(job).map(({ worker, slice, digest, amount, signature }) => ({
        worker: worker as string,
        slices: [{ slice: slice as number, digest: digest as Uint8Array, amount: BigInt(amount as number) }],
        signature: signature as Uint8Array
      }))
    },
    setTrust(key: string, { checks, streak, compared, wrong, caughtAt }: Trust): void {
      transaction(key, () => setTrust.run(key, checks, streak, compared, wrong, caughtAt ?? null))
    },
    trusts(): [string, Trust][] {
      return (
        db
          // what versions without a time found wrong may have been the program's doing, and counts no more
          .prepare('SELECT * FROM trust WHERE wrong = 0 OR caughtAt IS NOT NULL')
          .all()
          .map(({ key, caughtAt, ...trust }) => [
            key as string,
            { ...(trust as unknown as Trust), ...(caughtAt == null ? {} : { caughtAt: caughtAt as number }) }
          ])
      )
    },
    /**
     * The final state; the values of the slices are not needed any more. A result in files counts as settled when it is safe,
     * and until then it may be lost.
     */
    endJob(id: string, end: FinalState): void {
      const write = (): void => {
        const { state, finished, cid = null, done, total, retries } = end
        const failure = end.failure == null ? null : JSON.stringify(end.failure)
        const shares = JSON.stringify(end.shares, (_, value) =>
          typeof value === 'bigint' ? `${value}` : value
        )
        const verification = end.verification == null ? null : JSON.stringify(end.verification)
        const row = end.result && addResult(id, end.result, end.made)
        const settled = end.settled && row?.inFile == null ? 1 : 0
        endJob.run(state, finished, cid, failure, done, total, retries, shares, verification, settled, id)
        if (row != null) insertResult.run(id, row.bytes, row.inFile, row.pieces ?? null)
        dropValues.run(id)
      }
      // what a job that goes on after a crash needs is there until it has ended
      transaction(id, write, { after: () => large.keepOnly(id, keptOf(id)) })
    },
    settled(id: string): void {
      transaction(id, () => setSettled.run(id))
    },
    /** A job whose result was lost before it was safe has not ended. */
    reopen(id: string): void {
      transaction(id, () => {
        for (const statement of reopen) statement.run(id)
      })
    },
    job(id: string): StoredJob | undefined {
      const row = selectOne.get(id)
      return row == null ? undefined : toJob(row)
    },
    /** Jobs whose escrow is open: to be resumed or settled. */
    openJobs(): StoredJob[] {
      return selectOpen.all().map(toJob)
    },
    result(id: string): Uint8Array | undefined {
      const row = selectResult.get(id) as unknown as InRow | undefined
      return row && large.get(id, RESULT, row)
    },
    /** Whether the result is there; it is not read. */
    hasResult(id: string): boolean {
      const row = selectResult.get(id) as unknown as InRow | undefined
      return row != null && large.has(id, RESULT, row)
    },
    /** One that was lost with the power, or whose row is damaged, is forgotten: it counts as not accepted. */
    slices(id: string): StoredSlice[] {
      flush(id)
      const slices: StoredSlice[] = []
      for (const row of selectSlices.all(id)) {
        const at = { part: row.part as number, first: row.first as number }
        const [span] = toSpans(row)
        const inRow = { bytes: row.value as Uint8Array, inFile: row.file as number | null }
        const value = span && large.get(id, nameOf(at), inRow)
        if (value === undefined) this.removeSlice(id, at.part, at.first)
        else slices.push({ ...span!, value })
      }
      return slices
    },
    /** The accepted slices of a job without what they brought; none whose row is damaged. */
    spans(id: string): Omit<StoredSlice, 'value'>[] {
      flush(id)
      return selectSpans.all(id).flatMap(toSpans)
    },
    /** What each worker did for a job. */
    shares(id: string): WorkerShare[] {
      const shares = new Map<string, WorkerShare>()
      for (const { count, paid } of this.spans(id)) {
        for (const { worker, price } of paid) {
          const share = shares.get(worker) ?? { worker, slices: 0, units: 0, paid: 0n }
          share.slices++
          share.units += count
          share.paid += price
          shares.set(worker, share)
        }
      }
      return [...shares.values()].sort((a, b) => (a.worker < b.worker ? -1 : 1))
    },
    /** for tables of others in the same file */
    db,
    close(): void {
      flush()
      db.close()
    }
  }
}

export type Store = ReturnType<typeof openStore>

// What the tables did not have from the beginning.
const LATER_COLUMNS = {
  jobs: ['name TEXT', 'done INTEGER', 'total INTEGER', 'retries INTEGER', 'shares TEXT', 'verification TEXT'],
  specs: ['file INTEGER'],
  results: ['file INTEGER', 'pieces TEXT'],
  slices: [
    'file INTEGER',
    'answers INTEGER NOT NULL DEFAULT 1',
    'audited INTEGER NOT NULL DEFAULT 0',
    'canaries INTEGER NOT NULL DEFAULT 0',
    'credibility REAL NOT NULL DEFAULT 0'
  ],
  trust: ['caughtAt INTEGER']
}

function addColumns(db: DatabaseSync): void {
  for (const [table, later] of Object.entries(LATER_COLUMNS)) {
    const rows = db.prepare('SELECT name FROM pragma_table_info(?)').all(table)
    const columns = new Set(rows.map(({ name }) => name))
    for (const column of later)
      if (!columns.has(column.split(' ')[0]!)) db.exec(`ALTER TABLE ${table} ADD COLUMN ${column}`)
  }
}
