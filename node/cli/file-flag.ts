import { realpath, stat } from 'node:fs/promises'
import type { Command } from 'commander'
import { InputError, RemoteError } from '../errors.ts'
import type { Operations } from '../operations.ts'

/** `FIELD[:FORM[:SIZE]]=PATH`: a field of the task that takes its data from a file. */
export interface FileFlag {
  field: string[]
  as?: string
  size?: number
  path: string
}

const FLAG = /^([\w.-]+)(?::(\w+))?(?::(\d+))?=(.+)$/
const FORM_OF_ENDING: Record<string, string> = { json: 'json', txt: 'text' }

/** `--file`, for the commands that take a task. */
export function fileFlag(command: Command): Command {
  return command.option(
    '--file <field=path>',
    'data for a field of the task from a file, FIELD[:FORM]=PATH (repeat for more); FORM: bytes, bytes:SIZE, text, lines, json, float64, int32, …',
    (text: string, before: string[] = []) => [...before, text]
  )
}

/** @throws {InputError} */
export function readFileFlag(text: string): FileFlag {
  const [, field, form, size, path] = FLAG.exec(text) ?? []
  if (field == null || path == null)
    throw new InputError(`--file ${text}: expected FIELD[:FORM]=PATH, such as items:float64=samples.bin`)
  // items are a list, and a text is none: its lines are
  const usual = FORM_OF_ENDING[path.split('.').at(-1) ?? '']
  const as = form ?? (usual === 'text' && field === 'items' ? 'lines' : usual)
  return {
    field: field.split('.'),
    path,
    ...(as == null ? {} : { as }),
    ...(size == null ? {} : { size: Number(size) })
  }
}

/** The task with a reference to each file, which the node has put into its block store. */
export async function withFiles(
  task: unknown,
  files: FileFlag[],
  operations: Pick<Operations, 'compute'>,
  signal: AbortSignal
): Promise<unknown> {
  let filled = task
  for (const { field, path, as, size } of files) {
    try {
      // the node reads it: what names something else there, as /dev/stdin does, is looked up here
      if (!(await stat(path)).isFile()) throw new Error('it is no regular file')
      const { cid } = await operations.compute.addFile({ path: await realpath(path) }, { signal })
      filled = put(filled, field, { cid, ...(as == null ? {} : { as }), ...(size == null ? {} : { size }) })
    } catch (error) {
      const message = `cannot take ${field.join('.')} from ${path}: ${(error as Error).message}`
      throw error instanceof RemoteError ? new RemoteError(error.name, message) : new InputError(message)
    }
  }
  return filled
}

function put(value: unknown, [key, ...rest]: string[], by: unknown): unknown {
  if (key === undefined) return by
  const at = (value ?? {}) as Record<string, unknown>
  return { ...at, [key]: put(at[key], rest, by) }
}
