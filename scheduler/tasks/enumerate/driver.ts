import { createOrder, ORDERS, type Order, type Space } from '../../spaces/index.ts'
import { type DriverTools, driverSource, expose } from '../drivers.ts'
import { type Combine, foldBlocks } from '../fold-tree.ts'
import { compareKeys, isKey } from '../keys.ts'
import { atHand } from '../reductions.ts'
import { type AggregateForm, createAggregate, type Tools } from './aggregates.ts'

/** What a unit, or a node of the tree over units, gives: how many items were visited and skipped, and the aggregates. */
export type Tally = [visited: number, skipped: number | bigint, accs: unknown[]]

/** Units that are blocks of `size` ranks of [from, to), or with `prefixes` everything below one of them each. */
export interface Enumeration {
  space: Space
  aggregates: AggregateForm[]
  units: number
  from: number
  to: number
  size: number
}
export interface UnitsInput extends Enumeration {
  first: number
  count: number
  /** of these units, one after the other, `depth` entries each */
  prefixes?: Int32Array
  depth?: number
}
/** Gives the prefixes that `prune` leaves, at the first depth with `least` of them, or before there are more than `most`. */
export interface PrefixesInput {
  space: Space
  least: number
  most: number
}
/** `skipped`: items below the prefixes that were pruned */
export interface Prefixes {
  depth: number
  prefixes: Int32Array
  skipped: bigint
}
/** Gives of each hit what its item has; undefined for one that is pruned. */
export interface HitsInput {
  space: Space
  hits: { aggregate: number; item: Int32Array; rank?: number }[]
}

/** How many items of a tree share their first `depth` entries. Self-contained, runs on both sides. */
export function leavesBelow(space: Space, depth: number): bigint {
  const { depth: height, choices } = space as Extract<Space, { type: 'tree' }>
  if (typeof choices === 'number') return BigInt(choices) ** BigInt(height - depth)
  return choices.slice(depth).reduce((product, each) => product * BigInt(each), 1n)
}

