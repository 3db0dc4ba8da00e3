import { glob, readFile, writeFile } from 'node:fs/promises'
import { PNG } from 'pngjs'

/** One job of the demo: what is asked, how it is judged, what a person sees of the result. */
export interface DemoJob {
  name: string
  spec: Record<string, unknown>
  /** true when the result is right; may wait for a comparison */
  check(result: never): boolean | Promise<boolean>
  show(result: never): string
  /** the same task by one worker alone, to compare with */
  alone?: boolean
}

const PRIMES_BELOW_1E8 = 5_761_455 // OEIS A006880
const TOTIENT_SUM_1E6 = 303_963_552_392 // OEIS A064018

/** Segmented sieve of Eratosthenes: primes in [start, end]. */
function countPrimes(start: number, end: number): number {
  const root = Math.floor(Math.sqrt(end))
  const small = new Uint8Array(root + 1)
  const segment = new Uint8Array(end - start + 1)
  for (let p = 2; p <= root; p++) {
    if (small[p]) continue
    for (let multiple = p * p; multiple <= root; multiple += p) small[multiple] = 1
    for (let multiple = Math.max(p * p, Math.ceil(start / p) * p); multiple <= end; multiple += p)
      segment[multiple - start] = 1
  }
  let count = 0
  for (let n = Math.max(start, 2); n <= end; n++) if (!segment[n - start]) count++
  return count
}

/** Euler's φ by trial division. */
function totient(n: number): number {
  let result = n
  let rest = n
  for (let p = 2; p * p <= rest; p += p === 2 ? 1 : 2) {
    if (rest % p !== 0) continue
    while (rest % p === 0) rest /= p
    result -= result / p
  }
  return rest > 1 ? result - result / rest : result
}

export function primes(): DemoJob {
  return {
    name: 'primes below 10^8',
    spec: { type: 'range_reduce', start: 1, end: 1e8 - 1, partial: countPrimes, operation: 'sum' },
    check: (result: number) => result === PRIMES_BELOW_1E8,
    show: (result: number) => result.toLocaleString('en')
  }
}

export function totients(): DemoJob {
  return {
    name: 'sum of φ(n), n ≤ 10^6',
    spec: { type: 'range_reduce', start: 1, end: 1e6, map: totient, operation: 'sum' },
    check: (result: number) => result === TOTIENT_SUM_1E6,
    show: (result: number) => result.toLocaleString('en')
  }
}

// Text that every checkout has, so that the demo needs no download.
const TEXTS = ['*.md', 'node_modules/*/*.md', 'node_modules/@*/*/*.md']
const MAX_TEXT_BYTES = 8_000_000

/** Real text files of this machine, in a fixed order. */
async function readTexts(root: string): Promise<string[]> {
  const files = (await Array.fromAsync(glob(TEXTS, { cwd: root }))).sort()
  const texts: string[] = []
  let bytes = 0
  for (const file of files) {
    const text = await readFile(`${root}/${file}`, 'utf8')
    bytes += text.length
    if (bytes > MAX_TEXT_BYTES) break
    texts.push(text)
  }
  return texts
}

export async function wordCount(root: string): Promise<DemoJob> {
  const texts = await readTexts(root)
  const words = (text: string): [string, number][] =>
    (text.toLowerCase().match(/[a-z]+/g) ?? []).map(word => [word, 1])
  return {
    name: `word count, ${texts.length} files`,
    spec: { type: 'map_reduce', items: texts, map: words, reduce: 'sum' },
    check(result: [string, number][]) {
      const counts = new Map<string, number>()
      for (const text of texts)
        for (const [word] of text.toLowerCase().matchAll(/[a-z]+/g))
          counts.set(word, (counts.get(word) ?? 0) + 1)
      return result.length === counts.size && result.every(([word, count]) => counts.get(word) === count)
    },
    show(result: [string, number][]) {
      const [word, count] = result.reduce((best, entry) => (entry[1] > best[1] ? entry : best))
      return `${result.length.toLocaleString('en')} words, "${word}" ${count.toLocaleString('en')} times`
    }
  }
}

interface Matrix {
  rows: number
  cols: number
  data: Float64Array
}

/** Numbers between −1 and 1 from a linear congruential generator (Numerical Recipes), so that every run has the same. */
function randomMatrix(size: number, seed: number): Matrix {
  let state = seed
  const data = Float64Array.from({ length: size * size }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 31 - 1
  })
  return { rows: size, cols: size, data }
}

/** `alone` gives the bytes of the same product from one worker. */
export function matrixProduct(size: number, alone: () => Promise<Matrix>): DemoJob {
  return {
    name: `${size} × ${size} matrix product`,
    spec: { type: 'matrix', operation: 'multiply', a: randomMatrix(size, 1), b: randomMatrix(size, 2) },
    async check(result: Matrix) {
      const other = await alone()
      return Buffer.compare(bytesOf(result), bytesOf(other)) === 0
    },
    show: (result: Matrix) => `equal to one worker's, c[0][0] = ${result.data[0]}`
  }
}

const bytesOf = ({ data }: Matrix): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength)

const WIDTH = 1280
const HEIGHT = 960
const MAX_ITERATIONS = 255

/** One row of the Mandelbrot set: iterations until |z| > 2, per pixel. */
function mandelbrotRow(y: number): Uint8Array {
  const [width, height, most] = [1280, 960, 255]
  const row = new Uint8Array(width)
  const ci = (y / height - 0.5) * 2.4
  for (let x = 0; x < width; x++) {
    const cr = (x / width - 0.5) * 3.2 - 0.6
    let [re, im, n] = [0, 0, 0]
    while (n < most && re * re + im * im <= 4) {
      const next = re * re - im * im + cr
      im = 2 * re * im + ci
      re = next
      n++
    }
    row[x] = n
  }
  return row
}

export function mandelbrot(file: string): DemoJob {
  return {
    name: `Mandelbrot ${WIDTH} × ${HEIGHT}`,
    spec: { type: 'map', range: { start: 0, end: HEIGHT - 1 }, fn: mandelbrotRow },
    async check(rows: Uint8Array[]) {
      const right =
        rows.length === HEIGHT && rows.every((row, y) => Buffer.compare(row, mandelbrotRow(y)) === 0)
      const png = new PNG({ width: WIDTH, height: HEIGHT })
      rows.forEach((row, y) => {
        for (let x = 0; x < WIDTH; x++) png.data.set(colour(row[x]!), (y * WIDTH + x) * 4)
      })
      await writeFile(file, PNG.sync.write(png))
      return right
    },
    show: () => file
  }
}

/** Black inside, a blue to orange band outside. */
function colour(n: number): [number, number, number, number] {
  if (n === MAX_ITERATIONS) return [0, 0, 0, 255]
  const t = Math.sqrt(n / MAX_ITERATIONS)
  return [
    255 * Math.min(1, t * 2.2),
    255 * t * t * 1.4 + 20 * (1 - t),
    255 * (0.35 + 0.65 * Math.sin(Math.PI * t)),
    255
  ].map(Math.round) as [number, number, number, number]
}
