import { z } from 'zod'
import { DataItems } from '../data/pieced-input.ts'
import { DEFAULT_CONFIDENCE } from '../trust/credibility.ts'
import type { Source } from './author-source.ts'

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
/** a list, or one that lies in the block store (pieced-input.ts), which plans use in the same way */
const items = z.custom<unknown[]>(
  value => Array.isArray(value) || value instanceof DataItems,
  'expected an array, or { cid } of one'
)

/** What every spec may carry beside its own fields. */
const common = {
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
  items: items.optional(),
  range: range.optional(),
  fn: author,
  context: context.optional(),
  ...common
})

const mapReduce = z.strictObject({
  type: z.literal('map_reduce'),
  items,
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

const MATRIX_OPERATIONS = [
  'multiply',
  'add',
  'subtract',
  'transpose',
  'determinant',
  'inverse',
  'solve',
  'lu',
  'qr',
  'svd',
  'eigenvalues'
] as const

const matrix = z.strictObject({
  type: z.literal('matrix'),
  operation: z.enum(MATRIX_OPERATIONS),
  a: matrixValue,
  b: matrixValue.optional(),
  ...common
})

const filter = z.strictObject({
  type: z.literal('filter'),
  items: z.array(z.unknown()),
  fn: author,
  context: context.optional(),
  ...common
})

const bytes = z.instanceof(Uint8Array, { error: 'must be bytes (Uint8Array)' })

const script = z.strictObject({
  type: z.literal('script'),
  source: z.string(),
  input: z.unknown().optional(),
  ...common
})

const wasm = z.strictObject({
  type: z.literal('wasm'),
  module: bytes,
  /** the function to call; without, the module is a WASI command */
  export: z.string().min(1).max(200).optional(),
  args: z.array(z.unknown()).optional(),
  items: z.array(z.unknown()).optional(),
  stdin: z.union([z.string(), z.instanceof(Uint8Array)]).optional(),
  ...common
})

const tensor = z
  .strictObject({
    dims: z.array(z.int().min(0)).max(8),
    data: z.union([
      z.instanceof(Float32Array),
      z.instanceof(Float64Array).transform(numbers => Float32Array.from(numbers)),
      z.array(z.number()).transform(numbers => Float32Array.from(numbers))
    ])
  })
  .refine(t => t.data.length === t.dims.reduce((product, dim) => product * dim, 1), {
    error: issue => {
      const t = issue.input as { dims: number[]; data: { length: number } }
      return `data has ${t.data.length} numbers, dims are ${t.dims.join(' × ')}`
    }
  })

const inference = z.strictObject({
  type: z.literal('ml_inference'),
  model: bytes,
  /** a tensor, or one per input of the model by name */
  input: z.union([tensor, z.record(z.string(), tensor)]),
  /** rows of the first dimension that the model sees at once */
  batchSize: z.int().positive().max(65_536).optional(),
  ...common
})

export const ACTIVATIONS = ['linear', 'relu', 'sigmoid', 'tanh', 'softmax'] as const

const layer = z.strictObject({
  units: z.int().positive().max(1e6),
  activation: z.enum(ACTIVATIONS).default('linear'),
  /** inputs × units, row-major; without: Glorot's uniform distribution, from a fixed seed */
  weights: numbers().optional(),
  bias: numbers().optional()
})

const train = z.strictObject({
  type: z.literal('ml_train_step'),
  model: z.strictObject({ layers: z.array(layer).min(1).max(100) }),
  /** `y`: a row of targets per row of `x`, or the number of its class */
  data: z.strictObject({ x: matrixValue, y: z.union([matrixValue, numbers()]) }),
  loss: z.enum(['mse', 'cross-entropy']),
  optimizer: z.enum(['sgd', 'adam']).default('sgd'),
  learningRate: z.number().positive().max(1e3),
  batchSize: z.int().positive().default(32),
  epochs: z.int().positive().max(100_000).default(1),
  /** samples whose gradient is summed as one; a batch is spread over workers by shards */
  shardSize: z.int().positive().optional(),
  ...common
})

const node = z.strictObject({
  id: z.string().regex(/^[\w-]{1,64}$/, 'must be 1 to 64 letters, digits, _ or -'),
  task: z.record(z.string(), z.unknown()),
  dependsOn: z.array(z.string()).default([]),
  /** field of the task → the parent whose output it takes, `parent` or `parent.path.in.it` */
  input: z.record(z.string(), z.string()).optional()
})

const pipeline = z.strictObject({
  type: z.literal('pipeline'),
  nodes: z.array(node).min(1).max(1000),
  ...common
})

/** Any list of numbers as Float64Array. */
function numbers() {
  return z.union([
    z.instanceof(Float64Array),
    z.instanceof(Float32Array).transform(list => Float64Array.from(list)),
    z.instanceof(Int32Array).transform(list => Float64Array.from(list)),
    z.instanceof(Uint8Array).transform(list => Float64Array.from(list)),
    z.array(z.number()).transform(list => Float64Array.from(list))
  ])
}

/** The form of every task; parse-spec.ts checks what a form cannot say. */
export const schema = z.discriminatedUnion('type', [
  rangeReduce,
  map,
  filter,
  mapReduce,
  matrix,
  inference,
  train,
  wasm,
  script,
  pipeline
])

type Checked<T, Fields extends string> = Omit<T, Fields> & { [F in Fields]?: Source }
export type RangeReduceSpec = Checked<z.output<typeof rangeReduce>, 'map' | 'partial' | 'reduce'>
export type MapSpec = Omit<z.output<typeof map>, 'fn'> & { fn: Source }
export type MapReduceSpec = Omit<z.output<typeof mapReduce>, 'map' | 'reduce'> & {
  map: Source
  reduce: Source | Operation
}
export type FilterSpec = Omit<z.output<typeof filter>, 'fn'> & { fn: Source }
export type MatrixSpec = z.output<typeof matrix>
export type InferenceSpec = z.output<typeof inference>
export type TrainSpec = z.output<typeof train>
export type WasmSpec = z.output<typeof wasm>
export type ScriptSpec = z.output<typeof script>
export type PipelineSpec = z.output<typeof pipeline>
/** A checked task: every author's function parsed, every number in range. Everything further in trusts it. */
export type TaskSpec =
  | RangeReduceSpec
  | MapSpec
  | FilterSpec
  | MapReduceSpec
  | MatrixSpec
  | InferenceSpec
  | TrainSpec
  | WasmSpec
  | ScriptSpec
  | PipelineSpec