/** Runs inside the sandbox; uses only what driverSource() puts beside it. */
function driver(
  task: (item: Int32Array, rank?: number) => unknown,
  functions: Record<string, (...args: never[]) => unknown>,
  context: Record<string, unknown> | undefined,
  { begin, copy }: DriverTools
) {
  expose(context)
  const prune = functions.prune as ((prefix: Int32Array, depth: number) => unknown) | undefined
  let known = ''
  let order: Order
  // the author's code sees a copy: whatever it writes there, the enumeration goes on from the state
  let state = new Int32Array()
  let views: Int32Array[] = []

  function open(space: Space): void {
    const text = JSON.stringify(space)
    if (text === known) return
    order = createOrder(space)
    state = new Int32Array(order.size)
    known = text
    views = []
  }
  /** Nothing that the author does to it shows in the next: it has no bytes beside its entries and takes no properties. */
  function shown(length: number): Int32Array {
    let view = views[length]
    // one whose buffer was transferred has no entries, which an empty one does not tell
    if (length === 0 || view?.length !== length) {
      view = views[length] = new Int32Array(length)
      Object.preventExtensions(view)
      Object.preventExtensions(view.buffer)
    }
    for (let i = 0; i < length; i++) view[i] = state[i]!
    return view
  }
  /** The length of the first prefix of more than `checked` entries that is pruned, else 0. */
  function prunedAt(checked: number, length: number): number {
    for (let depth = checked + 1; depth <= length; depth++) {
      begin(0)
      if (atHand(prune!(shown(depth), depth), 'prune')) return depth
    }
    return 0
  }
  const ofValue = (aggregate: number, value: unknown): unknown => {
    const of = functions[`of${aggregate}`] as ((value: unknown) => unknown) | undefined
    if (of === undefined) return value
    begin(0)
    return atHand(of(value), 'of')
  }
  function units(input: UnitsInput): unknown {
    const { space, aggregates, from, to, size, first, count, prefixes, depth = 0 } = input
    const operations = aggregates.map(createAggregate)
    const isTree = space.type === 'tree'
    const tools: Tools = { take: () => state.slice(0, order.lengthOf(state)), copy }

    function leaf(unit: number): Tally {
      const opened = operations.map(operation => operation.open(tools))
      const [{ add }] = opened as [(typeof opened)[0]]
      const isPlain = opened.length === 1 && functions.of0 === undefined
      const pruned = new Array<number>(state.length + 1).fill(0)
      const start = isTree ? 0 : from + unit * size
      const end = isTree ? Number.POSITIVE_INFINITY : Math.min(start + size, to)
      let rank = start
      if (isTree) {
        state.fill(0)
        state.set(prefixes!.subarray((unit - first) * depth, (unit - first + 1) * depth))
      } else order.unrank(rank, state)
      let visited = 0
      for (let changed = depth; ; ) {
        const length = order.lengthOf(state)
        const cut = prune === undefined ? 0 : prunedAt(changed, length)
        if (cut > 0) {
          pruned[cut]!++
          changed = order.next(state, cut - 1)
          if (!isTree) rank = changed < 0 ? end : order.rank(state)
        } else {
          begin(isTree ? 0 : rank)
          const value = task(shown(length), isTree ? undefined : rank)
          if (typeof value === 'object') atHand(value, 'evaluate')
          if (isPlain) add(value)
          else for (let i = 0; i < opened.length; i++) opened[i]!.add(ofValue(i, value))
          visited++
          rank++
          if (rank >= end) break
          changed = order.next(state, length - 1)
        }
        if (changed < depth || rank >= end) break
      }
      const skipped = isTree
        ? pruned.reduce(
            (sum, times, at) => (times === 0 ? sum : sum + BigInt(times) * leavesBelow(space, at)),
            0n
          )
        : end - start - visited
      return [visited, skipped, opened.map(({ close }) => close())]
    }
    const combine: Combine<Tally> = (left, right) => [
      left[0] + right[0],
      // both are numbers or both are bigints
      (left[1] as number) + (right[1] as number),
      operations.map((operation, i) => operation.combine(left[2][i], right[2][i]))
    ]
    const nodes = foldBlocks(input.units, first, count, leaf, combine)
    const at = nodes.map(([, , [, , accs]]) => accs.indexOf(null)).find(index => index >= 0)
    if (at === undefined) return nodes
    // not the author's code failed: what it gave is no result, which is found out when it is encoded
    return {
      get result() {
        throw new RangeError(operations[at]!.excess)
      }
    }
  }

  /** Level by level: what is left of a level of a tree that is pruned well fits into memory. */
  function prefixesOf({ space, least, most }: PrefixesInput): Prefixes {
    const choices = (space as { choices: number | number[] }).choices
    let prefixes = new Int32Array()
    let [depth, found, skipped] = [0, 1, 0n]
    while (depth < state.length && found < least) {
      const radix = typeof choices === 'number' ? choices : choices[depth]!
      if (found * radix > most) break
      const left: number[] = []
      let dropped = 0
      for (let i = 0; i < found; i++)
        for (let value = 0; value < radix; value++) {
          state.set(prefixes.subarray(i * depth, (i + 1) * depth))
          state[depth] = value
          if (prune !== undefined && prunedAt(depth, depth + 1) > 0) dropped++
          else for (let at = 0; at <= depth; at++) left.push(state[at]!)
        }
      depth++
      prefixes = Int32Array.from(left)
      found = left.length / depth
      skipped += BigInt(dropped) * leavesBelow(space, depth)
    }
    return { depth, prefixes, skipped }
  }

  function valuesOf({ hits }: HitsInput): unknown[] {
    return hits.map(({ aggregate, item, rank }) => {
      state.set(item)
      if (prune !== undefined && prunedAt(0, item.length) > 0) return undefined
      begin(rank ?? 0)
      return ofValue(aggregate, task(shown(item.length), rank))
    })
  }

  return (input: UnitsInput | PrefixesInput | HitsInput): unknown => {
    open(input.space)
    return 'hits' in input ? valuesOf(input) : 'least' in input ? prefixesOf(input) : units(input)
  }
}

export const DRIVER = driverSource(driver, {
  ...ORDERS,
  expose,
  atHand,
  foldBlocks,
  leavesBelow,
  isKey,
  compareKeys,
  createAggregate
})
