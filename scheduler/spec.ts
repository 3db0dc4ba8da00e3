import { z } from 'zod'
import { SpecError } from './errors.ts'
import { describe, readSource, type Source } from './source.ts'

/** What limits a slice of each type (tasks.md): wall-clock ms of one slice, and inline input items (numbers for a matrix). */
export const TYPE_LIMITS = {
  range_reduce: { timeoutMs: 30_000, items: 1e6 },
  map: { timeoutMs: 30_000, items: 1e6 },
  map_reduce: { timeoutMs: 60_000, items: 5e6 },
  matrix: { timeoutMs: 60_000, items: 1e7 }
} as const

export const OPERATIONS = ['sum', 'product', 'min', 'max', 'average', 'count', 'custom'] as const
export type Operation = (typeof OPERATIONS)[number]

const author = z.union([
  z.string(),
  z.custom<(...args: never[]) => unknown>(value => typeof value === 'function')
])
const bound = z
  .union([z.int(), z.bigint().transform(Number)])
  .refine(Number.isSafeInteger, 'must be an integer between −2^53 and 2^53')
const context = z.record(z.string(), z.unknown())

/** What every spec may carry beside its own fields. */
const common = {
  name: z.string().max(200).optional(),
  priority: z.enum(['low', 'normal', 'high', 'critical']).default('normal'),
  requirements: z
    .strictObject({
      ramMb: z.int().positive().max(65_536).optional(),
      timeoutMs: z.int().positive().max(86_400_000).optional()
    })
    .default({}),
  /** `workers`: the only peers that may see the job */
  privacy: z
    .strictObject({ workers: z.array(z.string().min(1).max(128)).min(1).max(1000).optional() })
    .default({}),
  /** credits; the charge never exceeds it */
  maxPrice: z.number().positive().max(1e9).optional(),
  /** ms from submit to the end */
  deadline: z.int().positive().optional(),
  retries: z.int().min(0).max(100).default(3)
}

const rangeReduce = z.strictObject({
  type: z.literal('range_reduce'),
  start: bound,
  end: bound,
  step: z.int().positive().default(1),
  map: author.optional(),
  partial: author.optional(),
  operation: z.enum(OPERATIONS).default('sum'),
  reduce: author.optional(),
  initial: z.unknown().optional(),
  exact: z.boolean().default(false),
  context: context.optional(),
  ...common
})

const range = z.strictObject({ start: bound, end: bound, step: z.int().positive().default(1) })

const map = z.strictObject({
  type: z.literal('map'),
  items: z.array(z.unknown()).optional(),
  range: range.optional(),
  fn: author,
  context: context.optional(),
  ...common
})

const mapReduce = z.strictObject({
  type: z.literal('map_reduce'),
  items: z.array(z.unknown()),
  map: author,
  reduce: author.default('sum'),
  initial: z.unknown().optional(),
  context: context.optional(),
  ...common
})

const matrixValue = z
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

const matrix = z.strictObject({
  type: z.literal('matrix'),
  operation: z.enum(['multiply']),
  a: matrixValue,
  b: matrixValue,
  ...common
})

const schema = z.discriminatedUnion('type', [rangeReduce, map, mapReduce, matrix])

type Checked<T, Fields extends string> = Omit<T, Fields> & { [F in Fields]?: Source }
export type RangeReduceSpec = Checked<z.output<typeof rangeReduce>, 'map' | 'partial' | 'reduce'>
export type MapSpec = Omit<z.output<typeof map>, 'fn'> & { fn: Source }
export type MapReduceSpec = Omit<z.output<typeof mapReduce>, 'map' | 'reduce'> & {
  map: Source
  reduce: Source | Operation
}
export type MatrixSpec = z.output<typeof matrix>
/** A checked task: every author's function parsed, every number in range. Everything further in trusts it. */
export type TaskSpec = RangeReduceSpec | MapSpec | MapReduceSpec | MatrixSpec
export type TaskType = TaskSpec['type']

export const TASK_TYPES = Object.keys(TYPE_LIMITS) as TaskType[]

