import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { copyFile, glob, mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { promisify } from 'node:util'
import { syncFolder } from '../bootstrap/files.ts'
import { slots } from '../services/index.ts'

const COPIES = 'before'
const DATABASES = '**/*.sqlite'
const SYNC_MS = 120_000

const copiesOf = (data: string): string => join(data, slots.RELEASES, COPIES)

/**
 * Copies every database of a data folder in which no node runs, as they are. A disk that can share blocks between files
 * takes no room for it.
 */
export async function copyDatabases(data: string): Promise<void> {
  const copies = copiesOf(data)
  await dropCopies(data)
  await mkdir(copies, { recursive: true, mode: 0o700 })
  for await (const path of glob(DATABASES, { cwd: data, exclude: name => name === slots.RELEASES })) {
    const file = join(data, path)
    emptyLog(file)
    const copy = join(copies, path)
    await mkdir(dirname(copy), { recursive: true, mode: 0o700 })
    await copyFile(file, copy, constants.COPYFILE_FICLONE)
  }
  // all of them: a cut of the power after this leaves none out
  await promisify(execFile)('sync', ['-f', copies], { timeout: SYNC_MS })
}

/** Each database is as it was copied; whatever this was cut off at, it can be done again. */
export async function putBackDatabases(data: string): Promise<void> {
  const copies = copiesOf(data)
  for await (const path of glob(DATABASES, { cwd: copies })) {
    const file = join(data, path)
    // of the database that is there now; with the other one it would be written into it
    for (const log of ['-wal', '-shm', '-journal']) await rm(`${file}${log}`, { force: true })
    await rename(join(copies, path), file)
    await syncFolder(dirname(file))
  }
  await dropCopies(data)
}

export const dropCopies = (data: string): Promise<void> =>
  rm(copiesOf(data), { recursive: true, force: true })

/** What a killed node left in the log of a database goes into the database. */
function emptyLog(file: string): void {
  using database = new DatabaseSync(file)
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
}
