import type { z } from 'zod'
import { DataItems } from '../data/pieced-input.ts'
import { SpecError } from '../errors.ts'
import { describe, readModule, readSource } from './author-source.ts'
import { checkTraining } from './kinds/ml-train-step.ts'
import { checkPipeline } from './kinds/pipeline.ts'
import { checkModel } from './onnx/check-model.ts'
import { OPERATIONS, schema, type TaskSpec } from './schema.ts'

export type * from './schema.ts'
export { OPERATIONS, schema } from './schema.ts'

/** What limits a slice of each type: wall-clock ms of one slice, and inline input items (numbers for a matrix). */
export const TYPE_LIMITS = {
  range_reduce: { timeoutMs: 30_000, items: 1e6 },
  map: { timeoutMs: 30_000, items: 1e6 },
  filter: { timeoutMs: 30_000, items: 1e6 },
  map_reduce: { timeoutMs: 60_000, items: 5e6 },
  matrix: { timeoutMs: 60_000, items: 1e7 },
  ml_inference: { timeoutMs: 120_000, items: 1e7 },
  ml_train_step: { timeoutMs: 300_000, items: 5e7 },
  wasm: { timeoutMs: 60_000, items: 1e6 },
  script: { timeoutMs: 60_000, items: 1 },
  pipeline: { timeoutMs: 60_000, items: 1000 }
} as const

export type TaskType = TaskSpec['type']

export const TASK_TYPES = Object.keys(TYPE_LIMITS) as TaskType[]

/** MB that a process may use when the spec does not say. */
export const DEFAULT_MEMORY_MB = 256

/**
 * Checks what a client handed in and gives the spec that the rest of the scheduler trusts.
 * Throws SpecError that names the field, the value and what to do.
 */
export function parseSpec(input: unknown): TaskSpec {
  if (typeof input !== 'object' || input === null)
    throw new SpecError('spec', `expected an object with \`type\`, got ${describe(input)}`)
  const type = (input as { type?: unknown }).type
  if (!TASK_TYPES.includes(type as TaskType))
    throw new SpecError(
      'type',
      `${type === undefined ? 'is missing' : `${describe(type)} is not a task type`}; there are ${TASK_TYPES.join(', ')}`
    )
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
      limit(spec.type, 'items', inline(spec.items))
      return { ...spec, fn: source('fn', spec.fn)! }
    }
    case 'filter': {
      limit(spec.type, 'items', spec.items.length)
      return { ...spec, fn: source('fn', spec.fn)! }
    }
    case 'map_reduce': {
      limit(spec.type, 'items', inline(spec.items))
      const named = OPERATIONS.find(name => name === spec.reduce && name !== 'custom')
      return { ...spec, map: source('map', spec.map)!, reduce: named ?? source('reduce', spec.reduce)! }
    }
    case 'matrix':
      checkMatrix(spec)
      return spec
    case 'ml_inference': {
      const tensors = 'dims' in spec.input ? [spec.input as Tensor] : Object.values(spec.input)
      limit(
        spec.type,
        'input',
        tensors.reduce((sum, { data }) => sum + data.length, 0)
      )
      checkModel(spec)
      return spec
    }
    case 'ml_train_step':
      limit(spec.type, 'data', spec.data.x.data.length)
      checkTraining(spec)
      return spec
    case 'wasm':
      limit(spec.type, 'items', spec.items?.length ?? 0)
      checkWasm(spec)
      return spec
    case 'script':
      return { ...spec, source: readModule('source', spec.source) }
    case 'pipeline':
      return { ...spec, nodes: checkPipeline(spec.nodes, parseSpec) }
  }
}

/** Items that travel with the job; those in the block store have no limit. */
const inline = (items: unknown[] | undefined): number =>
  items instanceof DataItems ? 0 : (items?.length ?? 0)

type Tensor = { data: Float32Array }

// A row of the product must fit into one message.
const MOST_COLS = 2e6

// The factors of a larger matrix (svd: two of its size) would not fit into a message, nor into the time.
const MOST_DECOMPOSED = 1_250_000

