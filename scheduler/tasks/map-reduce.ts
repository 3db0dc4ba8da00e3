import { createReduction, type Reduction } from '../operations.ts'
import type { Plan } from '../plan.ts'
import type { MapReduceSpec, Operation } from '../spec.ts'
import { blockSize, createTree, foldBlocks, mergeNodes, type TreeNode } from '../tree.ts'
import {
  createChance,
  driverSource,
  encodeContext,
  expectAcc,
  expose,
  inOrder,
  type ReduceInput,
  treeReducer
} from './shared.ts'

interface Input extends ReduceInput {
  items: unknown[]
  size: number
  blocks: number
  operation: Operation
}

type Key = string | number | boolean | bigint

/** What a tree node carries: one accumulator per key, or a single one when `map` gives plain values. */
type Group = { groups: [Key, unknown][] } | { one: unknown }

/**
 * Grouped folding. Self-contained, it runs on both sides.
 * A mapped value is a pair `[key, value]`, a list of such pairs (a document's words), or a plain value.
 */
export function createGrouping({ lift, fold, combine, isAcc, finish }: Reduction) {
  const isKey = (key: unknown): key is Key =>
    typeof key === 'string' || typeof key === 'number' || typeof key === 'boolean' || typeof key === 'bigint'
  const isPair = (value: unknown): value is [Key, unknown] =>
    Array.isArray(value) && value.length === 2 && isKey(value[0])
  const mixed = (): never => {
    throw new TypeError(
      'map gave [key, value] pairs for some items and plain values for others; give the same form for all'
    )
  }

  /** Folds mapped values, left to right. */
  function foldAll(values: unknown[]): Group {
    const groups = new Map<Key, unknown>()
    let one: unknown
    let plain = 0
    let pairs = 0
    const put = ([key, value]: [Key, unknown]): void => {
      groups.set(key, groups.has(key) ? fold(groups.get(key), value) : lift(value))
    }
    for (const value of values) {
      if (isPair(value)) {
        pairs++
        put(value)
      } else if (Array.isArray(value) && value.every(isPair)) {
        pairs++
        value.forEach(put)
      } else one = plain++ === 0 ? lift(value) : fold(one, value)
    }
    if (pairs > 0 && plain > 0) mixed()
    return plain > 0 ? { one } : { groups: [...groups] }
  }

  function combineGroups(left: Group, right: Group): Group {
    if ('one' in left && 'one' in right) return { one: combine(left.one, right.one) }
    if ('one' in left || 'one' in right) return mixed()
    const groups = new Map(left.groups)
    for (const [key, value] of right.groups)
      groups.set(key, groups.has(key) ? combine(groups.get(key), value) : value)
    return { groups: [...groups] }
  }

  /** Keys in a fixed order: by type, then by value (strings by UTF-16 code unit). */
  function byKey([a]: [Key, unknown], [b]: [Key, unknown]): number {
    if (typeof a !== typeof b) return typeof a < typeof b ? -1 : 1
    return a < b ? -1 : a > b ? 1 : 0
  }

  function finishGroups(root: Group | undefined, initial: unknown): unknown {
    if (root == null || 'one' in root) return finish(root?.one, initial)
    return root.groups.map(([key, acc]): [Key, unknown] => [key, finish(acc, initial)]).sort(byKey)
  }

  /** true for what foldAll can give: a worker's answer may be anything */
  function isGroup(group: unknown): boolean {
    if (typeof group !== 'object' || group === null) return false
    if ('one' in group) return isAcc(group.one)
    const pairs = (group as { groups?: unknown }).groups
    return Array.isArray(pairs) && pairs.every(pair => isPair(pair) && isAcc(pair[1]))
  }

  return { foldAll, combineGroups, isGroup, finishGroups }
}

/** Runs inside the sandbox; uses only what driverSource() puts beside it. */
function driver(
  task: (item: unknown, index: number) => unknown,
  functions: { reduce?: (a: unknown, b: unknown) => unknown },
  context: Record<string, unknown> | undefined
) {
  expose(context)
  const reseed = createChance()
  return ({ items, size, blocks, operation, first, merge, initial, whole }: Input): unknown => {
    const { foldAll, combineGroups, finishGroups } = createGrouping(
      createReduction(operation, false, functions.reduce)
    )
    const reduce = (values: unknown[]): unknown => {
      const leaf = (block: number): Group =>
        foldAll(values.slice((block - first) * size, (block - first + 1) * size))
      const nodes =
        merge == null
          ? foldBlocks(blocks, first, Math.ceil(items.length / size), leaf, combineGroups)
          : mergeNodes(blocks, merge as TreeNode<Group>[], combineGroups)
      return whole ? finishGroups(nodes[0]?.[2], initial) : nodes
    }
    const call = (i: number): unknown => {
      reseed(first * size + i)
      return task(items[i], first * size + i)
    }
    return inOrder(items.length, call, reduce)
  }
}

const DRIVER = driverSource(driver, {
  createChance,
  expose,
  inOrder,
  foldBlocks,
  mergeNodes,
  createTree,
  createReduction,
  createGrouping
})

/** A unit is a block of `size` items. The result is a list of `[key, value]` sorted by key, or one value. */
export function planMapReduce(spec: MapReduceSpec): Plan {
  const { items, initial } = spec
  const operation = typeof spec.reduce === 'string' ? spec.reduce : 'custom'
  const size = blockSize(items.length)
  const units = Math.ceil(items.length / size)
  const { combineGroups, isGroup, finishGroups } = createGrouping(createReduction(operation, false))
  const input = (first: number, count: number): Input => ({
    items: items.slice(first * size, (first + count) * size),
    size,
    blocks: units,
    operation,
    first,
    count
  })
  return {
    units,
    program: {
      ...spec.map,
      functions: typeof spec.reduce === 'string' ? undefined : { reduce: spec.reduce },
      driver: DRIVER,
      context: encodeContext(spec.context)
    },
    input,
    whole: { ...input(0, units), initial, whole: true },
    createReducer: () =>
      treeReducer({
        blocks: units,
        combine:
          operation === 'custom' ? undefined : (combineGroups as (left: unknown, right: unknown) => unknown),
        expect: expectAcc(isGroup),
        mergeInput: merge => ({ ...input(0, 0), merge, initial, whole: true }),
        finish: root => finishGroups(root as Group | undefined, initial)
      })
  }
}
