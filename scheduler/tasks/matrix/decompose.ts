import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Matrix } from '../fields.ts'

/** What the driver uses of ml-matrix. */
type Library = typeof import('ml-matrix')

/**
 * Runs inside the sandbox; uses only `library`. Calculates in float64; float32 inputs give float32 outputs. Shapes as
 * LAPACK's reduced forms, k = min(rows, cols):
 * determinant → number · inverse, solve → matrix (solve: least squares for tall, least norm for wide matrices) ·
 * lu → { l: rows × k, u: k × cols, p }: row i of l · u is row p[i] of a · qr → { q: rows × k, r: k × cols } ·
 * svd → { u: rows × k, s: k, v: cols × k }, a = u · diag(s) · vᵀ · eigenvalues → { real, imaginary }
 */
function decompose(library: Library) {
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
  type Dense = InstanceType<Library['Matrix']>
  const dense = (rows: number, cols: number, at: (i: number, j: number) => number): Dense => {
    const made = new Matrix(rows, cols)
    for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) made.set(i, j, at(i, j))
    return made
  }
  /** The power of two that brings the largest element near 1, where squares and products would leave float64 (dgesvd scales likewise). */
  const scaleOf = (data: Matrix['data']): number => {
    let top = 0
    for (const x of data) top = Math.max(top, Math.abs(x))
    return top === 0 || (top > 2 ** -300 && top < 2 ** 300) ? 1 : 2 ** Math.floor(Math.log2(top))
  }
  const qr = (given: Dense): [Dense, Dense] => {
    const { rows, columns } = given
    if (rows >= columns) {
      const { orthogonalMatrix, upperTriangularMatrix } = new QrDecomposition(given)
      return [orthogonalMatrix, upperTriangularMatrix]
    }
    // the library knows tall ones only: q of the first columns is the q of all
    const { orthogonalMatrix: q } = new QrDecomposition(given.subMatrix(0, rows - 1, 0, rows - 1))
    const r = q.transpose().mmul(given)
    return [q, dense(rows, columns, (i, j) => (i <= j ? r.get(i, j) : 0))]
  }
  return ({ operation, a, b }: { operation: string; a: Matrix; b?: Matrix }): unknown => {
    const isDouble = a.data instanceof Float64Array
    const list = (numbers: number[]): Matrix['data'] =>
      isDouble ? Float64Array.from(numbers) : Float32Array.from(numbers)
    const matrix = (from: Dense): Matrix => ({
      rows: from.rows,
      cols: from.columns,
      data: list(from.to1DArray())
    })
    const from = ({ rows, cols, data }: Matrix) => Matrix.from1DArray(rows, cols, data as never)
    const given = from(a)
    const { rows, cols } = a
    const rank = Math.min(rows, cols)
    switch (operation) {
      case 'determinant': {
        const value = determinant(given)
        // the products of its formula for small matrices overflow earlier than the pivots do
        return Number.isFinite(value) ? value : new LuDecomposition(given).determinant
      }
      case 'inverse':
        return matrix(inverse(given))
      case 'solve': {
        if (rows >= cols) return matrix(solve(given, from(b!)))
        const [q, r] = qr(given.transpose())
        return matrix(q.mmul(solve(r.transpose(), from(b!))))
      }
      case 'lu': {
        // both factors lie in one matrix, the diagonal of l is 1
        const { LU, pivotPermutationVector } = new LuDecomposition(given) as unknown as {
          LU: Dense
          pivotPermutationVector: number[]
        }
        return {
          l: matrix(dense(rows, rank, (i, j) => (i > j ? LU.get(i, j) : i === j ? 1 : 0))),
          u: matrix(dense(rank, cols, (i, j) => (i <= j ? LU.get(i, j) : 0))),
          p: Uint32Array.from(pivotPermutationVector)
        }
      }
      case 'qr': {
        const scale = scaleOf(a.data)
        const [q, r] = qr(scale === 1 ? given : given.div(scale))
        return { q: matrix(q), r: matrix(scale === 1 ? r : r.mul(scale)) }
      }
      case 'svd': {
        const scale = scaleOf(a.data)
        const svd = new SVD(scale === 1 ? given : given.div(scale), { autoTranspose: true })
        const reduced = (from: Dense): Matrix =>
          matrix(from.columns === rank ? from : from.subMatrix(0, from.rows - 1, 0, rank - 1))
        return {
          u: reduced(svd.leftSingularVectors),
          s: list(svd.diagonal.slice(0, rank).map(x => x * scale)),
          v: reduced(svd.rightSingularVectors)
        }
      }
      case 'eigenvalues': {
        const scale = scaleOf(a.data)
        const found = new EigenvalueDecomposition(scale === 1 ? given : given.div(scale))
        return {
          real: list(found.realEigenvalues.map(x => x * scale)),
          imaginary: list(found.imaginaryEigenvalues.map(x => x * scale))
        }
      }
      default:
        throw new RangeError(`${operation} is not a decomposition`)
    }
  }
}

/*
 * The step of ml-matrix's Francis iteration over columns ends it where a column needs no reflection, instead of going on
 * with the next one as EISPACK's hqr2 does; some matrices of zeros and ones then never end. (6.15.1, src/dc/evd.js)
 */
const ENDS_EARLY = /(\w\/=(\w),\w\/=\2,\w\/=\2\)\)),0!==\2\);/g

let library: string | undefined

/** ml-matrix comes as one file for browsers, which needs nothing around it; nothing can be imported in the sandbox. */
export function decompositionDriver(): string {
  if (library == null) {
    const main = createRequire(import.meta.url).resolve('ml-matrix')
    const umd = readFileSync(join(dirname(main), 'matrix.umd.js'), 'utf8').replace(/\/\/# sourceMap.*/, '')
    if (umd.match(ENDS_EARLY)?.length !== 1)
      throw new Error('ml-matrix has changed: look whether its eigenvalues still end early (ENDS_EARLY)')
    const mended = umd.replace(ENDS_EARLY, '$1,true);')
    library = `(() => { const exports = {}, module = { exports };\n${mended}\nconst decompose = ${decompose}\nreturn () => decompose(exports) })()`
  }
  return library
}
