import { SpecError } from '../errors.ts'
import { type Blocks, type Data, expectChunks, openData, readCid, readData } from './chunked-data.ts'
import { DataItems, NUMBER_TYPES, type NumberType, numbersOf } from './pieced-input.ts'

/**
 * References in a spec: an object `{ cid, as?, size? }` in place of data, at most three fields deep. `as` says what the
 * bytes are: `bytes` (default), `text`, `lines`, `json` or a type of numbers, little endian. As `items`, bytes are
 * records of `size` bytes.
 */
export interface Reference {
  cid: string
  as?: 'bytes' | 'text' | 'lines' | 'json' | NumberType
  size?: number
}

export const DATA_FORMS = ['bytes', 'text', 'lines', 'json', ...NUMBER_TYPES] as const
export type FoundReference = [path: string[], reference: Reference]

const MAX_DEPTH = 3
// What is not cut into slices travels with the program, in one frame.
export const MAX_WHOLE_BYTES = 48 * 1024 * 1024
// Smaller records would cost more for their heads than for their bytes.
const MIN_RECORD_BYTES = 1024
const MAX_RECORD_BYTES = 16 * 1024 * 1024
const FIELDS = ['cid', 'as', 'size']
// Where a reference makes no sense: the fields that decide how a job is run.
const NO_DATA = new Set(['requirements', 'privacy', 'verify'])

/** The references of a spec. Throws SpecError for one that is malformed. */
export function findReferences(spec: unknown): FoundReference[] {
  const found: FoundReference[] = []
  const look = (value: unknown, path: string[]): void => {
    // a short list of data, unlike `items`
    if (Array.isArray(value) && path.join() === 'packages') {
      for (const [i, each] of value.entries()) look(each, [...path, String(i)])
      return
    }
    if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype)
      return
    if (typeof (value as Reference).cid === 'string' && path.length > 0) {
      found.push([path, check(value as Reference, path.join('.'))])
      return
    }
    if (path.length === MAX_DEPTH) return
    for (const key of Object.keys(value))
      if (path.length > 0 || !NO_DATA.has(key)) look((value as Record<string, unknown>)[key], [...path, key])
  }
  look(spec, [])
  return found
}

/** The `{ dataset }` that a spec has in place of its items: what an earlier job left at its workers. */
export function datasetIn(spec: unknown): { dataset: unknown } | undefined {
  const { items } = Object(spec) as { items?: unknown }
  const isReference =
    typeof items === 'object' &&
    items !== null &&
    Object.getPrototypeOf(items) === Object.prototype &&
    Object.hasOwn(items, 'dataset')
  return isReference ? (items as { dataset: unknown }) : undefined
}

function check(reference: Reference, field: string): Reference {
  const { cid, as = 'bytes', size } = reference
  const unknown = Object.keys(reference).find(key => !FIELDS.includes(key))
  if (unknown != null) throw new SpecError(field, `\`${unknown}\` is not part of { cid, as, size }`)
  if (readCid(cid) == null)
    throw new SpecError(
      `${field}.cid`,
      `"${cid.slice(0, 80)}" is not a CID of data; put a file into the block store with \`artel run --file\``
    )
  if (!DATA_FORMS.includes(as))
    throw new SpecError(`${field}.as`, `"${as}" is none of ${DATA_FORMS.join(', ')}`)
  const isRecords = size !== undefined
  if (isRecords && (as !== 'bytes' || !Number.isInteger(size) || size < MIN_RECORD_BYTES))
    throw new SpecError(
      `${field}.size`,
      `is for records of bytes, at least ${MIN_RECORD_BYTES} each, got ${size} with as: ${as}`
    )
  if (isRecords && size > MAX_RECORD_BYTES)
    throw new SpecError(`${field}.size`, `is ${size}, at most ${MAX_RECORD_BYTES}`)
  return reference
}

