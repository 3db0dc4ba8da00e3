import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { load } from './pools.ts'

const THREADS = 2
// Parts per run: small enough that both threads end together.
const PARTS = 256

/** Primes up to `end` with plain worker threads: what a computation costs without anything around it. */
export async function threadPrimes(end: number): Promise<{ ms: number; value: number }> {
  const started = performance.now()
  const workerData = { next: new Int32Array(new SharedArrayBuffer(4)), size: Math.ceil(end / PARTS), end }
  const counts = await Promise.all(
    Array.from({ length: THREADS }, async () => {
      const worker = new Worker(new URL('primes-thread.js', import.meta.url), { workerData })
      const [count] = await once(worker, 'message')
      return count as number
    })
  )
  return { ms: performance.now() - started, value: counts.reduce((sum, count) => sum + count, 0) }
}

/** The matrices of the matrix benches: small whole numbers, so that the sum of the product is exact. */
export function matrices(size: number): { a: Float64Array; b: Float64Array } {
  return {
    a: Float64Array.from({ length: size * size }, (_, i) => (i % 7) - 3),
    b: Float64Array.from({ length: size * size }, (_, i) => (i % 5) - 2)
  }
}

/** The product with ml-matrix in this thread. */
export async function mlMatrixProduct(size: number): Promise<{ ms: number; sum: number }> {
  const { Matrix } = (await load('ml-matrix')) as {
    Matrix: { from1DArray(rows: number, cols: number, data: Float64Array): MlMatrix }
  }
  const { a, b } = matrices(size)
  const [left, right] = [Matrix.from1DArray(size, size, a), Matrix.from1DArray(size, size, b)]
  const started = performance.now()
  const product = left.mmul(right)
  return { ms: performance.now() - started, sum: product.sum() }
}

interface MlMatrix {
  mmul(other: MlMatrix): MlMatrix
  sum(): number
}
