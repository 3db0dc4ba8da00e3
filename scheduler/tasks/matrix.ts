import { decodeValue, encodeValue } from '../../sandbox/index.ts'
import { ProtocolError } from '../errors.ts'
import type { Plan } from '../plan.ts'
import type { MatrixSpec } from '../spec.ts'
import { encodeContext } from './shared.ts'

type Numbers = Float64Array | Float32Array

interface Input {
  /** rows of `a` of this slice, row-major */
  rows: Numbers
  inner: number
  cols: number
  /** give the product as a matrix, not its numbers: all rows are here */
  whole?: boolean
}

/**
 * Runs inside the sandbox; self-contained. Every element is summed over k = 0, 1, 2, … in that order, so the bits
 * do not depend on how the rows are cut. The loop order i-k-j walks both matrices along memory.
 */
function driver(_task: unknown, _functions: unknown, context: { b: Numbers }) {
  const b = context.b
  return ({ rows: a, inner, cols, whole }: Input): unknown => {
    const rows = a.length / inner
    const out = a instanceof Float64Array ? new Float64Array(rows * cols) : new Float32Array(rows * cols)
    const row = new Float64Array(cols)
    for (let i = 0; i < rows; i++) {
      row.fill(0)
      for (let k = 0; k < inner; k++) {
        const factor = a[i * inner + k] as number
        const offset = k * cols
        for (let j = 0; j < cols; j++) row[j] = (row[j] as number) + factor * (b[offset + j] as number)
      }
      out.set(row, i * cols)
    }
    return whole ? { rows, cols, data: out } : out
  }
}

const DRIVER = String(driver)

/** A unit is one row of the product; `b` travels once per worker, as the program's context. */
export function planMatrix(spec: MatrixSpec): Plan {
  const { a, b } = spec
  const Kind = a.data.constructor as new (length: number) => Numbers
  const input = (first: number, count: number): Input => ({
    rows: a.data.slice(first * a.cols, (first + count) * a.cols),
    inner: a.cols,
    cols: b.cols
  })
  return {
    units: a.rows,
    program: { kind: 'expression', source: 'x', driver: DRIVER, context: encodeContext({ b: b.data }) },
    input,
    whole: { ...input(0, a.rows), whole: true },
    createReducer() {
      const data = new Kind(a.rows * b.cols)
      return {
        add(first, count, value) {
          const rows = decodeValue(value)
          if (!(rows instanceof Kind) || (rows as Numbers).length !== count * b.cols)
            throw new ProtocolError(`a result is not ${count} rows of ${b.cols} numbers`)
          data.set(rows as Numbers, first * b.cols)
        },
        finish: async () => encodeValue({ rows: a.rows, cols: b.cols, data })
      }
    }
  }
}
