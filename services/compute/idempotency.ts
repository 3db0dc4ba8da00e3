import { hash, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createLogSync } from '../../bootstrap/files.ts'
import type { Job } from '../../scheduler/index.ts'
import { ConflictError } from '../host/index.ts'

/** As long as a client may try again, also over a weekend. */
const KEPT_MS = 7 * 86_400_000
/** Old keys are looked for once per this many new ones. */
const SWEEP_EVERY = 1000
const JOB_ID_BYTES = 8

export interface IdempotentInit {
  /** the Idempotency-Key as the client sent it */
  key: string
  /** whose key it is; keys of two tokens never meet */
  owner: string
  /** route and body: what the key stands for */
  content: string
  /** what was begun may go on though `start` failed, as a job that was paid at a delegate: the key stays with it */
  mayGoOn?: boolean
}

export interface Idempotency {
  /**
   * The job of this key: the one that is there, or what `start` makes under the id given. The id is on disk before the
   * job is, so that a retry after a crash in between finds it or starts it under the same id.
   * Throws ConflictError when the key came before with other content.
   */
  once(
    init: IdempotentInit,
    find: (id: string) => Job | undefined,
    start: (id: string) => Promise<Job>
  ): Promise<Job>
  close(): void
}

/** Keys of submits, in a SQLite file of the data folder. */
export function openIdempotency(folder: string, now: () => number): Idempotency {
  const file = join(folder, 'gateway.sqlite')
  const db = new DatabaseSync(file)
  db.exec(`
    PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS keys (key TEXT PRIMARY KEY, content TEXT, job TEXT, time INTEGER) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS keys_time ON keys (time)`)
  const get = db.prepare('SELECT content, job FROM keys WHERE key = ?')
  const put = db.prepare('INSERT INTO keys (key, content, job, time) VALUES (?, ?, ?, ?)')
  const drop = db.prepare('DELETE FROM keys WHERE key = ?')
  const rename = db.prepare('UPDATE keys SET job = ? WHERE key = ?')
  const sweep = db.prepare('DELETE FROM keys WHERE time < ?')
  const synced = createLogSync(file)
  const starting = new Map<string, Promise<Job>>()
  let added = 0

  return {
    async once({ key, owner, content, mayGoOn = false }, find, start) {
      const name = hash('sha256', `${owner}\n${key}`)
      let kept = get.get(name) as { content: string; job: string } | undefined
      if (kept != null && kept.content !== content)
        throw new ConflictError(
          'this Idempotency-Key came before with another body; take a new key for a new job'
        )
      if (kept == null) {
        if (added++ % SWEEP_EVERY === 0) sweep.run(now() - KEPT_MS)
        kept = { content, job: randomBytes(JOB_ID_BYTES).toString('hex') }
        put.run(name, content, kept.job, now())
      }
      const { job } = kept
      const before = starting.get(name)
      if (before != null) return before
      const there = find(job)
      if (there != null) return there
      const started = synced().then(() => start(job))
      starting.set(name, started)
      try {
        const { id } = await started
        // a delegate gives its own
        if (id !== job) rename.run(id, name)
        return await started
      } catch (err) {
        // nothing was started, so the key is free again
        if (!mayGoOn) drop.run(name)
        throw err
      } finally {
        starting.delete(name)
      }
    },
    close: () => db.close()
  }
}
