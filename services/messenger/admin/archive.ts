import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type DatabaseSync, backup as sqliteBackup } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { openDatabase } from '../../host/index.ts'
import type { Messenger } from '../assemble.ts'
import { BackupError, FilePathError, MalformedMessageError } from '../errors.ts'
import { newSeed } from '../school/invitation.ts'
import { createOwn, createTurns } from '../store/database.ts'
import { MIGRATIONS } from '../store/schema.ts'
import { applyChanges, sha256Of, writeChanges } from './changes.ts'
import { type Backup, backup as backupSchema } from './declared.ts'
import { keptOf } from './keep.ts'
import { openFile, openParts, sealFile } from './sealed-file.ts'

const BACKUPS = 'backups'
const KEY = 'backup.key'
const LET_GO = 'backups let go'
const MAX_LET_GO = 200
/**
 * What a backup does not have: keys of chats, whose use a second time would break them. Pages stay in their places, so that
 * those of an hour later are the same.
 */
const STRIPPED = `
  PRAGMA secure_delete = ON;
  UPDATE generation SET state = NULL, address = NULL;
  DELETE FROM ratchet; DELETE FROM ownPackage; DELETE FROM welcome; DELETE FROM outbox; DELETE FROM cursor; DELETE FROM slot; DELETE FROM package;
  DELETE FROM late; DELETE FROM later;
`

const STRIP = `
  const { DatabaseSync } = require('node:sqlite')
  const { parentPort, workerData } = require('node:worker_threads')
  const db = new DatabaseSync(workerData.file)
  db.exec('PRAGMA journal_mode = DELETE; ' + workerData.script)
  const { events } = db.prepare('SELECT count(*) AS events FROM event WHERE bytes IS NOT NULL').get()
  db.close()
  parentPort.postMessage(events)
`

export type Archive = ReturnType<typeof createArchive>

