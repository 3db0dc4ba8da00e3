import { randomBytes } from 'node:crypto'
import { unlinkSync } from 'node:fs'
import { access, mkdir, readFile, rename, rm, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { CID } from 'multiformats/cid'
import { isBlockOf } from './cid.ts'
import { BlockMissingError, DiskFullError } from './errors.ts'

/** Blocks as files, two levels of folders deep: a deleted block is free at once, and a full disk has a name. */
export interface BlockFiles {
  /** Whole or not at all. Throws DiskFullError. */
  put(cid: CID, bytes: Uint8Array): Promise<void>
  /** Verified. Throws BlockMissingError, also where the file is damaged: then it is removed, to be fetched again. */
  get(cid: CID): Promise<Uint8Array>
  /** As it stands on the disk, for who verifies himself. Throws BlockMissingError. */
  read(cid: CID): Promise<Uint8Array>
  has(cid: CID): Promise<boolean>
  /** At once, because between the decision and the deed nobody may begin to want the block. Absent is well. */
  delete(cid: CID): void
  /** bytes that the disk has left */
  free(): Promise<number>
}

export async function openBlockFiles(folder: string): Promise<BlockFiles> {
  // what was not finished when the power went is worth nothing
  const temporary = join(folder, 'tmp')
  await rm(temporary, { recursive: true, force: true })
  await mkdir(temporary, { recursive: true, mode: 0o700 })

  /** The last letters of a CID are those of its digest, so they spread. */
  const place = (cid: CID): { parent: string; file: string } => {
    const name = cid.toV1().toString()
    const parent = join(folder, name.slice(-3, -1))
    return { parent, file: join(parent, name) }
  }

  async function read(cid: CID): Promise<Uint8Array> {
    try {
      return await readFile(place(cid).file)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      throw new BlockMissingError(`block ${cid} is not here`)
    }
  }

  return {
    async put(cid, bytes) {
      const { parent, file } = place(cid)
      const draft = join(temporary, randomBytes(12).toString('hex'))
      try {
        await writeFile(draft, bytes, { mode: 0o600 })
        await rename(draft, file).catch(async (error: NodeJS.ErrnoException) => {
          if (error.code !== 'ENOENT') throw error
          await mkdir(parent, { recursive: true, mode: 0o700 })
          await rename(draft, file)
        })
      } catch (error) {
        await rm(draft, { force: true })
        throw named(error as NodeJS.ErrnoException, folder)
      }
    },

    read,

    async get(cid) {
      const bytes = await read(cid)
      if (isBlockOf(cid, bytes)) return bytes
      await rm(place(cid).file, { force: true })
      throw new BlockMissingError(`block ${cid} is damaged on this disk`)
    },

    has: cid =>
      access(place(cid).file).then(
        () => true,
        () => false
      ),

    delete(cid) {
      try {
        unlinkSync(place(cid).file)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      }
    },

    async free() {
      const { bavail, bsize } = await statfs(folder)
      return bavail * bsize
    }
  }
}

const FULL = new Set(['ENOSPC', 'EDQUOT'])

function named(error: NodeJS.ErrnoException, folder: string): Error {
  if (error.code == null || !FULL.has(error.code)) return error
  return new DiskFullError(`the disk of ${folder} is full (${error.code}); make room, then do the same again`)
}
