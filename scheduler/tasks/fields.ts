import { z } from 'zod'
import { DatasetItems } from '../data/dataset.ts'
import { DataItems } from '../data/pieced-input.ts'
import { SpecError } from '../errors.ts'
import { DEFAULT_CONFIDENCE } from '../trust/credibility.ts'
import { readSource, type Source } from './author-source.ts'
import { sizeOf } from './onnx/read-model.ts'
import { ELEMENT_TYPES, type GivenTensor } from './onnx/tensors.ts'
import { createReduction, type Operation } from './reductions.ts'

/*
 * What the fields of specs are made of.
 */

/** an author's function, or its text */
export const author = z.union([
  z.string(),
  z.custom<(...args: never[]) => unknown>(value => typeof value === 'function')
])

export const integer = z
  .union([z.int(), z.bigint().transform(Number)])
  .refine(Number.isSafeInteger, 'must be an integer between −2^53 and 2^53')

// As many as a job has at most.
const MAX_KEPT_SLICES = 65_536

/** Where the items are a page of more: how many are before them, so that `index` and chance are those of the whole. */
export const firstIndex = z
  .int()
  .min(0)
  .max(2 ** 50)
  .optional()
  .describe('index of the first item, where items are a page of more; default 0')

/** values that the author's functions see as variables */
export const context = z.record(z.string(), z.unknown()).optional()

/** a list, or one that lies in the block store (pieced-input.ts), which plans use in the same way */
export const items = z.custom<unknown[]>(
  value => Array.isArray(value) || isElsewhere(value),
  'expected an array, or { cid } or { dataset } of one'
)

/** in JSON as base64, as everywhere */
export const bytes = z.union(
  [z.instanceof(Uint8Array), z.base64().transform(text => new Uint8Array(Buffer.from(text, 'base64')))],
  { error: 'must be bytes (Uint8Array), or base64 of them' }
)

export const matrixValue = z
  .strictObject({
    rows: z.int().positive(),
    cols: z.int().positive(),
    data: z.union([
      z.instanceof(Float64Array),
      z.instanceof(Float32Array),
      z.array(z.number()).transform(numbers => Float64Array.from(numbers))
    ])
  })
  .refine(m => m.data.length === m.rows * m.cols, {
    error: issue => {
      const m = issue.input as { rows: number; cols: number; data: { length: number } }
      return `data has ${m.data.length} numbers, rows × cols is ${m.rows} × ${m.cols} = ${m.rows * m.cols}`
    }
  })
export type Matrix = z.output<typeof matrixValue>

export const range = z.strictObject({ start: integer, end: integer, step: z.int().positive().default(1) })

/** How many items a range has, both ends inclusive. */
export function rangeItems({ start, end, step }: { start: number; end: number; step: number }): number {
  return end < start ? 0 : Math.floor((end - start) / step) + 1
}

/** any list of numbers, as Float64Array */
export const numbers = z.union([
  z.instanceof(Float64Array),
  z.instanceof(Float32Array).transform(list => Float64Array.from(list)),
  z.instanceof(Int32Array).transform(list => Float64Array.from(list)),
  z.instanceof(Uint8Array).transform(list => Float64Array.from(list)),
  z.array(z.number()).transform(list => Float64Array.from(list))
])

/** any of the elements that models take; the model says which */
export const tensor = z
  .strictObject({
    dims: z.array(z.int().min(0)).max(8),
    data: z.custom<GivenTensor['data']>(
      value => Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView)),
      'must be a list or a typed array'
    ),
    type: z.enum(ELEMENT_TYPES).optional().describe('only where the model does not say it')
  })
  .refine(t => t.data.length === sizeOf(t.dims), {
    error: issue => {
      const t = issue.input as GivenTensor
      return `data has ${t.data.length} elements, dims are ${t.dims.join(' × ')}`
    }
  })

