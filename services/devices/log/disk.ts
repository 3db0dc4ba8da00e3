import { type FileHandle, open, readdir, rename, stat, truncate, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder, syncFolder } from '../../../bootstrap/files.ts'
import { LogFullError } from '../errors.ts'

/** The files of one chain. A simulation has a disk of its own that loses what was not forced. */
export interface Disk {
  list(): Promise<{ name: string; bytes: number }[]>
  read(name: string, offset: number, length: number): Promise<Uint8Array>
  /**
   * Behind what is there, and forced to the disk when it returns.
   *
   * @throws {LogFullError} then nothing of it is there
   */
  append(name: string, bytes: Uint8Array): Promise<void>
  truncate(name: string, bytes: number): Promise<void>
  rename(name: string, to: string): Promise<void>
  remove(name: string): Promise<void>
  close(): Promise<void>
}

const FULL = ['ENOSPC', 'EDQUOT', 'EFBIG']

/** A folder, made where it is not there. One file, that which grows, is kept open. */
export function createFolderDisk(folder: string): Disk {
  let growing: { name: string; file: FileHandle; bytes: number } | undefined

  async function handle(name: string) {
    if (growing?.name === name) return growing
    await close()
    await makeFolder(folder)
    const file = await open(join(folder, name), 'a+', 0o600)
    growing = { name, file, bytes: (await file.stat()).size }
    // a new name has to be on the disk too, or the file is lost with a power cut
    if (growing.bytes === 0) await syncFolder(folder)
    return growing
  }

  async function close(): Promise<void> {
    const { file } = growing ?? {}
    growing = undefined
    await file?.close()
  }

  async function closeIf(name: string): Promise<void> {
    if (growing?.name === name) await close()
  }

  return {
    async list() {
      let names: string[]
      try {
        names = await readdir(folder)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
        throw error
      }
      const sizes = await Promise.all(names.map(async name => (await stat(join(folder, name))).size))
      return names.map((name, i) => ({ name, bytes: sizes[i]! }))
    },

    async read(name, offset, length) {
      const bytes = new Uint8Array(length)
      const part = async (file: FileHandle): Promise<Uint8Array> => {
        const { bytesRead } = await file.read(bytes, 0, length, offset)
        return bytes.subarray(0, bytesRead)
      }
      // whoever closes it waits for this
      if (growing?.name === name) return part(growing.file)
      const file = await open(join(folder, name), 'r')
      try {
        return await part(file)
      } finally {
        await file.close()
      }
    },

    async append(name, bytes) {
      try {
        const end = await handle(name)
        try {
          await end.file.writeFile(bytes)
          await end.file.datasync()
          end.bytes += bytes.length
        } catch (error) {
          // a full disk takes the beginning of a write before it says so
          await end.file.truncate(end.bytes)
          throw error
        }
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException
        if (code != null && FULL.includes(code))
          throw new LogFullError(`the disk of ${folder} is full: ${message}`)
        throw error
      }
    },

    async truncate(name, bytes) {
      await closeIf(name)
      await truncate(join(folder, name), bytes)
    },
    async rename(name, to) {
      await closeIf(name)
      await rename(join(folder, name), join(folder, to))
      await syncFolder(folder)
    },
    async remove(name) {
      await closeIf(name)
      await unlink(join(folder, name))
    },
    close
  }
}