const TWO_MATRICES = ['multiply', 'add', 'subtract', 'solve']
const SQUARE = ['determinant', 'inverse', 'eigenvalues']
// The others give NaN where NaN comes in, as LAPACK's do.
const FINITE = ['lu', 'qr', 'svd', 'eigenvalues']

function checkMatrix({ type, operation, a, b }: Extract<TaskSpec, { type: 'matrix' }>): void {
  limit(type, b == null ? 'a.data' : 'a.data + b.data', a.data.length + (b?.data.length ?? 0))
  if (TWO_MATRICES.includes(operation) !== (b != null))
    throw new SpecError('b', `${operation} takes ${b == null ? 'two matrices' : 'only `a`'}`)
  if (SQUARE.includes(operation) && a.rows !== a.cols)
    throw new SpecError('a', `is ${a.rows} × ${a.cols}; ${operation} needs a square matrix`)
  if (!['multiply', 'add', 'subtract', 'transpose'].includes(operation) && a.data.length > MOST_DECOMPOSED)
    throw new SpecError('a.data', `${a.data.length} numbers, at most ${MOST_DECOMPOSED} for ${operation}`)
  if (FINITE.includes(operation)) {
    const at = a.data.findIndex(x => !Number.isFinite(x))
    if (at !== -1)
      throw new SpecError(
        'a.data',
        `has ${a.data[at]} in row ${Math.floor(at / a.cols)}, column ${at % a.cols} (counted from 0); ${operation} needs finite numbers`
      )
  }
  if (b == null) return
  const shapes = `a is ${a.rows} × ${a.cols} and b ${b.rows} × ${b.cols}`
  if (operation === 'multiply' && a.cols !== b.rows)
    throw new SpecError('b.rows', `${shapes}: a.cols must equal b.rows`)
  if (operation === 'multiply') {
    limit(type, 'a.rows × b.cols', a.rows * b.cols)
    if (b.cols > MOST_COLS) throw new SpecError('b.cols', `${b.cols} columns, at most ${MOST_COLS}; cut b`)
  }
  if (operation === 'solve' && a.rows !== b.rows)
    throw new SpecError('b.rows', `${shapes}: a.rows must equal b.rows`)
  if ((operation === 'add' || operation === 'subtract') && (a.rows !== b.rows || a.cols !== b.cols))
    throw new SpecError('b', `${shapes}: they must be of the same size`)
  if (a.data.constructor !== b.data.constructor)
    throw new SpecError('b.data', 'a and b must both be Float64Array or both Float32Array')
}

function checkWasm(spec: Extract<TaskSpec, { type: 'wasm' }>): void {
  if (spec.items != null && (spec.args != null || spec.stdin != null))
    throw new SpecError('items', 'takes the place of `args` and `stdin`; give one of them')
  if (spec.export != null && spec.stdin != null)
    throw new SpecError('stdin', 'belongs to a WASI command, which has no `export`; give `args` or `items`')
  let module: WebAssembly.Module
  try {
    module = new WebAssembly.Module(spec.module as Uint8Array<ArrayBuffer>)
  } catch (err) {
    throw new SpecError('module', `is not valid WebAssembly: ${(err as Error).message}`)
  }
  const foreign = WebAssembly.Module.imports(module).find(
    each => spec.export != null || each.module !== 'wasi_snapshot_preview1'
  )
  if (foreign != null)
    throw new SpecError(
      'module',
      `imports ${foreign.module}.${foreign.name}, which does not exist here; ${spec.export == null ? 'only WASI preview 1 does' : 'leave out `export` for a WASI command'}`
    )
  const functions = WebAssembly.Module.exports(module).filter(each => each.kind === 'function')
  const name = spec.export ?? '_start'
  if (!functions.some(each => each.name === name))
    throw new SpecError(
      'export',
      `\`${name}\` is not a function of the module; it has ${functions.map(each => each.name).join(', ') || 'none'}`
    )
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
