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
 * Calls `call(i)` for i from 0 to n − 1, takes each value at once with `take`, and gives them to `done`. An async call ends
 * before the next one begins, and with `rest` everything that it left to do: nothing in the sandbox can wait for anything
 * outside, and so their order does not depend on the slice. Self-contained, runs inside the sandbox.
 */
export function inOrder(
  n: number,
  call: (i: number) => unknown,
  done: (values: unknown[]) => unknown,
  { take = value => value, rest }: { take?: (value: unknown) => unknown } & Pick<DriverTools, 'rest'> = {}
): unknown {
  const values = new Array<unknown>(n)
  const waits = (value: unknown): boolean =>
    typeof value === 'object' && value !== null && typeof (value as PromiseLike<unknown>).then === 'function'
  const goOn = async (first: number, value: unknown): Promise<unknown> => {
    for (let i = first; i < n; i++) {
      values[i] = take(await (i === first ? value : call(i)))
      if (rest !== undefined) await rest()
    }
    return done(values)
  }
  for (let i = 0; i < n; i++) {
    const value = call(i)
    if (rest !== undefined || waits(value)) return goOn(i, value)
    values[i] = take(value)
  }
  return done(values)
}

/** What the sandbox hands to a driver as its fourth argument. */
export interface DriverTools {
  /** WebAssembly, which the author's code does not see */
  wasm?: typeof WebAssembly
  /**
   * Called before every call of a function of the author's, with what it is applied to and nothing that depends on the
   * cut: the place of an item (level 0) or of a node in the tree (its level and index), and the group within it. What
   * an earlier call left in globals is gone, and chance is that place's own.
   */
  begin(position: number, level?: number, group?: number): void
  /** An element of the result as it is now, since what an author gives may say something else when it is read later. */
  piece(value: unknown): unknown
  /** What an accumulator is after it travelled, so that it does not show where it did. */
  copy(value: unknown): unknown
  /** Where promises may still have something to do: resolves when they have not. */
  rest?(): Promise<void>
}

/** Levels for `begin` beside those of the tree, which are 1 to 53. */
export const LEVEL = {
  /** an item taken into the accumulator of its block */
  fold: 100,
  /** `initial` taken into the result */
  initial: 99
}

export function encodeContext(context: Record<string, unknown> | undefined): Uint8Array | undefined {
  return context == null ? undefined : encodeValue(context)
}
