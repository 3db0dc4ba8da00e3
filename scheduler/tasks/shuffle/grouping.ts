import type { Plan } from '../contract.ts'
import { type DriverTools, LEVEL } from '../drivers.ts'
import type { TreeNode } from '../fold-tree.ts'
import { foldBlocks } from '../fold-tree.ts'
import { compareKeys, isKey, type Key } from '../keys.ts'
import type { TreeReducer } from '../reducers.ts'
import { atHand, type Operation, type Reduction } from '../reductions.ts'

const { fold: FOLD, initial: INITIAL } = LEVEL

export type Pair = [key: Key, value: unknown]

/** What a tree node carries: one accumulator per key, or a single one when `map` gives plain values. */
export type Group = { groups: Pair[] } | { one: unknown }

/** Of a slice's tree nodes, in their order, the groups that belong to one partition. */
export type Partition = Pair[][]
export type PartitionPart = [first: number, count: number, partition: Partition]

/** A plan whose slices give groups, as far as it is known here. */
export interface GroupingPlan extends Plan {
  operation: Operation
  initial: unknown
  /** as createGrouping takes it */
  grouped?: boolean
  input(first: number, count: number): object
  createReducer(): TreeReducer
}

/**
 * Grouped folding. It runs on both sides; uses only `atHand`, `isKey` and `compareKeys` beside it.
 * A mapped value is a pair `[key, value]`, a list of such pairs (a document's words), or a plain value.
 * `grouped` says which: true for pairs, false for plain values; undefined: as the first one is.
 * `begin` is told before values are taken, and before two meet that `copy` is there for: where in the tree, and a hash of
 * their key. `copy`: of what the author's own `reduce` gave, for it may hold what is held elsewhere as well.
 */
export function createGrouping(
  { lift, fold, combine, isAcc, finish }: Reduction,
  grouped: boolean | undefined,
  { begin = () => {}, copy }: Partial<Pick<DriverTools, 'begin' | 'copy'>> = {}
) {
  const meet = copy === undefined ? () => {} : begin
  const alone = copy ?? ((acc: unknown) => acc)
  const isPair = (value: unknown): value is Pair =>
    Array.isArray(value) && value.length === 2 && isKey(value[0])
  const mixed = (): never => {
    throw new TypeError(
      'map gave [key, value] pairs for some items and plain values for others; give the same form for all'
    )
  }

  /** Folds mapped values, left to right; `from` is the place of the first. */
  function foldAll(values: unknown[], from = 0): Group {
    const groups = new Map<Key, unknown>()
    let one: unknown
    let plain = 0
    let pairs = 0
    let at = from - 1
    const put = ([key, value]: Pair, nth: number): void => {
      if (copy && groups.has(key)) begin(at, FOLD + nth, hashOf(key))
      groups.set(key, groups.has(key) ? fold(groups.get(key), value) : lift(value))
    }
    for (const value of values) {
      at++
      begin(at, FOLD)
      if (grouped !== false && isPair(value)) {
        pairs++
        put(value, 0)
      } else if (grouped !== false && Array.isArray(value) && value.every(isPair)) {
        pairs++
        value.forEach(put)
      } else if (grouped) {
        atHand(value, 'map')
        throw new TypeError('map must give [key, value] pairs, or lists of them, where `grouped` is true')
      } else {
        one = plain++ === 0 ? lift(value) : fold(one, value)
      }
    }
    if (pairs > 0 && plain > 0) mixed()
    if (plain > 0) return { one: alone(one) }
    return { groups: Array.from(groups, ([key, acc]): Pair => [key, alone(acc)]) }
  }

  function combineGroups(left: Group, right: Group, level = 0, index = 0): Group {
    if ('one' in left && 'one' in right) {
      meet(index, level)
      return { one: alone(combine(left.one, right.one)) }
    }
    if ('one' in left || 'one' in right) return mixed()
    const groups = new Map(left.groups)
    for (const [key, value] of right.groups) {
      if (copy && groups.has(key)) begin(index, level, hashOf(key))
      groups.set(key, groups.has(key) ? alone(combine(groups.get(key), value)) : value)
    }
    return { groups: [...groups] }
  }

  const byKey = ([a]: Pair, [b]: Pair): number => compareKeys(a, b)

  /** FNV-1a over its type and text, mixed until every bit has a say; 32 bits. */
  function hashOf(key: Key): number {
    const text = `${typeof key} ${key}`
    let hash = 0x811c9dc5
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
    return (hash ^ (hash >>> 12)) >>> 0
  }

  /** Which of the partitions a key belongs to. */
  const partitionOf = (key: Key, partitions: number): number => hashOf(key) % partitions

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
    if (root == null && grouped) return []
    if (root == null || 'one' in root) {
      begin(0, INITIAL)
      return finish(root?.one, initial)
    }
    const ended = root.groups.map(([key, acc]): Pair => {
      if (initial !== undefined) begin(0, INITIAL, hashOf(key))
      return [key, finish(acc, initial)]
    })
    return ended.sort(byKey)
  }

  /** true for what foldAll can give: a worker's answer may be anything */
  function isGroup(group: unknown): boolean {
    if (typeof group !== 'object' || group === null) return false
    if ('one' in group) return grouped !== true && isAcc(group.one)
    if (grouped === false) return false
    const pairs = (group as { groups?: unknown }).groups
    return Array.isArray(pairs) && pairs.every(pair => isPair(pair) && isAcc(pair[1]))
  }

  return { foldAll, combineGroups, isGroup, isPair, finishGroups, byKey, partitionOf, cut, uncut }
}
