import { decodeValue, encodeValue } from '../../../sandbox/index.ts'
import { encodeInPieces } from '../../data/value-bytes.ts'
import { ProtocolError } from '../../errors.ts'
import type { Plan } from '../contract.ts'
import { type DriverTools, driverSource } from '../drivers.ts'
import type { Matrix } from '../fields.ts'
import { gemmKernel } from './gemm-kernel.ts'

export type Numbers = Float64Array | Float32Array

interface Context {
  b: Numbers
  inner: number
  cols: number
}

interface Input {
  /** rows of `a` of this slice, row-major */
  rows: Numbers
  /** give the product as a matrix, not its numbers: all rows are here */
  whole?: boolean
}

/**
 * Every element is summed in float64 over k = 0, 1, 2, … in that order, starting at 0, each product rounded before it
 * is added, and rounded to float32 at the end where the inputs are. So the bits depend neither on how the rows are cut
 * nor on which of the two loops runs: packed panels through the WebAssembly kernel (see gemm-kernel.ts) where the
 * sandbox hands it to drivers, else plain i-k-j, which walks both matrices along memory.
 *
 * Runs inside the sandbox; uses only `kernel`, the module's bytes, beside it. Blocking as in Goto, van de Geijn,
 * "Anatomy of High-Performance Matrix Multiplication", 2008.
 */
export function createProduct(
  { b, inner, cols }: Context,
  wasm: typeof WebAssembly | undefined,
  kernel: Uint8Array
) {
  const ROWS_AT_ONCE = 64 // this many rows of A and C stay in the second-level cache
  const DEPTH = 256 // this many k of one panel of B stay in the first-level cache
  const PAGE_BYTES = 65_536

  function plain(a: Numbers, rows: number, out: Numbers): void {
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
  }
  if (wasm == null) return plain

  const depth = inner + (inner % 2) // the kernel takes two k at a time; 0 · 0 changes no sum
  const panels = Math.ceil(cols / 4)
  const width = panels * 4
  const bytes = 8 * (depth * width + ROWS_AT_ONCE * (depth + width))
  const { memory, tile } = new wasm.Instance(new wasm.Module(kernel as Uint8Array<ArrayBuffer>))
    .exports as unknown as { memory: WebAssembly.Memory; tile: (...numbers: number[]) => void }
  memory.grow(Math.ceil(bytes / PAGE_BYTES))
  const numbers = new Float64Array(memory.buffer)
  const aAt = depth * width
  const cAt = aAt + ROWS_AT_ONCE * depth
  for (let k = 0; k < inner; k++) {
    for (let j = 0; j < cols; j++) numbers[(j >> 2) * depth * 4 + k * 4 + (j & 3)] = b[k * cols + j] as number
  }

  return (a: Numbers, rows: number, out: Numbers): void => {
    for (let from = 0; from < rows; from += ROWS_AT_ONCE) {
      const count = Math.min(ROWS_AT_ONCE, rows - from)
      numbers.fill(0, aAt, cAt + ROWS_AT_ONCE * width)
      for (let i = 0; i < count; i++) {
        const to = aAt + (i >> 2) * depth * 4 + (i & 3)
        const at = (from + i) * inner
        for (let k = 0; k < inner; k++) numbers[to + k * 4] = a[at + k] as number
      }
      for (let k = 0; k < depth; k += DEPTH) {
        const steps = Math.min(DEPTH, depth - k)
        for (let j = 0; j < panels; j++)
          tile(
            8 * (aAt + k * 4),
            8 * (j * depth * 4 + k * 4),
            8 * (cAt + j * 4),
            Math.ceil(count / 4),
            steps,
            8 * width,
            8 * depth * 4
          )
      }
      for (let i = 0; i < count; i++) {
        const at = cAt + i * width
        out.set(numbers.subarray(at, at + cols), (from + i) * cols)
      }
    }
  }
}

/** Runs inside the sandbox; uses only what driverSource() puts beside it. */
function driver(_task: unknown, _functions: unknown, context: Context, tools?: DriverTools) {
  const product = createProduct(context, tools?.wasm, new Uint8Array(KERNEL))
  const { inner, cols } = context
  return ({ rows: a, whole }: Input): unknown => {
    const rows = a.length / inner
    const out = a instanceof Float64Array ? new Float64Array(rows * cols) : new Float32Array(rows * cols)
    product(a, rows, out)
    return whole ? { rows, cols, data: out } : out
  }
}

const KERNEL = [...gemmKernel()]
const DRIVER = driverSource(driver, { createProduct }, { KERNEL })

// The kernel works on four rows at a time; a slice of fewer would waste it.
const ROWS_PER_UNIT = 8
// Wide rows go alone, for a result must fit into a message.
const WIDE_COLS = 250_000

/** Rows of `a` that a unit has, where `b` has so many columns. */
export const rowsPerUnit = (cols: number): number => (cols > WIDE_COLS ? 1 : ROWS_PER_UNIT)

/** A unit is a block of rows of the product; `b` travels once per worker, as the program's context. */
export function planMultiply({ a, b }: { a: Matrix; b: Matrix }): Plan {
  const { cols, data } = b
  const Kind = a.data.constructor as new (length: number) => Numbers
  const rows = rowsPerUnit(cols)
  const size = rows * a.cols
  return {
    units: Math.ceil(a.rows / rows),
    // the numbers make no difference: a product of a known shape needs no probe
    speed: `multiply ${Kind.name} ${size} ${cols}`,
    unitBytes: rows * Math.max(a.cols, cols) * data.BYTES_PER_ELEMENT,
    program: {
      kind: 'expression',
      source: 'x',
      driver: DRIVER,
      context: Buffer.concat(encodeInPieces({ b: data, inner: a.cols, cols }))
    },
    input: (first, count): Input => ({ rows: a.data.subarray(first * size, (first + count) * size) }),
    whole: { rows: a.data, whole: true },
    createReducer() {
      const product = new Kind(a.rows * cols)
      return {
        add(first, count, value) {
          const numbers = decodeValue(value)
          const given = Math.min(count * rows, a.rows - first * rows)
          if (!(numbers instanceof Kind) || (numbers as Numbers).length !== given * cols)
            throw new ProtocolError(`a result is not ${given} rows of ${cols} numbers`)
          product.set(numbers as Numbers, first * rows * cols)
        },
        finish: async () => encodeValue({ rows: a.rows, cols, data: product })
      }
    }
  }
}
