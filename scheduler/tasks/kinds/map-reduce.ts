import type { Plan } from '../contract.ts'
import {
  createChance,
  driverSource,
  encodeContext,
  expectAcc,
  expose,
  inOrder,
  type ReduceInput,
  type TreeReducer,
  treeReducer
} from '../drivers.ts'
import { blockSize, createTree, foldBlocks, mergeNodes, type TreeNode } from '../fold-tree.ts'
import { createReduction, type Reduction } from '../reductions.ts'
import type { MapReduceSpec, Operation } from '../schema.ts'

interface Input extends ReduceInput {
  items: unknown[]
  size: number
  blocks: number
  operation: Operation
  /** give groups cut into this many partitions by their keys (shuffle.ts) */
  partitions?: number
  /** beside `merge`, one partition of what slices gave */
  parts?: PartitionPart[]
  /** the number of the partition that is reduced */
  partition?: number
}

export type Key = string | number | boolean | bigint
export type Pair = [key: Key, value: unknown]

/** What a tree node carries: one accumulator per key, or a single one when `map` gives plain values. */
export type Group = { groups: Pair[] } | { one: unknown }

/** Of a slice's tree nodes, in their order, the groups that belong to one partition. */
export type Partition = Pair[][]
export type PartitionPart = [first: number, count: number, partition: Partition]

/**
 * Grouped folding. Self-contained, it runs on both sides.
 * A mapped value is a pair `[key, value]`, a list of such pairs (a document's words), or a plain value.
 */
export function createGrouping({ lift, fold, combine, isAcc, finish }: Reduction) {
  const isKey = (key: unknown): key is Key =>
    typeof key === 'string' || typeof key === 'number' || typeof key === 'boolean' || typeof key === 'bigint'
  const isPair = (value: unknown): value is Pair =>
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
    const put = ([key, value]: Pair): void => {
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

  /** Keys in a fixed order: by type, then by value (strings by UTF-16 code unit, NaN after all numbers). */
  function byKey([a]: Pair, [b]: Pair): number {
    if (typeof a !== typeof b) return typeof a < typeof b ? -1 : 1
    return a < b ? -1 : a > b ? 1 : Number(Number.isNaN(a)) - Number(Number.isNaN(b))
  }

  /** Which of the partitions a key belongs to: FNV-1a over its type and text, mixed until every bit has a say. */
  function partitionOf(key: Key, partitions: number): number {
    const text = `${typeof key} ${key}`
    let hash = 0x811c9dc5
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
    return ((hash ^ (hash >>> 12)) >>> 0) % partitions
  }

  /** Groups of tree nodes by the partition of their keys; nothing where there are plain values. */
  function cut(nodes: TreeNode<Group>[], partitions: number): { cut: Partition[] } | undefined {
    const parts = Array.from({ length: partitions }, (): Partition => nodes.map(() => []))
    for (const [i, [, , group]] of nodes.entries()) {
      if ('one' in group) return
      for (const pair of group.groups) parts[partitionOf(pair[0], partitions)]![i]!.push(pair)
    }
    return { cut: parts }
  }

  /** The tree nodes of one partition again. Throws for what `cut` cannot have given. */
  function uncut(blocks: number, [first, count, partition]: PartitionPart): TreeNode<Group>[] {
    const nodes = foldBlocks<unknown>(
      blocks,
      first,
      count,
      () => undefined,
      () => undefined
    )
    if (!Array.isArray(partition) || partition.length !== nodes.length)
      throw new TypeError(`the groups of ${count} blocks from ${first} on are not of ${nodes.length} nodes`)
    return nodes.map(([level, index], i): TreeNode<Group> => {
      const group: Group = { groups: partition[i]! }
      if (!isGroup(group)) throw new TypeError('a list of groups holds something else')
      return [level, index, group]
    })
  }

  function finishGroups(root: Group | undefined, initial: unknown): unknown {
    if (root == null || 'one' in root) return finish(root?.one, initial)
    return root.groups.map(([key, acc]): Pair => [key, finish(acc, initial)]).sort(byKey)
  }

  /** true for what foldAll can give: a worker's answer may be anything */
  function isGroup(group: unknown): boolean {
    if (typeof group !== 'object' || group === null) return false
    if ('one' in group) return isAcc(group.one)
    const pairs = (group as { groups?: unknown }).groups
    return Array.isArray(pairs) && pairs.every(pair => isPair(pair) && isAcc(pair[1]))
  }

  return { foldAll, combineGroups, isGroup, isPair, finishGroups, byKey, partitionOf, cut, uncut }
}

/** Runs inside the sandbox; uses only what driverSource() puts beside it. */
function driver(
  task: (item: unknown, index: number) => unknown,
  functions: { reduce?: (a: unknown, b: unknown) => unknown },
  context: Record<string, unknown> | undefined
) {
  expose(context)
  const reseed = createChance()
  return (input: Input): unknown => {
    const { items, size, blocks, operation, first, merge, initial, whole, partitions, partition } = input
    const { foldAll, combineGroups, finishGroups, cut, uncut } = createGrouping(
      createReduction(operation, false, functions.reduce)
    )
    // what ran in this process before must not show in the chance that `reduce` has
    if (partition != null) reseed(blocks * size + partition)
    const reduce = (values: unknown[]): unknown => {
      const leaf = (block: number): Group =>
        foldAll(values.slice((block - first) * size, (block - first + 1) * size))
      const nodes =
        merge == null
          ? foldBlocks(blocks, first, Math.ceil(items.length / size), leaf, combineGroups)
          : mergeNodes(blocks, [...(merge as TreeNode<Group>[]), ...parts()], combineGroups)
      if (whole) return finishGroups(nodes[0]?.[2], initial)
      return (partitions && cut(nodes, partitions)) || nodes
    }
    const parts = (): TreeNode<Group>[] => (input.parts ?? []).flatMap(part => uncut(blocks, part))
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

export interface MapReducePlan extends Plan {
  input(first: number, count: number): Input
  createReducer(): TreeReducer
}

/** A unit is a block of `size` items. The result is a list of `[key, value]` sorted by key, or one value. */
export function planMapReduce(spec: MapReduceSpec): MapReducePlan {
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
