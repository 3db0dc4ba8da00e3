import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MalformedMessageError } from './errors.ts'
import { newSeed } from './school/invitation.ts'

const FILE = 'device.key'

/** The key of the device on this node: made once, for nobody else to read. */
export async function openDeviceKey(folder: string): Promise<Uint8Array> {
  const file = join(folder, FILE)
  try {
    await writeFile(file, newSeed(), { flag: 'wx', mode: 0o600, flush: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const seed = new Uint8Array(await readFile(file))
  if (seed.length !== 32)
    throw new MalformedMessageError(`${file} has ${seed.length} bytes, a key has 32; put it back from a copy`)
  return seed
}
