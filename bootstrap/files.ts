import { randomBytes } from 'node:crypto'
import { link, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

async function writeTemporary(file: string, bytes: Uint8Array, mode: number): Promise<string> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`
  const handle = await open(temporary, 'wx', mode)
  try {
    await handle.writeFile(bytes)
    await handle.sync()
  } finally {
    await handle.close()
  }
  return temporary
}

/** Writes a whole file or nothing; whoever reads it meanwhile sees the old one. */
export async function replaceFile(file: string, bytes: Uint8Array, mode: number): Promise<void> {
  const temporary = await writeTemporary(file, bytes, mode)
  await rename(temporary, file)
}

/**
 * Creates a whole file or nothing, and never replaces one: `link` fails with EEXIST where `rename` would overwrite.
 * Returns false when somebody else has created it first.
 */
export async function createFile(file: string, bytes: Uint8Array, mode: number): Promise<boolean> {
  const temporary = await writeTemporary(file, bytes, mode)
  try {
    await link(temporary, file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    await rm(temporary, { force: true })
  }
}
