import { z } from 'zod'
import { readOwnFile } from '../../host/index.ts'
import { ListFileError } from '../errors.ts'
import { lineOf, lineOfFault } from './locate.ts'

const MAX_BYTES = 256 * 1024

/** What a file of the owner says; undefined: it is not there. @throws {ListFileError} */
export async function textOf(path: string, maxBytes = MAX_BYTES): Promise<string | undefined> {
  try {
    return await readOwnFile(path, maxBytes)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new ListFileError(`${path} cannot be read: ${(error as Error).message}`)
  }
}

/** What a text says, all of it right. @throws {ListFileError} which line and field is not */
export function parsed<T>(path: string, text: string, schema: z.ZodType<T>): T {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new ListFileError(`${path}, line ${lineOfFault(text)}: ${(error as Error).message}`)
  }
  const read = schema.safeParse(value)
  if (read.success) return read.data
  const { path: at, message } = read.error.issues[0]!
  const field = at.length === 0 ? '' : `${z.core.toDotPath(at)}: `
  throw new ListFileError(`${path}, line ${lineOf(text, at)}: ${field}${message}`)
}
