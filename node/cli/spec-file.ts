import { existsSync } from 'node:fs'
import { access, readFile } from 'node:fs/promises'
import { extname, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'
import { InputError } from '../errors.ts'
import { parseJson } from '../json-text.ts'

export const SPEC_ARGUMENT =
  'task spec: JSON, a .js or .ts module with a default export, or - for JSON on standard input'

/**
 * A task spec from a JSON file, from standard input (`-`, JSON), or from a JavaScript or TypeScript module whose
 * default export is a spec, or a function that makes one. A module is the user's own program and runs as such.
 *
 * @throws {InputError} names the file
 */
export async function readSpec(file: string): Promise<unknown> {
  if (file === '-') return parse('standard input', await text(process.stdin))
  if (isModule(file)) return importSpec(file)
  let content: string
  try {
    content = await readFile(file, 'utf8')
  } catch (error) {
    throw new InputError(`cannot read the task ${file}: ${(error as Error).message}`)
  }
  return parse(file, content)
}

// what needs spaces, brackets or quotes is rather code; so is a field of the item `x`
const PATH_LIKE = /^(?!(x|index)\.)[^\s()[\]{}=>?;,'"`]+$/

/** Whether a function is given as a file: code may end as the name of one does. */
export const isFunctionFile = (argument: string): boolean =>
  isModule(argument) && (PATH_LIKE.test(argument) || existsSync(argument))

const isModule = (file: string): boolean => ['.js', '.mjs', '.ts', '.mts'].includes(extname(file))

/**
 * The default export of a module.
 *
 * @throws {InputError} names the file
 */
export async function readModule(file: string): Promise<unknown> {
  let exported: unknown
  try {
    await access(file)
    const module = await import(pathToFileURL(resolve(file)).href)
    exported = module.default
  } catch (error) {
    throw new InputError(`cannot load ${file}: ${(error as Error).message}`, { cause: error })
  }
  if (exported == null) throw new InputError(`the module ${file} has no default export`)
  return exported
}

function parse(file: string, content: string): unknown {
  try {
    return parseJson(content)
  } catch (error) {
    throw new InputError(
      `the task ${file} is not JSON: ${(error as Error).message}; a module needs the ending .js or .ts`
    )
  }
}

async function importSpec(file: string): Promise<unknown> {
  const exported = await readModule(file)
  if (typeof exported !== 'function') return exported
  try {
    return await exported()
  } catch (error) {
    throw new InputError(`the function of ${file} that makes the task failed: ${(error as Error).message}`, {
      cause: error
    })
  }
}
