import type { DatabaseSync } from 'node:sqlite'

/** What is known of a dataset beside the job that made it. */
export interface DatasetRow {
  job: string
  /** ms since 1970 */
  used: number
}

/**
 * Datasets that are not released. A manifest is there where it is not the job's result any more: parts of it are somewhere
 * else since they were calculated again.
 */
export function createDatasetRows(db: DatabaseSync) {
  db.exec(`CREATE TABLE IF NOT EXISTS datasets (
    job TEXT PRIMARY KEY, used INTEGER NOT NULL, manifest BLOB
  ) STRICT, WITHOUT ROWID`)
  const insert = db.prepare('INSERT OR IGNORE INTO datasets (job, used) VALUES (?, ?)')
  const setUsed = db.prepare('UPDATE datasets SET used = ? WHERE job = ?')
  const setManifest = db.prepare('UPDATE datasets SET manifest = ? WHERE job = ?')
  const remove = db.prepare('DELETE FROM datasets WHERE job = ?')
  const select = db.prepare('SELECT manifest FROM datasets WHERE job = ?')
  const selectAll = db.prepare('SELECT job, used FROM datasets')

  return {
    add: (job: string, now: number): void => void insert.run(job, now),
    used: (job: string, now: number): void => void setUsed.run(now, job),
    moved: (job: string, manifest: Uint8Array): void => void setManifest.run(manifest, job),
    remove: (job: string): void => void remove.run(job),
    has: (job: string): boolean => select.get(job) != null,
    manifest: (job: string): Uint8Array | undefined =>
      (select.get(job)?.manifest as Uint8Array | null | undefined) ?? undefined,
    all: (): DatasetRow[] => selectAll.all() as unknown as DatasetRow[]
  }
}

export type DatasetRows = ReturnType<typeof createDatasetRows>
