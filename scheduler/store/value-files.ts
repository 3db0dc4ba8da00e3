import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmdirSync,
  rmSync,
  statSync,
  write,
  writeFileSync
} from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { syncFolder } from '../../bootstrap/files.ts'

// Below, a row of SQLite is as fast as a file (sqlite.org/intern-v-extern-blob.html).
const LARGE_BYTES = 128 * 1024
// More than the disk takes would be memory, but for one alone; then everything waits for it.
const MOST_UNDER_WAY_BYTES = 32 * 1024 * 1024

/** What a row holds of a value: its bytes, or how many of them lie in a file. */
export interface InRow {
  bytes: Uint8Array
  inFile: number | null
  /** JSON of the files that are the value after `bytes`, one after the other; then `inFile` is the length of all */
  pieces?: string | null
}

/** A large value that goes to its file. */
export interface Writing {
  /** Settles when it is there, or cannot be; undefined where it is not begun. */
  ready?: Promise<void>
  /** What belongs into the row, once the file is complete: where it is not, that is done now. Throws as node:fs does. */
  row(): InRow
}

/** Bytes, or what they are one after the other. */
export type Value = Uint8Array | readonly Uint8Array[]

/** A file of the same job from a byte on, and how long it is in all. */
export type Piece = [name: string, from: number, length: number]

/**
 * Large values of jobs as files beside the database, `<folder>/<job>/<name>`. SQLite would write each of them twice and
 * by pages of 4 KiB, at a sixth of the speed. A file is complete before the row that tells its length is written, so
 * kill −9 loses neither; after a power cut a file that was not `synced` may be short, which is found by that length. Names
 * are made here, and jobs are named by 16 hexadecimal digits. `folder`: undefined keeps everything in rows.
 */
export function openLargeValues(folder: string | undefined) {
  /** files that are on the disk, or on their way there one after the other: threads are few */
  const syncs = new Map<string, Map<string, Promise<void>>>()
  let last: Promise<unknown> = Promise.resolve()
  /** bytes that are written beside the event loop */
  let underWay = 0

  async function syncFile(file: string): Promise<void> {
    await last
    // to be removed meanwhile is no failure
    const handle = await open(file, 'r').catch(ifGone)
    try {
      await handle?.datasync()
    } finally {
      await handle?.close()
    }
  }

  function sync(job: string, name: string): Promise<void> {
    const ofJob = syncs.get(job) ?? new Map<string, Promise<void>>()
    syncs.set(job, ofJob)
    const before = ofJob.get(name)
    if (before != null) return before
    const synced = syncFile(join(folder!, job, name))
    ofJob.set(name, synced)
    // whoever counts on it hears of it, and may try again
    last = synced.catch(() => ofJob.delete(name))
    return synced
  }

  /** Where a value goes; what was there is not on the disk any more. */
  function fileFor(job: string, name: string): string {
    mkdirSync(join(folder!, job), { recursive: true, mode: 0o700 })
    syncs.get(job)?.delete(name)
    return join(folder!, job, name)
  }

  return {
    /** Whether there are files of the job. */
    hasFiles: (job: string): boolean => folder != null && existsSync(join(folder, job)),

    /** Resolves when those of these files of a job that there are, are on the disk. Rejects as node:fs does. */
    async synced(job: string, names: readonly string[]): Promise<void> {
      await Promise.all(names.map(name => sync(job, name)))
      for (const each of [join(folder!, job), folder!, dirname(folder!)]) await syncFolder(each).catch(ifGone)
    },

    /** Writes the file of a large value; gives what belongs into the row. Throws as node:fs does on a full disk. */
    put(job: string, name: string, value: Value): InRow {
      const length = lengthOf(value)
      if (folder == null || length < LARGE_BYTES) return { bytes: inOne(value), inFile: null }
      const file = fileFor(job, name)
      try {
        const fd = openSync(file, 'w', 0o600)
        try {
          for (const piece of inPieces(value)) writeFileSync(fd, piece)
        } finally {
          closeSync(fd)
        }
      } catch (err) {
        rmSync(file, { force: true })
        throw err
      }
      return { bytes: new Uint8Array(0), inFile: length }
    },

    /** As `put`, and much of it beside the event loop: a disk takes its time. */
    write(job: string, name: string, value: Value): Writing {
      const length = lengthOf(value)
      const isMuch = underWay > 0 && underWay + length > MOST_UNDER_WAY_BYTES
      if (folder == null || length < LARGE_BYTES || isMuch) return { row: () => this.put(job, name, value) }
      const file = fileFor(job, name)
      let isDone = false
      let failure: unknown
      const fill = async (): Promise<void> => {
        underWay += length
        try {
          await writeBeside(file, value)
        } catch (err) {
          if (isDone) return
          failure = err
          rmSync(file, { force: true })
        } finally {
          underWay -= length
          isDone = true
        }
      }
      return {
        ready: fill(),
        row: () => {
          if (failure != null) throw failure
          // the same bytes at the same places, so it does not matter who is first; what a commit that failed took away comes again
          const row =
            isDone && existsSync(file)
              ? { bytes: new Uint8Array(0), inFile: length }
              : this.put(job, name, value)
          isDone = true
          return row
        }
      }
    },

    /** undefined where the file is gone or short */
    get(job: string, name: string, { bytes, inFile, pieces }: InRow): Uint8Array | undefined {
      if (inFile == null) return bytes
      try {
        if (pieces != null) return readPieces(join(folder!, job), bytes, piecesOf(pieces), inFile)
        const value = readFileSync(join(folder!, job, name))
        return value.length === inFile ? value : undefined
      } catch (err) {
        if ((err as NodeJS.ErrnoException).code !== 'ENOENT') throw err
        return
      }
    },

    /** Whether `get` has it, by how long its files are: many large ones take long to read. */
    has(job: string, name: string, { inFile, pieces }: InRow): boolean {
      if (inFile == null) return true
      const bytesOf = (each: string) => statSync(join(folder!, job, each), { throwIfNoEntry: false })?.size
      if (pieces == null) return bytesOf(name) === inFile
      return piecesOf(pieces)?.every(([piece, , length]) => bytesOf(piece) === length) ?? false
    },

    /** Removes the file of one value. */
    drop(job: string, name: string): void {
      if (folder != null) rmSync(join(folder, job, name), { force: true })
    },

    /** Removes the files of a job but these, and its folder where nothing is left. What cannot be removed stays. */
    keepOnly(job: string, names: readonly string[]): void {
      syncs.delete(job)
      if (folder == null || !existsSync(join(folder, job))) return
      const kept = new Set(names)
      try {
        const files = readdirSync(join(folder, job))
        for (const name of files) if (!kept.has(name)) this.drop(job, name)
        if (files.every(name => !kept.has(name))) rmdirSync(join(folder, job))
      } catch {
        // somebody else put something there, or the disk is read-only: it costs room, and no job
      }
    },

    /** The jobs that have files. What somebody else put there is left alone. */
    jobs(): string[] {
      if (folder == null || !existsSync(folder)) return []
      return readdirSync(folder, { withFileTypes: true }).flatMap(entry =>
        entry.isDirectory() ? entry.name : []
      )
    }
  }
}

