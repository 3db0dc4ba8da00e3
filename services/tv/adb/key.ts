import { generateKeyPair } from 'node:crypto'
import { chmod, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** PKCS #8, as the library takes it. */
export interface AdbKey {
  buffer: Uint8Array
  /** what the TV shows beside the question whether to allow it */
  name: string
}

/** The key that TVs know this node by, RSA 2,048; made at the first start. Only its owner can read the file. */
export async function loadKey(folder: string, name: string): Promise<AdbKey> {
  const path = join(folder, 'adb-key')
  try {
    const buffer = await readFile(path)
    await chmod(path, 0o600)
    return { buffer, name }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 })
  const buffer = privateKey.export({ type: 'pkcs8', format: 'der' })
  // a crash leaves no half key
  await writeFile(`${path}.new`, buffer, { mode: 0o600 })
  await rename(`${path}.new`, path)
  return { buffer, name }
}
