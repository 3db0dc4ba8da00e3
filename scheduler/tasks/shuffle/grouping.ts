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

/** A group while it is calculated with: each key by the number that createGrouping gave it, with its accumulator. */
export type Held = KeyedGroup | { one: unknown }
export type KeyedGroup = { ids: number[]; accs: unknown[] }

export type Grouping = ReturnType<typeof createGrouping>

/** Of a slice's tree nodes, in their order, the groups that belong to one partition. */
export type Partition = Pair[][]
export type PartitionPart = [first: number, count: number, partition: Partition]

/** A plan whose slices give groups, as far as it is known here. */
export interface GroupingPlan extends Plan {
  operation: Operation
  initial: unknown
  /** its numbers of keys are those of the reducer */
  grouping: Grouping
  input(first: number, count: number): object
  createReducer(): TreeReducer<Held>
}

/**
 * Grouped folding. It runs on both sides; uses only `atHand`, `isKey`, `compareKeys` and `foldBlocks` beside it.
 * A mapped value is a pair `[key, value]`, a list of such pairs (a document's words), or a plain value.
 * `grouped` says which: true for pairs, false for plain values; undefined: as the first one is.
 * `begin` is told before values are taken, and before two meet that `copy` is there for: where in the tree, and a hash of
 * their key. `copy`: of what the author's own `reduce` gave, for it may hold what is held elsewhere as well.
 *
 * A key is looked up once where it comes in and is a number from then on: combining costs no hashing and no allocation.
 */