/** Backups in a folder: a sealed database and beside it what it holds. What writes there goes one after the other. */
export function createArchive(node: Pick<Messenger, 'db' | 'school'>, root: string, now: () => number) {
  const folder = join(root, BACKUPS)
  const own = createOwn(node.db)
  const letGo = (): string[] => {
    const value = own.get(LET_GO)
    return value == null ? [] : (JSON.parse(Buffer.from(value).toString()) as string[])
  }
  const fileOf = (id: string): string => join(folder, `${id}.sealed`)
  const inTurns = createTurns()
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => inTurns(folder, work)

  async function key(): Promise<Uint8Array> {
    const path = join(root, KEY)
    try {
      await writeFile(path, newSeed(), { flag: 'wx', mode: 0o600, flush: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    return new Uint8Array(await readFile(path))
  }
  async function list(): Promise<Backup[]> {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const names = (await readdir(folder)).filter(name => name.endsWith('.json'))
    const read = await Promise.all(names.map(name => describedIn(join(folder, name))))
    return read.filter(each => each != null).sort((a, b) => b.at - a.at)
  }
  async function described(id: string): Promise<Backup> {
    const known = (await list()).find(each => each.id === id)
    if (known == null) throw new BackupError(`there is no backup ${id}; artel messenger backups lists them`)
    return known
  }
  /** Writes a whole file or none. */
  async function put(path: string, bytes: Uint8Array | string): Promise<void> {
    const temporary = `${path}.tmp`
    await writeFile(temporary, bytes, { mode: 0o600, flush: true })
    await rename(temporary, path)
  }

  /**
   * Gives what a backup has in its file, part by part; what came counts when it resolves.
   *
   * @throws {BackupError} it is damaged
   */
  async function read(id: string, take: (part: Uint8Array) => unknown, sha256?: string): Promise<void> {
    try {
      const found = await openFile(await key(), id, fileOf(id), take)
      if (sha256 == null || sha256 === found) return
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      // of the disk, rather than of the seal
      if (code != null) throw new BackupError(`backup ${id} cannot be read: ${message}`)
    }
    throw new BackupError(`backup ${id} is damaged, or sealed by another node; take another one`)
  }

  /**
   * The database of a backup, into a file that is not there yet; gone again where the backup is not whole.
   *
   * @throws {BackupError} there is none, or it or what it stands on is damaged
   */
  async function extract(id: string, file: string): Promise<void> {
    const known = await described(id)
    try {
      if (known.of == null) {
        await using sink = await open(file, 'wx', 0o600)
        await read(id, part => sink.writeFile(part), known.sha256)
        return
      }
      await extract(known.of, file)
      await applyChanges(file, take => read(id, take))
      if ((await sha256Of(file)) === known.sha256) return
      throw new BackupError(`backup ${id} is not what was made of ${known.of}; take another one`)
    } catch (error) {
      await rm(file, { force: true })
      throw error
    }
  }

  /** Seals a database, or what it has other than an older backup. */
  async function seal(id: string, from: string, to: string, of?: string) {
    if (of == null) return sealFile(await key(), id, from, to)
    const changes = join(folder, `${id}.changes.tmp`)
    try {
      await writeChanges(take => read(of, take), from, changes)
      const { bytes } = await sealFile(await key(), id, changes, to)
      return { bytes, sha256: await sha256Of(from), of }
    } finally {
      await rm(changes, { force: true })
    }
  }

  async function make(isFull: boolean): Promise<Backup> {
    // one of nothing would take the place of another of this day
    const people = node.school.known().users().length
    const before = await list()
    const at = now()
    const stamp = new Date(at).toISOString().replaceAll(/[-:]|\.\d+/g, '')
    const id = `${stamp}-${randomBytes(2).toString('hex')}`
    const temporary = join(folder, `${id}.tmp`)
    try {
      // on the connection that writes: one that is written by another would never end
      await copy(node.db, temporary)
      await chmod(temporary, 0o600)
      const events = await strip(temporary)
      const half = `${fileOf(id)}.tmp`
      const base = isFull ? undefined : before.find(({ of }) => of == null)
      const sealed = await seal(id, temporary, half, base?.id).catch((error: Error) => {
        // what it would stand on is damaged
        if (error instanceof BackupError) return seal(id, temporary, half)
        throw error
      })
      await rename(half, fileOf(id))
      const backup = { id, at, ...sealed, events, people }
      // it counts from here on
      await put(join(folder, `${id}.json`), JSON.stringify(backup))
      const kept = new Set(keptOf([backup, ...before]).map(each => each.id))
      const old = before.map(each => each.id).filter(each => !kept.has(each))
      if (old.length > 0)
        own.set(LET_GO, Buffer.from(JSON.stringify([...old, ...letGo()].slice(0, MAX_LET_GO))))
      for (const id of old) {
        await rm(join(folder, `${id}.json`), { force: true })
        await rm(fileOf(id), { force: true })
      }
      return backup
    } finally {
      await drop(temporary)
      await rm(`${fileOf(id)}.tmp`, { force: true })
    }
  }

  /** Takes in a sealed backup that another node kept. @throws {BackupError} it is not what this node has sealed */
  async function adopt(about: Backup, parts: AsyncIterable<Uint8Array>): Promise<void> {
    const half = `${fileOf(about.id)}.tmp`
    await mkdir(folder, { recursive: true, mode: 0o700 })
    try {
      const opened = openParts(await key(), about.id, parts)
      await using sink = await open(half, 'w', 0o600)
      // what somebody made up ends with its first part, however much of it he sends
      for await (const { sealed } of opened) await sink.writeFile(sealed)
      await sink.sync()
      const { size } = await sink.stat()
      await rename(half, fileOf(about.id))
      await put(join(folder, `${about.id}.json`), JSON.stringify({ ...about, bytes: size }))
    } catch (error) {
      if (!(error instanceof MalformedMessageError)) throw error
      throw new BackupError(`the copy of backup ${about.id} is not what this node sealed`, { cause: error })
    } finally {
      await rm(half, { force: true })
    }
  }

  return {
    list,
    fileOf,
    /** The newest of those that it let go by itself, by their ids: others that are not here any more were lost. */
    letGo,
    adopt: (about: Backup, parts: AsyncIterable<Uint8Array>): Promise<void> =>
      inTurn(() => adopt(about, parts)),
    /** `isFull`: otherwise what has changed since the newest full one, if there is one. */
    make: (isFull: boolean): Promise<Backup> => inTurn(() => make(isFull)),
    /** Whether a backup is whole. @throws {BackupError} */
    check: (id: string): Promise<void> =>
      inTurn(async () => {
        const { of, sha256 } = await described(id)
        if (of == null) return read(id, () => undefined, sha256)
        const file = join(folder, `${id}.check.tmp`)
        await drop(file)
        await extract(id, file)
        await drop(file)
      }),

    /** Writes the database of a backup into a new folder. @throws {BackupError} {FilePathError} */
    async unpack(id: string, into: string): Promise<void> {
      try {
        await mkdir(into, { mode: 0o700 })
        await extract(id, join(into, 'messenger.sqlite'))
      } catch (error) {
        if (error instanceof BackupError) throw error
        throw new FilePathError(`${into} cannot be made: ${(error as Error).message}`)
      }
    },

    /**
     * A copy of the database of a backup beside the others, as this program would have it, for `work`, and gone after it.
     *
     * @throws {BackupError} also where a newer program made it
     */
    within: <T>(id: string, work: (file: string) => T): Promise<T> =>
      inTurn(async () => {
        const file = join(folder, `${id}.restore.tmp`)
        await drop(file)
        try {
          await extract(id, file)
          try {
            openDatabase(file, MIGRATIONS).close()
          } catch (error) {
            throw new BackupError(`backup ${id} cannot be used here: ${(error as Error).message}`)
          }
          return work(file)
        } finally {
          await drop(file)
        }
      }),

    /** Lets go of what a node that was cut off left half made. How many files. */
    dropTemporary: (): Promise<number> =>
      inTurn(async () => {
        const names = await readdir(folder).catch(() => [])
        const temporary = names.filter(name => /\.tmp(-\w+)?$/.test(name))
        for (const name of temporary) await rm(join(folder, name), { force: true })
        return temporary.length
      })
  }
}

async function describedIn(path: string): Promise<Backup | undefined> {
  try {
    return backupSchema.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch {
    // damaged, or let go just now: the others count all the same
    return undefined
  }
}

/** A database with what stands beside it. */
async function drop(file: string): Promise<void> {
  for (const end of ['', '-journal', '-wal', '-shm']) await rm(`${file}${end}`, { force: true })
}

/** Tries of a copy, COPY_WAIT_MS apart. */
const COPY_TRIES = 100
const COPY_WAIT_MS = 5

/**
 * Copies a database that is being written. SQLite begins no copy while a transaction of this connection is under way, and Node,
 * which repeats every later step, gives up the first one with an error that has no code; a transaction ends in this turn.
 */
async function copy(db: DatabaseSync, file: string): Promise<void> {
  for (let left = COPY_TRIES - 1; ; left--)
    try {
      await sqliteBackup(db, file)
      return
    } catch (error) {
      if ((error as { errcode?: number }).errcode !== 0 || left === 0) throw error
      await delay(COPY_WAIT_MS)
    }
}

/** Takes out of a copy what no backup has, on a thread of its own: it writes all of it anew. How many events stay. */
async function strip(file: string): Promise<number> {
  const worker = new Worker(STRIP, { eval: true, workerData: { file, script: STRIPPED } })
  try {
    const [events] = (await once(worker, 'message')) as [number]
    return events
  } finally {
    await worker.terminate()
  }
}
