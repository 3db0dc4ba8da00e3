import { hash, randomBytes } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { backup as copy, DatabaseSync } from 'node:sqlite'
import type { Messenger } from '../assemble.ts'
import { openWith, sealWith } from '../device/seal.ts'
import { BackupError, FilePathError } from '../errors.ts'
import { newSeed } from '../school/invitation.ts'
import { type Backup, backup as backupSchema } from './declared.ts'
import { keptOf } from './keep.ts'

export const BACKUPS = 'backups'
const KEY = 'backup.key'
/** What a backup does not have: keys of chats, whose use a second time would break them. */
const STRIPPED = `
  PRAGMA secure_delete = ON;
  UPDATE generation SET state = NULL, address = NULL;
  DELETE FROM ownPackage; DELETE FROM welcome; DELETE FROM outbox; DELETE FROM cursor; DELETE FROM slot; DELETE FROM package;
  VACUUM;
`

export type Archive = ReturnType<typeof createArchive>

/** Backups in a folder: a sealed database and beside it what it holds. */
export function createArchive(node: Pick<Messenger, 'db' | 'school'>, root: string, now: () => number) {
  const folder = join(root, BACKUPS)
  const fileOf = (id: string): string => join(folder, `${id}.sealed`)

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
    const read = await Promise.all(
      names.map(async name => backupSchema.safeParse(JSON.parse(await readFile(join(folder, name), 'utf8'))))
    )
    return read.flatMap(({ data }) => (data == null ? [] : [data])).sort((a, b) => b.at - a.at)
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

  return {
    list,
    open,

    async make(): Promise<Backup> {
      const before = await list()
      const at = now()
      const stamp = new Date(at).toISOString().replaceAll(/[-:]|\.\d+/g, '')
      const id = `${stamp}-${randomBytes(2).toString('hex')}`
      const temporary = join(folder, `${id}.tmp`)
      try {
        // on the connection that writes: one that is written by another would never end
        await copy(node.db, temporary)
        await chmod(temporary, 0o600)
        const made = new DatabaseSync(temporary)
        made.exec(`PRAGMA journal_mode = DELETE; ${STRIPPED}`)
        const { events } = made
          .prepare('SELECT count(*) AS events FROM event WHERE bytes IS NOT NULL')
          .get() as {
          events: number
        }
        made.close()
        const plain = new Uint8Array(await readFile(temporary))
        const sealed = sealWith(await key(), plain)
        const backup = {
          id,
          at,
          bytes: sealed.length,
          sha256: hash('sha256', plain, 'hex'),
          events,
          people: node.school.roster?.users().length ?? 0
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
    },

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
    async within<T>(id: string, work: (file: string) => T): Promise<T> {
      const file = join(folder, `${id}.restore.tmp`)
      const plain = await open(id)
      try {
        await writeFile(file, plain, { mode: 0o600 })
        return work(file)
      } finally {
        await rm(file, { force: true })
      }
    }
  }
}
