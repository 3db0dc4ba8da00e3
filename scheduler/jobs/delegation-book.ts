import type { DatabaseSync } from 'node:sqlite'

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS delegated (
    owner TEXT NOT NULL, key TEXT NOT NULL, job TEXT NOT NULL UNIQUE, bound INTEGER NOT NULL,
    refunded INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (owner, key)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS delegated_open ON delegated (refunded) WHERE refunded = 0;
  CREATE TABLE IF NOT EXISTS delegations (
    key TEXT PRIMARY KEY, delegate TEXT NOT NULL, spec BLOB NOT NULL, job TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS delegations_job ON delegations (job);
  CREATE TABLE IF NOT EXISTS delegations_untold (key TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
`

/** Jobs of others here, and own ones elsewhere, each with the key that it was paid under. */
export function createDelegationBook(db: DatabaseSync) {
  db.exec(SCHEMA)
  const selectByKey = db.prepare('SELECT job, bound, refunded FROM delegated WHERE owner = ? AND key = ?')
  const selectAny = db.prepare('SELECT 1 FROM delegated WHERE owner = ? LIMIT 1')
  const selectOwner = db.prepare('SELECT owner FROM delegated WHERE job = ?')
  const insertServed = db.prepare('INSERT INTO delegated (owner, key, job, bound) VALUES (?, ?, ?, ?)')
  const selectOpen = db.prepare('SELECT owner, job, bound FROM delegated WHERE refunded = 0')
  const setRefunded = db.prepare('UPDATE delegated SET refunded = 1 WHERE job = ?')
  const insertOut = db.prepare('INSERT OR IGNORE INTO delegations (key, delegate, spec) VALUES (?, ?, ?)')
  const setJob = db.prepare('UPDATE delegations SET job = ? WHERE key = ?')
  const removeOut = db.prepare('DELETE FROM delegations WHERE key = ?')
  const insertUntold = db.prepare('INSERT OR IGNORE INTO delegations_untold (key) VALUES (?)')
  const removeUntold = db.prepare('DELETE FROM delegations_untold WHERE key = ?')
  const selectUntold = db.prepare(
    'SELECT key, delegate, spec, job FROM delegations JOIN delegations_untold USING (key)'
  )
  const selectHanded = db.prepare('SELECT job FROM delegations WHERE key = ?')
  const selectOut = db.prepare('SELECT delegate, spec FROM delegations WHERE job = ?')
  const selectUnstarted = db.prepare('SELECT key, delegate, spec FROM delegations WHERE job IS NULL')

  return {
    // ---- for others ----

    served(owner: string, key: string): { job: string; bound: bigint; isRefunded: boolean } | undefined {
      const row = selectByKey.get(owner, key)
      return (
        row && {
          job: row.job as string,
          bound: BigInt(row.bound as number),
          isRefunded: row.refunded === 1
        }
      )
    },
    /** whether this owner ever had a job here */
    knows: (owner: string): boolean => selectAny.get(owner) != null,
    ownerOf: (job: string): string | undefined => selectOwner.get(job)?.owner as string | undefined,
    serve(owner: string, key: string, job: string, bound: bigint): void {
      insertServed.run(owner, key, job, bound)
    },
    refunded(job: string): void {
      setRefunded.run(job)
    },
    /** what is not paid back yet */
    unrefunded(): { owner: string; job: string; bound: bigint }[] {
      return selectOpen.all().map(({ owner, job, bound }) => ({
        owner: owner as string,
        job: job as string,
        bound: BigInt(bound as number)
      }))
    },

    // ---- own jobs at others ----

    /** Before it is paid; the same key again changes nothing. `isUntold`: who submits it finds it by the job's id only. */
    handOut(key: string, delegate: string, spec: Uint8Array, isUntold = false): void {
      if (isUntold) insertUntold.run(key)
      insertOut.run(key, delegate, spec)
    },
    /** Its id is known, or not needed any more. */
    told(key: string): void {
      removeUntold.run(key)
    },
    /** what nobody can find */
    untold(): { key: string; delegate: string; spec: Uint8Array; job: string | null }[] {
      return selectUntold.all() as { key: string; delegate: string; spec: Uint8Array; job: string | null }[]
    },
    /** `job`: null as long as it is not known to have started; nothing: never handed out */
    handed: (key: string): { job: string | null } | undefined =>
      selectHanded.get(key) as { job: string | null } | undefined,
    handedOut(key: string, job: string): void {
      setJob.run(job, key)
    },
    forget(key: string): void {
      removeOut.run(key)
      removeUntold.run(key)
    },
    at(job: string): { delegate: string; spec: Uint8Array } | undefined {
      return selectOut.get(job) as { delegate: string; spec: Uint8Array } | undefined
    },
    unstarted(): { key: string; delegate: string; spec: Uint8Array }[] {
      return selectUnstarted.all() as { key: string; delegate: string; spec: Uint8Array }[]
    }
  }
}

export type DelegationBook = ReturnType<typeof createDelegationBook>
