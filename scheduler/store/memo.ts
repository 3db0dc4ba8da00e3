import { hash } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import { encodeValue } from '../../sandbox/index.ts'
import type { TaskSpec } from '../tasks/registry.ts'
import type { Verification } from '../trust/credibility.ts'

/*
 * Results of jobs that said `memoize`, by what decides them: code, data, parameters, what a process may use (it seeds
 * chance) and the determinism class. One lookup in an index; the results that were not asked for the longest give way.
 */

// All results together; one alone takes at most a quarter of it.
const MAX_BYTES = 256 * 1024 * 1024
const MAX_SHARE = 4

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS memo (
    key TEXT PRIMARY KEY, job TEXT NOT NULL, confidence REAL NOT NULL, quorum INTEGER NOT NULL, cid TEXT NOT NULL,
    result BLOB NOT NULL, bytes INTEGER NOT NULL, used INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS memo_used ON memo (used, bytes);
  CREATE TABLE IF NOT EXISTS memo_hits (job TEXT PRIMARY KEY, source TEXT NOT NULL) STRICT, WITHOUT ROWID;
`

export interface Memo {
  /** the job that calculated it; its receipts are the proof */
  job: string
  cid: string
  result: Uint8Array
}

/** What decides the result of a checked spec on machines of a class. */
export function memoKey(spec: TaskSpec, kind: string): string {
  const { name: _, priority, privacy, verify, maxPrice, deadline, retries, memoize, ...decides } = spec
  return hash('sha256', encodeValue([kind, decides]), 'base64url')
}

const strengthOf = (verification: Verification): { confidence: number; quorum: number } =>
  verification === 'none'
    ? { confidence: 0, quorum: 0 }
    : 'quorum' in verification
      ? { confidence: 0, quorum: verification.quorum }
      : { confidence: verification.confidence, quorum: 0 }

/** The memo in the scheduler's own database. `maxBytes`: of all results that it keeps. */
export function createMemo(db: DatabaseSync, { maxBytes = MAX_BYTES }: { maxBytes?: number } = {}) {
  db.exec(SCHEMA)
  const select = db.prepare('SELECT job, confidence, quorum, cid, result FROM memo WHERE key = ?')
  const insert = db.prepare(
    'INSERT INTO memo (key, job, confidence, quorum, cid, result, bytes, used) VALUES (?, ?, ?, ?, ?, ?, ?, ?)'
  )
  const touch = db.prepare('UPDATE memo SET used = ? WHERE key = ?')
  const remove = db.prepare('DELETE FROM memo WHERE key = ? RETURNING bytes')
  const oldest = db.prepare('SELECT key FROM memo ORDER BY used LIMIT 1')
  const addHit = db.prepare('INSERT INTO memo_hits (job, source) VALUES (?, ?)')
  const selectHit = db.prepare('SELECT source FROM memo_hits WHERE job = ?')
  const sums = db.prepare('SELECT coalesce(sum(bytes), 0) AS bytes, coalesce(max(used), 0) AS used FROM memo')
  let { bytes, used } = sums.get() as { bytes: number; used: number }

  function drop(key: string): void {
    bytes -= (remove.get(key)?.bytes as number | undefined) ?? 0
  }

  return {
    /** The result that was accepted with at least this confidence or quorum. */
    find(key: string, verification: Verification): Memo | undefined {
      const row = select.get(key)
      const asked = strengthOf(verification)
      if (
        row == null ||
        (row.confidence as number) < asked.confidence ||
        (row.quorum as number) < asked.quorum
      )
        return
      touch.run(++used, key)
      return { job: row.job as string, cid: row.cid as string, result: row.result as Uint8Array }
    },

    /** Keeps a result in place of an older one of the same key. */
    put(key: string, verification: Verification, { job, cid, result }: Memo): void {
      if (result.length > maxBytes / MAX_SHARE) return
      const { confidence, quorum } = strengthOf(verification)
      drop(key)
      insert.run(key, job, confidence, quorum, cid, result, result.length, ++used)
      bytes += result.length
      while (bytes > maxBytes) drop(oldest.get()!.key as string)
    },

    /** Remembers which job's result a job took. */
    hit(job: string, source: string): void {
      addHit.run(job, source)
    },
    source(job: string): string | undefined {
      return selectHit.get(job)?.source as string | undefined
    }
  }
}

export type MemoStore = ReturnType<typeof createMemo>