/** What every spec may carry beside its own fields. */
export const common = {
  name: z.string().max(200).optional(),
  priority: z.enum(['low', 'normal', 'high', 'critical']).default('normal'),
  requirements: z
    .strictObject({
      ramMb: z.int().positive().max(65_536).optional(),
      /** abilities that a worker must name: gpu, … */
      tags: z.array(z.string().min(1).max(32)).max(16).optional(),
      timeoutMs: z.int().positive().max(86_400_000).optional()
    })
    .default({}),
  /** `workers`: the only peers that may see the job */
  privacy: z
    .strictObject({ workers: z.array(z.string().min(1).max(128)).min(1).max(1000).optional() })
    .default({}),
  /** how sure the result must be: a confidence, equal answers of n workers, or nothing at all */
  verify: z
    .union([
      z.strictObject({ confidence: z.number().gt(0).lt(1) }),
      z.literal('none'),
      z
        .string()
        .regex(
          /^quorum:([1-9]|1\d|2\d|3[01])$/,
          'must be { confidence }, "none" or "quorum:N" with N up to 31'
        )
        .transform(text => ({ quorum: Number(text.slice(7)) }))
    ])
    .default({ confidence: DEFAULT_CONFIDENCE }),
  /** credits; the charge never exceeds it */
  maxPrice: z.number().positive().max(1e9).optional(),
  /** ms from submit to the end */
  deadline: z.int().positive().optional(),
  retries: z.int().min(0).max(100).default(3),
  /** take the result of an equal job that this node completed before, and keep this one's for later */
  memoize: z.boolean().default(false)
}

/** The spec with the author's functions in these fields as checked text. */
export type Authored<S, F extends keyof S> = Omit<S, F> & {
  [K in F]: undefined extends S[K] ? Source | undefined : Source
}

/** Throws SpecError for a function that does not parse or uses what is not there. */
export function readAuthored<S extends object, F extends keyof S & string>(
  spec: S,
  ...fields: F[]
): Authored<S, F> {
  const known = contextNames((spec as { context?: Record<string, unknown> }).context)
  const read = fields.map(field => [
    field,
    spec[field] === undefined ? undefined : readSource(field, spec[field], known)
  ])
  return { ...spec, ...Object.fromEntries(read) }
}

/** Throws SpecError for what cannot stand left of everything that is reduced. */
export function checkInitial(operation: Operation, exact: boolean, initial: unknown): void {
  if (initial === undefined || operation === 'custom') return
  if (operation === 'average')
    throw new SpecError('initial', 'has no meaning for an average; use `sum` and divide')
  try {
    // what is counted is added up
    createReduction(operation === 'count' ? 'sum' : operation, exact).lift(initial)
  } catch (err) {
    throw new SpecError('initial', (err as Error).message)
  }
}

/** The keys of `context`, which are variables for the author's functions. Throws SpecError for what cannot be one. */
export function contextNames(context: Record<string, unknown> = {}): string[] {
  const name = Object.keys(context).find(key => typeof context[key] === 'function')
  if (name !== undefined)
    throw new SpecError(
      'context',
      `\`${name}\` is a function, and functions do not travel alone; write it into the code`
    )
  return Object.keys(context)
}

/** Items that travel with the job; those in the block store have no limit. */
export const inlineItems = (items: readonly unknown[] | undefined): number =>
  isElsewhere(items) ? 0 : (items?.length ?? 0)

/** true for items that are not in the spec: in the block store, or where they were made */
export const isElsewhere = (items: unknown): boolean =>
  items instanceof DataItems || items instanceof DatasetItems

/** a slice of a job that kept its results, and the SHA-256 of its answer, which it must give again */
const keptSlice = z.tuple([z.int().min(0), z.int().positive(), bytes])

/** whether the results stay where they are made */
export const keep = z
  .union([z.boolean(), z.strictObject({ slices: z.array(keptSlice).min(1).max(MAX_KEPT_SLICES) })])
  .optional()
  .describe(
    'true: the results stay at the workers, and the job is a dataset: its id goes where items go, { dataset: id }'
  )
export type Keep = true | Exclude<NonNullable<z.output<typeof keep>>, boolean>

/** What a spec says about keeping; undefined for one whose results come here. */
export function keepOf(spec: object): Keep | undefined {
  return (spec as { keep?: Keep | false }).keep || undefined
}
