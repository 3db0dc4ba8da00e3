import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { encodeValue } from '../../sandbox/index.ts'
import type { Plan } from '../plan.ts'
import type { MatrixSpec } from '../spec.ts'
import { type Numbers, planMultiply } from './multiply.ts'
import { driverSource, singleReducer } from './shared.ts'

interface Matrix {
  rows: number
  cols: number
  data: Numbers
}

type Operation = MatrixSpec['operation']

export function planMatrix(spec: MatrixSpec): Plan {
  return spec.operation === 'multiply' ? planMultiply(spec) : planWhole(spec)
}

/**
 * One unit. What only moves numbers is calculated by the coordinator itself: sending them away and back takes longer
 * (measured, sum of two 1000 × 1000: 16 ms here, 50 ms to encode and decode the inputs alone).
 */
function planWhole(spec: MatrixSpec): Plan {
  const { operation, a, b } = spec
  const input = b == null ? { operation, a } : { operation, a, b }
  const moves = operation === 'add' || operation === 'subtract' || operation === 'transpose'
  return {
    units: 1,
    program: { kind: 'expression', source: 'x', driver: moves ? MOVE_DRIVER : decompositionDriver() },
    input: () => input,
    whole: input,
    here: moves ? () => encodeValue(moveNumbers(input)) : undefined,
    createReducer: singleReducer
  }
}

/** Self-contained, runs on both sides. */
function moveNumbers({ operation, a, b }: { operation: Operation; a: Matrix; b?: Matrix }): Matrix {
  const { rows, cols } = a
  const from = a.data
  const data = from instanceof Float64Array ? new Float64Array(from.length) : new Float32Array(from.length)
  if (operation === 'transpose') {
    const EDGE = 32 // blocks of this size are read and written within the first-level cache
    for (let top = 0; top < rows; top += EDGE) {
      for (let left = 0; left < cols; left += EDGE) {
        const bottom = Math.min(rows, top + EDGE)
        const right = Math.min(cols, left + EDGE)
        for (let i = top; i < bottom; i++)
          for (let j = left; j < right; j++) data[j * rows + i] = from[i * cols + j] as number
      }
    }
    return { rows: cols, cols: rows, data }
  }
  const other = b!.data
  if (operation === 'add')
    for (let i = 0; i < data.length; i++) data[i] = (from[i] as number) + (other[i] as number)
  else for (let i = 0; i < data.length; i++) data[i] = (from[i] as number) - (other[i] as number)
  return { rows, cols, data }
}

const MOVE_DRIVER = driverSource(() => moveNumbers, { moveNumbers })

/** What the driver uses of ml-matrix (node_modules/ml-matrix/matrix.d.ts). */
type Library = typeof import('ml-matrix')

/**
 * Runs inside the sandbox; uses only `library`. Calculates in float64; float32 inputs give float32 outputs.
 * determinant → number · inverse, solve → matrix · lu → { l, u, p }: row i of l · u is row p[i] of a ·
 * qr → { q, r } · svd → { u, s, v }, a = u · diag(s) · vᵀ · eigenvalues → { real, imaginary }
 */
function decompose(library: Library) {
  return ({ operation, a, b }: { operation: Operation; a: Matrix; b?: Matrix }): unknown => {
    const {
      Matrix,
      inverse,
      solve,
      determinant,
      LuDecomposition,
      QrDecomposition,
      SVD,
      EigenvalueDecomposition
    } = library
    const list = (numbers: number[]): Numbers =>
      a.data instanceof Float64Array ? Float64Array.from(numbers) : Float32Array.from(numbers)
    const matrix = ({
      rows,
      columns,
      data
    }: InstanceType<Library['Matrix']> & { data?: unknown }): Matrix => {
      const flat = new Float64Array(rows * columns)
      ;(data as ArrayLike<number>[]).forEach((row, i) => {
        flat.set(row, i * columns)
      })
      return { rows, cols: columns, data: a.data instanceof Float64Array ? flat : Float32Array.from(flat) }
    }
    const from = ({ rows, cols, data }: Matrix) => Matrix.from1DArray(rows, cols, data as never)
    const given = from(a)
    switch (operation) {
      case 'determinant':
        return determinant(given)
      case 'inverse':
        return matrix(inverse(given) as never)
      case 'solve':
        return matrix(solve(given, from(b!)) as never)
      case 'lu': {
        const lu = new LuDecomposition(given)
        return {
          l: matrix(lu.lowerTriangularMatrix as never),
          u: matrix(lu.upperTriangularMatrix as never),
          p: Uint32Array.from(lu.pivotPermutationVector)
        }
      }
      case 'qr': {
        const qr = new QrDecomposition(given)
        return { q: matrix(qr.orthogonalMatrix as never), r: matrix(qr.upperTriangularMatrix as never) }
      }
      case 'svd': {
        const svd = new SVD(given, { autoTranspose: true })
        return {
          u: matrix(svd.leftSingularVectors as never),
          s: list(svd.diagonal),
          v: matrix(svd.rightSingularVectors as never)
        }
      }
      case 'eigenvalues': {
        const { realEigenvalues, imaginaryEigenvalues } = new EigenvalueDecomposition(given)
        return { real: list(realEigenvalues), imaginary: list(imaginaryEigenvalues) }
      }
      default:
        throw new RangeError(`${operation} is not a decomposition`)
    }
  }
}

let library: string | undefined

/** ml-matrix comes as one file for browsers, which needs nothing around it; nothing can be imported in the sandbox. */
function decompositionDriver(): string {
  if (library == null) {
    const main = createRequire(import.meta.url).resolve('ml-matrix')
    const umd = readFileSync(join(dirname(main), 'matrix.umd.js'), 'utf8').replace(/\/\/# sourceMap.*/, '')
    library = `(() => { const exports = {}, module = { exports };\n${umd}\nconst decompose = ${decompose}\nreturn () => decompose(exports) })()`
  }
  return library
}
