import { encodeValue } from '../../sandbox/index.ts'

/** The text of a driver for the sandbox: the function, and beside it the self-contained functions and data that it uses. */
export function driverSource(
  driver: (...args: never[]) => unknown,
  uses: Record<string, (...args: never[]) => unknown>,
  data: Record<string, unknown> = {}
): string {
  const helpers = [
    ...Object.entries(uses).map(([name, helper]) => `const ${name} = ${helper};`),
    ...Object.entries(data).map(([name, value]) => `const ${name} = ${JSON.stringify(value)};`)
  ]
  return `(() => { ${helpers.join('\n')}\nreturn ${driver} })()`
}

/**
 * Makes the keys of `context` variables for the author's code, but never in place of something that is there.
 * Self-contained, runs inside the sandbox.
 */
export function expose(context: Record<string, unknown> | undefined): void {
  for (const name of Object.keys(context ?? {}))
    if (!(name in globalThis)) Object.defineProperty(globalThis, name, { value: context![name] })
}

/**
 * Takes over `Math.random` for the author's code and gives `reseed(item)`: the numbers of an item depend on the program
 * and the item, not on the slice that it is in. sfc32 (Chris Doty-Humphrey, PractRand), seeded with what the sandbox's
 * own generator, which is seeded with the program, gives first. Self-contained, runs inside the sandbox.
 */
export function createChance(): (item: number) => void {
  const [seedA, seedB] = [Math.random() * 2 ** 32, Math.random() * 2 ** 32]
  const WARM_UP = 12 // until every bit of the seed has reached every bit of the state
  let [a, b, c, d] = [0, 0, 0, 0]
  let next: number | undefined
  const draw = (): number => {
    const t = (a + b + d) | 0
    d = (d + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + t) | 0
    return t >>> 0
  }
  const random = (): number => {
    if (next !== undefined) {
      a = seedA | 0
      b = seedB | 0
      c = next | 0
      d = Math.floor(next / 2 ** 32) | 0
      next = undefined
      for (let i = 0; i < WARM_UP; i++) draw()
    }
    return ((draw() >>> 5) * 2 ** 26 + (draw() >>> 6)) / 2 ** 53
  }
  Object.defineProperty(Math, 'random', { value: random, writable: true, configurable: true })
  return item => {
    next = item
  }
}

/**
 * Calls `call(i)` for i from 0 to n − 1 and gives the values to `done`. An async call ends before the next one begins:
 * nothing in the sandbox can wait for anything outside, and so their order does not depend on the slice.
 * Self-contained, runs inside the sandbox.
 */
export function inOrder(
  n: number,
  call: (i: number) => unknown,
  done: (values: unknown[]) => unknown
): unknown {
  const values = new Array<unknown>(n)
  const waits = (value: unknown): boolean =>
    typeof value === 'object' && value !== null && typeof (value as PromiseLike<unknown>).then === 'function'
  const goOn = async (first: number, value: unknown): Promise<unknown> => {
    values[first] = await value
    for (let i = first + 1; i < n; i++) values[i] = await call(i)
    return done(values)
  }
  for (let i = 0; i < n; i++) {
    const value = call(i)
    if (waits(value)) return goOn(i, value)
    values[i] = value
  }
  return done(values)
}

/** What the sandbox hands to a driver as its fourth argument. */
export interface DriverTools {
  /** WebAssembly, which the author's code does not see */
  wasm?: typeof WebAssembly
}

export function encodeContext(context: Record<string, unknown> | undefined): Uint8Array | undefined {
  return context == null ? undefined : encodeValue(context)
}