/**
 * Checks what a client handed in and gives the spec that the rest of the scheduler trusts.
 * Throws SpecError that names the field, the value and what to do.
 */
export function parseSpec(input: unknown): TaskSpec {
  if (typeof input !== 'object' || input === null)
    throw new SpecError('spec', `expected an object with \`type\`, got ${describe(input)}`)
  const type = (input as { type?: unknown }).type
  if (!TASK_TYPES.includes(type as TaskType))
    throw new SpecError('type', `${describe(type)} is not a task type; there are ${TASK_TYPES.join(', ')}`)
  const parsed = schema.safeParse(input)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!
    const field = issue.path.join('.') || 'spec'
    const value = issue.path.reduce<unknown>(
      (at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key],
      input
    )
    const known = issue.code === 'unrecognized_keys' ? '' : `, got ${describe(value)}`
    throw new SpecError(field, `${issue.message}${known}`)
  }
  return check(parsed.data)
}

function check(spec: z.output<typeof schema>): TaskSpec {
  const known = Object.keys(('context' in spec && spec.context) || {})
  const source = (field: string, value: unknown) =>
    value === undefined ? undefined : readSource(field, value, known)
  switch (spec.type) {
    case 'range_reduce': {
      const { map, partial, reduce, ...rest } = spec
      if (map != null && partial != null)
        throw new SpecError('partial', 'takes the place of `map`; give only one of them')
      if ((reduce != null) !== (spec.operation === 'custom'))
        throw new SpecError('reduce', '`operation: "custom"` and `reduce` go together; give both or neither')
      if (partial != null && spec.operation === 'average')
        throw new SpecError(
          'partial',
          'a partial result carries no count, so `average` cannot be calculated; use `sum` and divide'
        )
      if (partial != null && spec.step !== 1)
        throw new SpecError('step', `must be 1 with \`partial\`, got ${spec.step}`)
      if (spec.exact && spec.operation === 'average')
        throw new SpecError('exact', 'an average is not an integer; use `sum` with `exact` and divide')
      const empty = spec.end < spec.start
      if (empty && spec.initial === undefined && !['sum', 'product', 'count'].includes(spec.operation))
        throw new SpecError(
          'end',
          `${spec.end} is below start ${spec.start}: ${spec.operation} of an empty range has no value`
        )
      return {
        ...rest,
        map: source('map', map),
        partial: source('partial', partial),
        reduce: source('reduce', reduce)
      }
    }
    case 'map': {
      if ((spec.items == null) === (spec.range == null))
        throw new SpecError('items', 'give either `items` or `range`')
      limit(spec.type, 'items', spec.items?.length ?? 0)
      return { ...spec, fn: source('fn', spec.fn)! }
    }
    case 'map_reduce': {
      limit(spec.type, 'items', spec.items.length)
      const named = OPERATIONS.find(name => name === spec.reduce && name !== 'custom')
      return { ...spec, map: source('map', spec.map)!, reduce: named ?? source('reduce', spec.reduce)! }
    }
    case 'matrix': {
      if (spec.a.cols !== spec.b.rows)
        throw new SpecError(
          'b.rows',
          `a is ${spec.a.rows} × ${spec.a.cols} and b ${spec.b.rows} × ${spec.b.cols}: a.cols must equal b.rows`
        )
      if (spec.a.data.constructor !== spec.b.data.constructor)
        throw new SpecError('b.data', 'a and b must both be Float64Array or both Float32Array')
      limit(spec.type, 'a.data + b.data', spec.a.data.length + spec.b.data.length)
      return spec
    }
  }
}

function limit(type: TaskType, field: string, items: number): void {
  const most = TYPE_LIMITS[type].items
  if (items > most)
    throw new SpecError(
      field,
      `${items} items inline, at most ${most} for ${type}; use a range or split the job`
    )
}

/** ms that one slice of this task may take on a worker */
export function timeoutOf(spec: TaskSpec): number {
  return spec.requirements.timeoutMs ?? TYPE_LIMITS[spec.type].timeoutMs
}
