import { randomUUID } from 'node:crypto'
import { open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { syncFolder } from '../../../bootstrap/files.ts'

/**
 * In the folder of each machine: descriptions as JSON, one a line. The last whole line holds; what stands before it is
 * what held until then.
 */
export const DESCRIPTION_FILE = 'machine.json'
/** Longer ones are begun anew. */
const MOST_BYTES = 64 * 1024

/** Adds a line to the file, on the disk when the promise resolves: all of it or none. */
export async function addLine(file: string, line: string): Promise<void> {
  const known = await readWhole(file)
  if (known === undefined || Buffer.byteLength(known) + Buffer.byteLength(line) > MOST_BYTES)
    return writeWhole(file, line)
  await using handle = await open(file, 'a')
  await handle.writeFile(line)
  await handle.datasync()
}

/** All of it or what was there before, also after a loss of power. */
async function writeWhole(file: string, content: string): Promise<void> {
  const temporary = `${file}.${randomUUID()}`
  try {
    await using handle = await open(temporary, 'wx', 0o600)
    await handle.writeFile(content)
    await handle.sync()
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await rename(temporary, file)
  await syncFolder(dirname(file))
}

/** Undefined where there is no such file, or it does not end with a whole line. */
async function readWhole(file: string): Promise<string | undefined> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw error
  })
  return text.endsWith('\n') ? text : undefined
}

/** The newest line. Undefined where there is no such file, or it does not end with a whole line. */
export async function lastLine(file: string): Promise<string | undefined> {
  const text = await readWhole(file)
  return text?.slice(text.lastIndexOf('\n', text.length - 2) + 1)
}

/** The newest description in the file. @throws SyntaxError where there is none that is whole */
export function lastDescription(text: string): unknown {
  // what a loss of power has cut off has no end of line
  const [last = ''] = text.split('\n').slice(-2)
  return JSON.parse(last)
}
