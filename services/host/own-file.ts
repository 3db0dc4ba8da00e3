import { constants } from 'node:fs'
import { open } from 'node:fs/promises'

/**
 * A text that only the user who runs this node can read and write, and in whose place nobody has put a link.
 *
 * @throws {Error} why it is none; with a `code`, as `open` has it, where it is not there
 */
export async function readOwnFile(path: string, maxBytes: number): Promise<string> {
  await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  const { mode, uid, size } = await file.stat()
  if (uid !== process.getuid!()) throw new Error('it is not of the user who runs this node')
  if ((mode & 0o077) !== 0) throw new Error('others than its owner can read it; run chmod 600 on it')
  if (size > maxBytes) throw new Error(`it has ${size} bytes; at most ${maxBytes}`)
  return file.readFile('utf8')
}
