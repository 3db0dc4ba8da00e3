import { decodeValue, encodeValue } from '../../sandbox/index.ts'
import { ProtocolError } from '../errors.ts'
import type { Reducer } from './contract.ts'
import { createTree, foldBlocks, type TreeNode } from './fold-tree.ts'

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

/** What a driver that reduces takes beside its own fields. */
export interface ReduceInput {
  first: number
  count: number
  initial?: unknown
  /** nodes that were computed elsewhere */
  merge?: TreeNode<unknown>[]
  /** give the result, not the tree nodes: everything is here */
  whole?: boolean
}

/** Its nodes so far: the fewest, or all that came where they are combined at the end. */
export interface TreeReducer extends Reducer {
  nodes(): TreeNode<unknown>[]
}

/**
 * The reducer of everything that combines in the fixed tree. With `combine` it merges as results come;
 * without (the author's own function) it collects the nodes and lets the sandbox merge them at the end.
 */
export function treeReducer(init: {
  blocks: number
  combine?: (left: unknown, right: unknown) => unknown
  finish: (root: unknown) => unknown
  /** throws when the value of a node is not of the expected form */
  expect?: (value: unknown) => void
  mergeInput?: (merge: TreeNode<unknown>[]) => ReduceInput
}): TreeReducer {
  const { blocks, combine, finish, expect, mergeInput } = init
  const collected: TreeNode<unknown>[] = []
  const tree = combine == null ? undefined : createTree(blocks, combine)
  return {
    add(first, count, value) {
      const nodes = decodeValue(value)
      expectCover(nodes, first, count, blocks)
      for (const [, , acc] of nodes) expect?.(acc)
      if (tree == null) collected.push(...nodes)
      else for (const [level, index, acc] of nodes) tree.add(level, index, acc)
    },
    nodes: () => (tree == null ? collected : tree.nodes()),
    async finish(run) {
      return tree == null ? run(mergeInput!(collected)) : encodeValue(finish(tree.nodes()[0]?.[2]))
    }
  }
}

/** A check for treeReducer: throws when a node's value is none that the operation gives. */
export function expectAcc(isAcc: (value: unknown) => boolean): (value: unknown) => void {
  return value => {
    if (!isAcc(value)) throw new ProtocolError('a result holds a value that the operation cannot give')
  }
}

/** The reducer of a task that is one unit: its output is the result. */
export function singleReducer(): Reducer {
  let result: Uint8Array
  return {
    add(_first, _count, value) {
      result = value
    },
    finish: async () => result
  }
}

/** Throws unless `nodes` are exactly the tree nodes that cover the blocks [first, first + count). */
function expectCover(
  nodes: unknown,
  first: number,
  count: number,
  blocks: number
): asserts nodes is TreeNode<unknown>[] {
  const expected = foldBlocks(
    blocks,
    first,
    count,
    () => undefined,
    () => undefined
  )
  const right =
    Array.isArray(nodes) &&
    nodes.length === expected.length &&
    expected.every(
      ([level, index], i) =>
        Array.isArray(nodes[i]) && nodes[i][0] === level && nodes[i][1] === index && nodes[i].length === 3
    )
  if (!right)
    throw new ProtocolError(
      `a result does not cover the blocks ${first} to ${first + count - 1} that were asked for`
    )
}
