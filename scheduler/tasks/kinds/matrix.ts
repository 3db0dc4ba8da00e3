import { z } from 'zod'
import { encodeValue } from '../../../sandbox/index.ts'
import { SpecError } from '../../errors.ts'
import { MAX_PROGRAM_BYTES } from '../../protocol/limits.ts'
import type { Plan } from '../contract.ts'
import { matrixValue } from '../fields.ts'
import { type CheckTools, defineKind, type SpecOf } from '../kind.ts'
import { decompositionDriver } from '../matrix/decompose.ts'
import { isMove, MOVE_DRIVER, moveNumbers } from '../matrix/move-numbers.ts'
import { planMultiply, rowsPerUnit } from '../matrix/multiply.ts'
import { blockedProduct, columnsPerBlock } from '../matrix/multiply-blocks.ts'
import { singleReducer } from '../reducers.ts'

const OPERATIONS = [
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

const fields = { operation: z.enum(OPERATIONS), a: matrixValue, b: matrixValue.optional() }
type MatrixSpec = SpecOf<'matrix', typeof fields>

/** Products, sums and decompositions of matrices. */
export const matrix = defineKind({
  type: 'matrix',
  fields,
  description: 'Products, sums and decompositions of matrices.',
  limits: { timeoutMs: 60_000, items: 5e7 },
  pipelineField: 'a',
  example: {
    type: 'matrix',
    operation: 'multiply',
    a: { rows: 2, cols: 2, data: [1, 2, 3, 4] },
    b: { rows: 2, cols: 2, data: [0, 1, 1, 0] }
  },
  check(spec, { limit }) {
    checkMatrix(spec, limit)
    return spec
  },
  plan: spec => (spec.operation === 'multiply' ? planMultiply({ a: spec.a, b: spec.b! }) : planWhole(spec)),
  work(spec, { specBytes, workOf }) {
    const { operation, a, b } = spec
    const width = operation === 'multiply' ? columnsPerBlock(b!) : undefined
    if (width == null) return
    return blockedProduct({ a, b: b!, width }, block => workOf({ ...spec, ...block }, specBytes))
  }
})

// A row of the product must fit into one message.
const MOST_COLS = 2e6

// The factors of a larger matrix (svd: two of its size) would not fit into a message, nor into the time.
const MOST_DECOMPOSED = 1_250_000

const TWO_MATRICES = ['multiply', 'add', 'subtract', 'solve']
const SQUARE = ['determinant', 'inverse', 'eigenvalues']
// The others give NaN where NaN comes in, as LAPACK's do.
const FINITE = ['lu', 'qr', 'svd', 'eigenvalues']

function checkMatrix({ operation, a, b }: MatrixSpec, limit: CheckTools['limit']): void {
  limit(b == null ? 'a.data' : 'a.data + b.data', a.data.length + (b?.data.length ?? 0))
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
    limit('a.rows × b.cols', a.rows * b.cols)
    if (b.cols > MOST_COLS) throw new SpecError('b.cols', `${b.cols} columns, at most ${MOST_COLS}; cut b`)
    // a unit, and a column of b, must fit into one message
    const rows = Math.min(rowsPerUnit(columnsPerBlock(b) ?? b.cols), a.rows)
    const most = Math.floor(MAX_PROGRAM_BYTES / a.data.BYTES_PER_ELEMENT / rows)
    if (a.cols > most)
      throw new SpecError(
        'a.cols',
        `${a.cols} columns, at most ${most}; cut a and b there, and add the products`
      )
  }
  if (operation === 'solve' && a.rows !== b.rows)
    throw new SpecError('b.rows', `${shapes}: a.rows must equal b.rows`)
  if ((operation === 'add' || operation === 'subtract') && (a.rows !== b.rows || a.cols !== b.cols))
    throw new SpecError('b', `${shapes}: they must be of the same size`)
  if (a.data.constructor !== b.data.constructor)
    throw new SpecError('b.data', 'a and b must both be Float64Array or both Float32Array')
}

/**
 * One unit. What only moves numbers is calculated by the coordinator itself: sending them away and back takes longer
 * (measured, sum of two 1000 × 1000: 16 ms here, 50 ms to encode and decode the inputs alone).
 */
function planWhole({ operation, a, b }: MatrixSpec): Plan {
  const input = b == null ? { operation, a } : { operation, a, b }
  const moves = isMove(operation)
  return {
    units: 1,
    program: { kind: 'expression', source: 'x', driver: moves ? MOVE_DRIVER : decompositionDriver() },
    input: () => input,
    whole: input,
    here: moves ? () => encodeValue(moveNumbers(input)) : undefined,
    createReducer: singleReducer
  }
}