const inPieces = (value: Value): readonly Uint8Array[] => (value instanceof Uint8Array ? [value] : value)
const inOne = (value: Value): Uint8Array => (value instanceof Uint8Array ? value : Buffer.concat(value))
export const lengthOf = (value: Value): number => inPieces(value).reduce((sum, { length }) => sum + length, 0)

const writeSome = promisify(write)

/** The file is there when this returns its promise, so that it can be removed. */
async function writeBeside(file: string, value: Value): Promise<void> {
  const fd = openSync(file, 'w', 0o600)
  let before = 0
  try {
    for (const piece of inPieces(value)) {
      for (let at = 0; at < piece.length; )
        at += (await writeSome(fd, piece, at, piece.length - at, before + at)).bytesWritten
      before += piece.length
    }
  } finally {
    closeSync(fd)
  }
}

function ifGone(err: NodeJS.ErrnoException): undefined {
  if (err.code !== 'ENOENT') throw err
}

/** undefined for none, and where what is kept of them is damaged */
export function piecesOf(json: string | null | undefined): Piece[] | undefined {
  try {
    const pieces: Piece[] | null = JSON.parse(json ?? 'null')
    const isPiece = ([name, from, length]: Piece): boolean =>
      /^\d+-\d+$/.test(name) && Number.isSafeInteger(from) && Number.isSafeInteger(length)
    return pieces?.every(isPiece) ? pieces : undefined
  } catch {
    // it costs this result, not the start of the node
    return
  }
}

/** undefined where a file is short */
function readPieces(
  folder: string,
  head: Uint8Array,
  pieces: Piece[] | undefined,
  size: number
): Uint8Array | undefined {
  const rest = pieces?.reduce((sum, [, from, length]) => sum + length - from, head.length)
  if (pieces == null || rest !== size) return
  const value = Buffer.allocUnsafe(size)
  value.set(head)
  let at = head.length
  for (const [name, from, length] of pieces) {
    const file = openSync(join(folder, name), 'r')
    try {
      if (fstatSync(file).size !== length) return
      for (let read = from; read < length; ) {
        const got = readSync(file, value, at, length - read, read)
        if (got === 0) return
        read += got
        at += got
      }
    } finally {
      closeSync(file)
    }
  }
  return value
}
