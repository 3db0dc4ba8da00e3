import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, fdatasync, openSync } from 'node:fs'
import { link, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { promisify } from 'node:util'

/*
 * What is to survive a power cut. A file's bytes are on the disk when it was synced, and its name when the folder was
 * in which it stands: POSIX promises neither with the other.
 */

// Who is in no hurry shares the wait for a disk with others who come this soon.
const PATIENCE_MS = 20

const syncData = promisify(fdatasync)

/** The names in a folder, as they are now, are on the disk. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * Opens a store of LevelDB in a folder. Its first list of files is not synced, nor is the name by which it takes the next: after a
 * power cut it would say that it is damaged.
 */
export async function openLevel(store: { open(): Promise<void> }, folder: string): Promise<void> {
  await store.open()
  await syncFolder(folder)
}

/** A folder for its owner alone, with those above that are missing, by names that are on the disk. */
export async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true, mode: 0o700 })
  if (first == null) return
  for (let made = resolve(folder); ; made = dirname(made)) {
    await syncFolder(dirname(made))
    if (made === resolve(first)) return
  }
}

/**
 * One `work` at a time, each for all who asked in a turn of the event loop; it begins when that turn is over. Who `mayWait`
 * has part in the next that others ask for, and 20 ms later at most in one of their own.
 */
export function together(work: () => Promise<void>): (mayWait?: boolean) => Promise<void> {
  let last: Promise<unknown> = Promise.resolve()
  let next: Promise<void> | undefined
  let patient: (PromiseWithResolvers<void> & { timer: NodeJS.Timeout }) | undefined

  async function begin(): Promise<void> {
    await last
    await setImmediate()
    next = undefined
    await work()
  }

  function ask(): Promise<void> {
    if (next == null) {
      next = begin()
      // whoever comes next waits for its end, however it ends
      last = next.catch(() => undefined)
    }
    clearTimeout(patient?.timer)
    patient?.resolve(next)
    patient = undefined
    return next
  }

  return (mayWait = false) => {
    if (!mayWait || next != null) return ask()
    patient ??= { ...Promise.withResolvers<void>(), timer: setTimeout(ask, PATIENCE_MS) }
    return patient.promise
  }
}

/**
 * What waits until all that was committed to a SQLite file with a write-ahead log is on the disk, beside other work, and once for
 * all commits of a turn. With `synchronous=FULL` SQLite waits in the caller's thread, with every commit. What is not in the log
 * any more was synced when SQLite moved it into the file.
 */
export function createLogSync(file: string): ReturnType<typeof together> {
  const log = `${file}-wal`
  let isNamed = false
  return together(async () => {
    // where the disk allows no log, SQLite waits with every commit
    if (!existsSync(log)) return
    const descriptor = openSync(log, 'r')
    try {
      await syncData(descriptor)
    } finally {
      closeSync(descriptor)
    }
    if (isNamed) return
    await syncFolder(dirname(file))
    isNamed = true
  })
}

async function writeTemporary(file: string, bytes: Uint8Array, mode: number): Promise<string> {
  await makeFolder(dirname(file))
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`
  const handle = await open(temporary, 'wx', mode)
  try {
    await handle.writeFile(bytes)
    await handle.sync()
  } catch (error) {
    // on a disk that is full, half of it would stay
    await rm(temporary, { force: true })
    throw error
  } finally {
    await handle.close()
  }
  return temporary
}

/** Writes a whole file or nothing; whoever reads it meanwhile sees the old one. */
export async function replaceFile(file: string, bytes: Uint8Array, mode: number): Promise<void> {
  const temporary = await writeTemporary(file, bytes, mode)
  await rename(temporary, file)
  await syncFolder(dirname(file))
}

/**
 * Creates a whole file or nothing, and never replaces one: `link` fails with EEXIST where `rename` would overwrite.
 * Returns false when somebody else has created it first.
 */
export async function createFile(file: string, bytes: Uint8Array, mode: number): Promise<boolean> {
  const temporary = await writeTemporary(file, bytes, mode)
  try {
    await link(temporary, file)
    await syncFolder(dirname(file))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    await rm(temporary, { force: true })
  }
}