/**
 * The spec with data in place of its references: items of the types that are `streamed` as lists that stay in the block
 * store, everything else as values. `bytes`: size of what was referenced.
 * Throws DataMissingError when a block is not to be had before `signal`, SpecError for data of the wrong form.
 */
export async function resolveInputs<T extends object>(
  spec: T,
  found: FoundReference[],
  blocks: Blocks,
  { streamed, ...options }: { signal: AbortSignal; streamed: readonly string[] }
): Promise<{ spec: T; data: Data[]; bytes: number }> {
  let resolved = spec
  const all: Data[] = []
  for (const [path, reference] of found) {
    const data = await openData(blocks, reference.cid, options)
    all.push(data)
    const isItems = path.length === 1 && path[0] === 'items'
    const items = isItems ? itemsOf(data, reference) : undefined
    const isStreamed = items != null && streamed.includes((spec as { type?: string }).type ?? '')
    if (isStreamed) await expectChunks(blocks, data, options)
    const field = path.join('.')
    if (!isStreamed && data.size > MAX_WHOLE_BYTES)
      throw new SpecError(
        field,
        `is ${data.size} bytes; only numbers and records as \`items\` of ${streamed.join(', ')} may be more than ${MAX_WHOLE_BYTES}`
      )
    const value = isStreamed ? items : await readValue(data, reference, items, field, blocks, options)
    resolved = replace(resolved, path, value) as T
  }
  return { spec: resolved, data: all, bytes: all.reduce((sum, { size }) => sum + size, 0) }
}

function itemsOf(data: Data, { as = 'bytes', size }: Reference): DataItems | undefined {
  if (as === 'json' || as === 'lines') return
  if (as === 'text') throw new SpecError('items.as', 'text is one value, not a list; use lines')
  if (as !== 'bytes') {
    const items = new DataItems(data, { type: as })
    expectWhole(data, items.width, 'items', as)
    return items
  }
  if (size == null)
    throw new SpecError(
      'items.size',
      'is missing: bytes are items as records of `size` bytes each; or say in `as` what they are'
    )
  return new DataItems(data, { size })
}

async function readValue(
  data: Data,
  { as = 'bytes' }: Reference,
  items: DataItems | undefined,
  field: string,
  blocks: Blocks,
  options: { signal: AbortSignal }
): Promise<unknown> {
  const bytes = await readData(blocks, data, options)
  if (items != null && 'size' in items.form) {
    const { width, length } = items
    return Array.from({ length }, (_, i) => bytes.subarray(i * width, (i + 1) * width))
  }
  switch (as) {
    case 'bytes':
      return bytes
    case 'text':
      return new TextDecoder().decode(bytes)
    case 'lines': {
      const text = new TextDecoder().decode(bytes)
      return text === '' ? [] : text.replace(/\r?\n$/, '').split(/\r?\n/)
    }
    case 'json':
      try {
        return JSON.parse(new TextDecoder().decode(bytes))
      } catch (err) {
        throw new SpecError(field, `is not JSON: ${(err as Error).message}`)
      }
    default: {
      expectWhole(data, new DataItems(data, { type: as }).width, field, as)
      const numbers = numbersOf(as, bytes)
      return items == null ? numbers : Array.from(numbers)
    }
  }
}

function expectWhole(data: Data, width: number, field: string, as: string): void {
  if (data.size % width !== 0)
    throw new SpecError(field, `${data.size} bytes are no whole number of ${as} of ${width} bytes`)
}

/** The spec with each reference back in its place: as it is stored. */
export function withReferences<T extends object>(spec: T, found: FoundReference[]): T {
  return found.reduce<T>((at, [path, reference]) => replace(at, path, reference) as T, spec)
}

function replace(value: unknown, [key, ...rest]: string[], by: unknown): unknown {
  if (key === undefined) return by
  if (Array.isArray(value)) return value.with(Number(key), replace(value[Number(key)], rest, by))
  const at = value as Record<string, unknown>
  return { ...at, [key]: replace(at[key], rest, by) }
}
