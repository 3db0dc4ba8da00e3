import { randomUUID } from 'node:crypto'
import { closeSync, constants, fdatasync, openSync, writeFileSync } from 'node:fs'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { Uuid } from '../contract.ts'
import { StorageError } from '../errors.ts'
import type { Database } from '../store/database.ts'
import { type Description, describeMachines } from './description.ts'

/**
 * In the folder of each machine: descriptions as JSON, one a line. The last whole line holds; what stands before it is
 * what held until then.
 */
export const DESCRIPTION_FILE = 'machine.json'
/** Longer ones are begun anew. */
const MOST_BYTES = 64 * 1024
/** Machines that are written together. */
const AT_ONCE = 16

interface Waiting {
  machine: Uuid
  done(): void
  failed(error: Error): void
}

/**
 * Writes all that is registered of a machine into its folder, where it is on the disk when the promise resolves. Those
 * who ask while others are written are written together: their records are read by one set of queries, and no older
 * state of a machine comes after a newer one.
 */
export function createDescriptions(db: Database, machines: string): (machine: Uuid) => Promise<void> {
  /** bytes of the files that are known to end with a whole line */
  const begun = new Map<Uuid, number>()
  const waiting: Waiting[] = []
  let isWriting = false

  async function write(described: Description): Promise<void> {
    const { uuid } = described.machine
    const line = Buffer.from(`${JSON.stringify(described)}\n`)
    const file = join(machines, uuid, DESCRIPTION_FILE)
    const there = begun.has(uuid) ? undefined : await lastLine(file)
    if (there?.line === line.toString()) {
      begun.set(uuid, there.bytes)
      return
    }
    const bytes = begun.get(uuid) ?? there?.bytes ?? MOST_BYTES
    begun.delete(uuid)
    if (bytes + line.length > MOST_BYTES || !(await append(file, line))) {
      if ((await mkdir(dirname(file), { recursive: true, mode: 0o700 })) !== undefined)
        await syncFolder(machines)
      await writeWhole(file, line)
      begun.set(uuid, line.length)
    } else begun.set(uuid, bytes + line.length)
  }

  async function writeThese(these: readonly Waiting[]): Promise<void> {
    const uuids = [...new Set(these.map(({ machine }) => machine))]
    let described: Description[]
    try {
      described = await db.together(queries => describeMachines(queries, uuids))
    } catch (error) {
      if (these.length === 1) return these[0]!.failed(error as Error)
      // what is damaged costs one machine
      for (const one of these) await writeThese([one])
      return
    }
    const written = new Map(described.map(one => [one.machine.uuid, write(one).catch(noRoom)]))
    await Promise.all(
      these.map(({ machine, done, failed }) => written.get(machine)?.then(done, failed) ?? done())
    )
  }

  async function writeAll(): Promise<void> {
    isWriting = true
    while (waiting.length > 0) await writeThese(waiting.splice(0, AT_ONCE))
    isWriting = false
  }

  return machine =>
    new Promise((done, failed) => {
      waiting.push({ machine, done, failed })
      if (!isWriting) void writeAll()
    })
}

/**
 * False where there is no such file any more. Opened and written at once: that goes into memory, and a way through the
 * threads of libuv costs more than the whole; what waits for the disk goes that way.
 */
async function append(file: string, line: Buffer): Promise<boolean> {
  let fd: number
  try {
    fd = openSync(file, constants.O_WRONLY | constants.O_APPEND)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return false
  }
  try {
    writeFileSync(fd, line)
    await promisify(fdatasync)(fd)
  } finally {
    closeSync(fd)
  }
  return true
}

/** All of it or what was there before, also after a loss of power. */
async function writeWhole(file: string, content: Buffer): Promise<void> {
  const temporary = `${file}.${randomUUID()}`
  const handle = await open(temporary, 'wx', 0o600)
  try {
    await handle.writeFile(content)
    await handle.sync()
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  } finally {
    await handle.close()
  }
  await rename(temporary, file)
  await syncFolder(dirname(file))
}

/** The names in it are on disk afterwards. */
export async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder)
  await handle.sync()
}

function noRoom(error: NodeJS.ErrnoException): never {
  if (error.code !== 'ENOSPC' && error.code !== 'EDQUOT') throw error
  throw new StorageError('this host has no room for the description of the machine', { cause: error })
}

/** Undefined where there is no such file, or it does not end with a whole line. */
async function lastLine(file: string): Promise<{ line: string; bytes: number } | undefined> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw error
  })
  if (!text.endsWith('\n')) return undefined
  return { line: text.slice(text.lastIndexOf('\n', text.length - 2) + 1), bytes: Buffer.byteLength(text) }
}

/** The newest description in the file. @throws SyntaxError where there is none that is whole */
export function lastDescription(text: string): unknown {
  // what a loss of power has cut off has no end of line
  const [last = ''] = text.split('\n').slice(-2)
  return JSON.parse(last)
}
