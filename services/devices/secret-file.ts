import { readFile, stat } from 'node:fs/promises'

/** A text that only its owner may read. @throws {Error} others can, or it is not there */
export async function readSecretFile(file: string): Promise<string> {
  const { mode } = await stat(file)
  if ((mode & 0o077) !== 0) throw new Error('others than its owner may read it; run chmod 600 on it')
  return (await readFile(file, 'utf8')).trim()
}
