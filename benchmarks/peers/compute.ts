import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { load } from './pools.ts'
import { startPython } from './python.ts'

const THREADS = 2
// Parts per run: small enough that both threads end together.
const PARTS = 256
// Python takes minutes for the whole, so it does every so manieth part of it, all over the range.
const PYTHON_STEP = 32

/** A sum over whole numbers; the function of one of them is `unit` of a file of that name. */
export interface Computation {
  name: 'primes' | 'mandelbrot'
  start: number
  end: number
  /** the sum, where somebody else says what it is */
  value?: number
}

/** π(n) from the tables of the prime-counting function (OEIS A006880) */
export const COMPUTATIONS: Record<'full' | 'quick' | 'long', Computation[]> = {
  full: [
    { name: 'primes', start: 1, end: 10 ** 7, value: 664_579 },
    { name: 'mandelbrot', start: 0, end: 4 * 10 ** 6 - 1 }
  ],
  quick: [
    { name: 'primes', start: 1, end: 10 ** 5, value: 9592 },
    { name: 'mandelbrot', start: 0, end: 2 * 10 ** 5 }
  ],
  // about ten times the work of `full`
  long: [
    { name: 'primes', start: 1, end: 5 * 10 ** 7 },
    { name: 'mandelbrot', start: 0, end: 4 * 10 ** 7 - 1 }
  ]
}

const fileOf = (name: string): string => new URL(`${name}.js`, import.meta.url).href

/** As a spec of Artel: it sends the very function that the peers run. */
export async function computationSpec({ name, start, end }: Computation): Promise<object> {
  const { unit } = await load(fileOf(name))
  return { type: 'range_reduce', start, end, map: String(unit), operation: 'sum' }
}

function partsOf({ start, end }: Computation): [number, number][] {
  const size = Math.ceil((end - start + 1) / PARTS)
  return Array.from({ length: PARTS }, (_, i): [number, number] => [
    start + i * size,
    Math.min(end, start + (i + 1) * size - 1)
  ]).filter(([from, to]) => from <= to)
}

/** The computation with plain worker threads: what it costs without anything around it. */
export async function threads(computation: Computation): Promise<{ ms: number; value: number }> {
  const started = performance.now()
  const workerData = {
    file: fileOf(computation.name),
    next: new Int32Array(new SharedArrayBuffer(4)),
    parts: partsOf(computation)
  }
  const sums = await Promise.all(
    Array.from({ length: THREADS }, async () => {
      const worker = new Worker(new URL('compute-thread.js', import.meta.url), { workerData })
      const [sum] = await once(worker, 'message')
      return sum as number
    })
  )
  return { ms: performance.now() - started, value: sums.reduce((a, b) => a + b, 0) }
}

/** The same with piscina, in as many parts. */
export async function piscinaComputing({ name }: Computation) {
  const { Piscina } = await load('piscina')
  const pool = new Piscina({
    filename: fileURLToPath(fileOf(name)),
    minThreads: THREADS,
    maxThreads: THREADS
  })
  return {
    async run(computation: Computation): Promise<{ ms: number; value: number }> {
      const started = performance.now()
      const sums: number[] = await Promise.all(partsOf(computation).map(part => pool.run(part)))
      return { ms: performance.now() - started, value: sums.reduce((a, b) => a + b, 0) }
    },
    stop: (): Promise<void> => pool.destroy()
  }
}

/** The same loops in Python with Dask, for a sample of the parts; `ms` is reckoned for all of them. */
export async function daskComputing() {
  const { ask, stop } = await startPython('dask')
  return {
    async run(computation: Computation): Promise<{ ms: number }> {
      const { name, start, end } = computation
      const parts = partsOf(computation).filter((_, i) => i % PYTHON_STEP === PYTHON_STEP / 2)
      const { ms, sums } = await ask<{ ms: number; sums: number[] }>({ run: 'compute', name, parts })
      const { default: work } = await load(fileOf(name))
      const wrong = parts.findIndex((part, i) => work(part) !== sums[i])
      if (wrong >= 0) throw new Error(`dask gave ${sums[wrong]} for ${name} of ${parts[wrong]}`)
      const units = parts.reduce((sum, [from, to]) => sum + to - from + 1, 0)
      return { ms: (ms * (end - start + 1)) / units }
    },
    stop
  }
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
