import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { LockError } from './errors.ts'

/**
 * Makes this process the only one in a data folder. The lock is the kernel's, taken through SQLite: it ends with
 * the process, also by kill −9, and never blames a stranger who got the same pid. Returns how to release it.
 *
 * @throws {LockError} names the folder and the pid
 */
export function lockFolder(folder: string): () => void {
  const pidFile = join(folder, 'pid')
  const database = new DatabaseSync(join(folder, 'lock'), { timeout: 0 })
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
  } catch {
    database.close()
    throw new LockError(
      `the data folder ${folder} is in use by process ${readPid(pidFile)}; stop that node, or choose another folder with --data`
    )
  }
  writeFileSync(pidFile, `${process.pid}\n`)
  return () => {
    rmSync(pidFile, { force: true })
    database.close()
  }
}

function readPid(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    return 'unknown'
  }
}
