import { hash, randomBytes } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { backup as copy, DatabaseSync } from 'node:sqlite'
import type { Messenger } from '../assemble.ts'
import { openWith, sealWith } from '../device/seal.ts'
import { BackupError, FilePathError } from '../errors.ts'
import { newSeed } from '../school/invitation.ts'
import { createTurns } from '../store/database.ts'
import { type Backup, backup as backupSchema } from './declared.ts'
import { keptOf } from './keep.ts'

const BACKUPS = 'backups'
const KEY = 'backup.key'
/** What a backup does not have: keys of chats, whose use a second time would break them. */
const STRIPPED = `
  PRAGMA secure_delete = ON;
  UPDATE generation SET state = NULL, address = NULL;
  DELETE FROM ownPackage; DELETE FROM welcome; DELETE FROM outbox; DELETE FROM cursor; DELETE FROM slot; DELETE FROM package;
  VACUUM;
`

export type Archive = ReturnType<typeof createArchive>

/** Backups in a folder: a sealed database and beside it what it holds. What writes there goes one after the other. */
export function createArchive(node: Pick<Messenger, 'db' | 'school'>, root: string, now: () => number) {
  const folder = join(root, BACKUPS)
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
  /** Writes a whole file or none. */
  async function put(path: string, bytes: Uint8Array | string): Promise<void> {
    const temporary = `${path}.tmp`
    await writeFile(temporary, bytes, { mode: 0o600, flush: true })
    await rename(temporary, path)
  }

  /**
   * The database of a backup as bytes.
   *
   * @throws {BackupError} there is none, or it is damaged
   */
  async function open(id: string): Promise<Uint8Array> {
    const known = (await list()).find(each => each.id === id)
    if (known == null) throw new BackupError(`there is no backup ${id}; artel messenger backups lists them`)
    const sealed = await readFile(fileOf(id)).catch(({ message }: Error) => {
      throw new BackupError(`backup ${id} cannot be read: ${message}`)
    })
    try {
      const plain = openWith(await key(), sealed)
      if (hash('sha256', plain, 'hex') === known.sha256) return plain
    } catch {
      // its seal is broken; told below
    }
    throw new BackupError(`backup ${id} is damaged, or sealed by another node; take another one`)
  }

  async function make(): Promise<Backup> {
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
      const events = strip(temporary)
      const plain = new Uint8Array(await readFile(temporary))
      const sealed = sealWith(await key(), plain)
      const backup = {
        id,
        at,
        bytes: sealed.length,
        sha256: hash('sha256', plain, 'hex'),
        events,
        people
      }
      await put(fileOf(id), sealed)
      // it counts from here on
      await put(join(folder, `${id}.json`), JSON.stringify(backup))
      const kept = new Set(keptOf([backup, ...before]).map(each => each.id))
      for (const { id: old } of before) {
        if (kept.has(old)) continue
        await rm(join(folder, `${old}.json`), { force: true })
        await rm(fileOf(old), { force: true })
      }
      return backup
    } finally {
      for (const end of ['', '-journal', '-wal', '-shm']) await rm(`${temporary}${end}`, { force: true })
    }
  }

  return {
    list,
    open,
    make: (): Promise<Backup> => inTurn(make),

    /** Writes the database of a backup into a new folder. @throws {BackupError} {FilePathError} */
    async unpack(id: string, into: string): Promise<void> {
      const plain = await open(id)
      try {
        await mkdir(into, { mode: 0o700 })
        await writeFile(join(into, 'messenger.sqlite'), plain, { flag: 'wx', mode: 0o600 })
      } catch (error) {
        throw new FilePathError(`${into} cannot be made: ${(error as Error).message}`)
      }
    },

    /** A copy of the database of a backup beside the others, for `work`, and gone after it. */
    within: <T>(id: string, work: (file: string) => T): Promise<T> =>
      inTurn(async () => {
        const file = join(folder, `${id}.restore.tmp`)
        const plain = await open(id)
        try {
          await writeFile(file, plain, { mode: 0o600 })
          return work(file)
        } finally {
          await rm(file, { force: true })
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

/** Takes out of a copy what no backup has. How many events stay. */
function strip(file: string): number {
  using db = new DatabaseSync(file)
  db.exec(`PRAGMA journal_mode = DELETE; ${STRIPPED}`)
  return Number(db.prepare('SELECT count(*) AS events FROM event WHERE bytes IS NOT NULL').get()!.events)
}
