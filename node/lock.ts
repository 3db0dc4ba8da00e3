import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { LockError } from './errors.ts'

const SQLITE_BUSY = 5

/**
 * The databases whose locks this process has. Nobody else may be trusted to keep them: the garbage collector closes
 * a database that nothing refers to, and with it the lock would go while the node works on.
 */
const held = new Set<DatabaseSync>()

/**
 * Makes this process the only one in a data folder. The lock is the kernel's, taken through SQLite: it ends with
 * the process, also by kill −9, and never blames a stranger who got the same pid. It is held until it is released,
 * whether or not the caller keeps how to. (Whoever opens the file `lock` in this process by other means than SQLite
 * and closes it again releases it: that is how POSIX defines such locks.)
 *
 * @throws {LockError} names the folder and the pid; what node:sqlite says where the file cannot be used
 */
export function lockFolder(folder: string): () => void {
  const pidFile = join(folder, 'pid')
  const database = new DatabaseSync(join(folder, 'lock'), { timeout: 0 })
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    if ((error as { errcode?: number }).errcode !== SQLITE_BUSY) throw error
    throw new LockError(
      `the data folder ${folder} is in use by process ${readPid(pidFile)}; stop that node, or choose another folder with --data`
    )
  }
  held.add(database)
  writeFileSync(pidFile, `${process.pid}\n`)
  return () => {
    rmSync(pidFile, { force: true })
    held.delete(database)
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