export function createGrouping(
  { lift, fold, combine, weight, isAcc, finish }: Reduction,
  grouped: boolean | undefined,
  { begin = () => {}, copy }: Partial<Pick<DriverTools, 'begin' | 'copy'>> = {}
) {
  const meet = copy === undefined ? () => {} : begin
  const alone = copy ?? ((acc: unknown) => acc)
  const allAlone = (accs: unknown[]): unknown[] => (copy === undefined ? accs : accs.map(copy))
  const numbers = new Map<Key, number>()
  const keys: Key[] = []
  const hashes: (number | undefined)[] = []
  /** by number: one more than the place of the key in the group at hand, else 0 */
  const places: number[] = []

  const isPair = (value: unknown): value is Pair =>
    Array.isArray(value) && value.length === 2 && isKey(value[0])
  const mixed = (): never => {
    throw new TypeError(
      'map gave [key, value] pairs for some items and plain values for others; give the same form for all'
    )
  }

  function numberOf(key: Key): number {
    const known = numbers.get(key)
    if (known !== undefined) return known
    numbers.set(key, keys.length)
    places.push(0)
    hashes.push(undefined)
    return keys.push(key === 0 ? 0 : key) - 1 // -0 is the same key
  }

  const hashAt = (id: number): number => {
    const known = hashes[id]
    if (known !== undefined) return known
    const hash = hashOf(keys[id]!)
    hashes[id] = hash
    return hash
  }

  /** Takes the mapped values of one block as they come, left to right. */
  function createFold() {
    const ids: number[] = []
    const accs: unknown[] = []
    let one: unknown
    let plain = 0
    let pairs = 0
    const put = (pair: Pair, at: number, nth: number): void => {
      const id = numberOf(pair[0])
      const place = places[id]! - 1
      if (place < 0) {
        places[id] = ids.push(id)
        accs.push(lift(pair[1]))
        return
      }
      if (copy) begin(at, FOLD + nth, hashAt(id))
      accs[place] = fold(accs[place], pair[1])
    }
    return {
      add(value: unknown, at: number): void {
        begin(at, FOLD)
        if (grouped !== false && isPair(value)) {
          pairs++
          put(value, at, 0)
        } else if (grouped !== false && Array.isArray(value) && value.every(isPair)) {
          pairs++
          for (let nth = 0; nth < value.length; nth++) put(value[nth]!, at, nth)
        } else if (grouped) {
          atHand(value, 'map')
          throw new TypeError('map must give [key, value] pairs, or lists of them, where `grouped` is true')
        } else {
          one = plain++ === 0 ? lift(value) : fold(one, value)
        }
      },
      end(): Held {
        for (const id of ids) places[id] = 0
        if (pairs > 0 && plain > 0) mixed()
        return plain > 0 ? { one: alone(one) } : { ids, accs: allAlone(accs) }
      }
    }
  }

  /** Takes `right` into `left`, which is used up by it. */
  function combineGroups(left: Held, right: Held, level = 0, index = 0): Held {
    if ('one' in left && 'one' in right) {
      meet(index, level)
      return { one: alone(combine(left.one, right.one)) }
    }
    if ('one' in left || 'one' in right) return mixed()
    const { ids, accs } = left
    for (let i = 0; i < ids.length; i++) places[ids[i]!] = i + 1
    for (let i = 0; i < right.ids.length; i++) {
      const id = right.ids[i]!
      const place = places[id]! - 1
      if (place < 0) {
        places[id] = ids.push(id)
        accs.push(right.accs[i])
      } else {
        if (copy) begin(index, level, hashAt(id))
        accs[place] = alone(combine(accs[place], right.accs[i]))
      }
    }
    for (const id of ids) places[id] = 0
    return left
  }

  /**
   * The nodes over the blocks from `first` on, of which these are the groups. Where no order of combining shows, each is
   * made of its blocks at once: the tree would touch every key on each of its levels.
   */
  function foldGroups(blocks: number, first: number, leaves: Held[]): TreeNode<Held>[] {
    if (!isAnyOrder(leaves))
      return foldBlocks(blocks, first, leaves.length, block => leaves[block - first]!, combineGroups)
    const nodes = foldBlocks<unknown>(
      blocks,
      first,
      leaves.length,
      () => undefined,
      () => undefined
    )
    return nodes.map(([level, index]) => {
      const from = index * 2 ** level - first
      return [level, index, join(leaves.slice(from, from + 2 ** level))]
    })
  }

  function isAnyOrder(leaves: Held[]): leaves is KeyedGroup[] {
    let sum = weight === undefined ? Number.NaN : 0
    for (let n = 0; n < leaves.length && !Number.isNaN(sum); n++) {
      const leaf = leaves[n]!
      if ('one' in leaf) return false
      for (let i = 0; i < leaf.accs.length; i++) sum += weight!(leaf.accs[i])
    }
    return sum <= Number.MAX_SAFE_INTEGER
  }

  /** Keys in the order in which they come first, as in the tree. */
  function join(leaves: KeyedGroup[]): KeyedGroup {
    const ids: number[] = []
    const accs: unknown[] = []
    for (const leaf of leaves)
      for (let i = 0; i < leaf.ids.length; i++) {
        const id = leaf.ids[i]!
        const place = places[id]! - 1
        if (place >= 0) accs[place] = combine(accs[place], leaf.accs[i])
        else {
          places[id] = ids.push(id)
          accs.push(leaf.accs[i])
        }
      }
    for (const id of ids) places[id] = 0
    return { ids, accs }
  }

  /** As it travels. */
  const give = (group: Held): Group =>
    'one' in group ? group : { groups: group.ids.map((id, i): Pair => [keys[id]!, group.accs[i]]) }

  /** What travelled, which isGroup was asked about. */
  const take = (group: Group): Held =>
    'one' in group
      ? group
      : { ids: group.groups.map(([key]) => numberOf(key)), accs: group.groups.map(pair => pair[1]) }

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

  /** Groups of tree nodes, as they travel, by the partition of their keys; nothing where there are plain values. */
  function cut(nodes: TreeNode<Held>[], partitions: number): { cut: Partition[] } | undefined {
    const parts = Array.from({ length: partitions }, (): Partition => nodes.map(() => []))
    for (const [n, [, , group]] of nodes.entries()) {
      if ('one' in group) return
      for (const [i, id] of group.ids.entries())
        parts[hashAt(id) % partitions]![n]!.push([keys[id]!, group.accs[i]])
    }
    return { cut: parts }
  }

  /** The tree nodes of one partition again. Throws for what `cut` cannot have given. */
  function uncut(blocks: number, [first, count, partition]: PartitionPart): TreeNode<Held>[] {
    const nodes = foldBlocks<unknown>(
      blocks,
      first,
      count,
      () => undefined,
      () => undefined
    )
    if (!Array.isArray(partition) || partition.length !== nodes.length)
      throw new TypeError(`the groups of ${count} blocks from ${first} on are not of ${nodes.length} nodes`)
    return nodes.map(([level, index], i): TreeNode<Held> => {
      const group: Group = { groups: partition[i]! }
      if (!isGroup(group)) throw new TypeError('a list of groups holds something else')
      return [level, index, take(group)]
    })
  }

  function finishGroups(root: Held | undefined, initial: unknown): unknown {
    if (root == null && grouped) return []
    if (root == null || 'one' in root) {
      begin(0, INITIAL)
      return finish(root?.one, initial)
    }
    const ended = root.ids.map((id, i): Pair => {
      if (initial !== undefined) begin(0, INITIAL, hashAt(id))
      return [keys[id]!, finish(root.accs[i], initial)]
    })
    return ended.sort(byKey)
  }

  /** true for what travels of a group: a worker's answer may be anything */
  function isGroup(group: unknown): group is Group {
    if (typeof group !== 'object' || group === null) return false
    if ('one' in group) return grouped !== true && isAcc(group.one)
    if (grouped === false) return false
    const pairs = (group as { groups?: unknown }).groups
    return Array.isArray(pairs) && pairs.every(pair => isPair(pair) && isAcc(pair[1]))
  }

  return {
    createFold,
    foldGroups,
    combineGroups,
    give,
    take,
    isGroup,
    isPair,
    finishGroups,
    byKey,
    partitionOf,
    cut,
    uncut
  }
}
