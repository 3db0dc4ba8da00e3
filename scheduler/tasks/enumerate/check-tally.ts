import { ProtocolError } from '../../errors.ts'
import type { Order } from '../../spaces/index.ts'
import type { Aggregate, AggregateForm, Hit } from './aggregates.ts'
import type { Enumeration, Prefixes } from './driver.ts'

/** Operations whose values have the item beside them. */
export const isFinding = ({ operation }: AggregateForm): boolean =>
  operation === 'min' || operation === 'max' || operation === 'topk'

/**
 * What every right answer holds, and a wrong one must be made to hold: items visited and skipped are those that there
 * are, no aggregate has more than was visited, and each hit is an item from where the worker was asked to look.
 * @param tree with what there is below one prefix of it
 */
export function createTallyCheck(
  { space, aggregates, units, from, to, size }: Enumeration,
  { order, operations }: { order: Order; operations: readonly Aggregate[] },
  tree?: Pick<Prefixes, 'depth' | 'prefixes'> & { below: bigint }
): (value: unknown, level: number, index: number) => void {
  const state = new Int32Array(order.size)
  const again = new Int32Array(order.size)

  /** Its number among the units, in parts of one where those are ranks; NaN for what is no item. */
  function place(item: Int32Array): number {
    if (item.length > order.size || item.some(value => value < 0)) return Number.NaN
    state.fill(0)
    state.set(item)
    if (tree != null) return item.length === order.size && isBelowChoices(item) ? unitOf(item) : Number.NaN
    const rank = order.rank(state)
    if (!(rank >= from && rank < to)) return Number.NaN
    order.unrank(rank, again)
    const isItem = order.lengthOf(again) === item.length && item.every((value, i) => value === again[i])
    return isItem ? (rank - from) / size : Number.NaN
  }
  function isBelowChoices(item: Int32Array): boolean {
    const { choices } = space as { choices: number | readonly number[] }
    return item.every((value, i) => value < (typeof choices === 'number' ? choices : choices[i]!))
  }
  /** Prefixes are in order. */
  function unitOf(item: Int32Array): number {
    const { depth, prefixes } = tree!
    let [low, high] = [0, units - 1]
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (compare(prefixes.subarray(middle * depth, (middle + 1) * depth), item) <= 0) low = middle
      else high = middle - 1
    }
    return compare(prefixes.subarray(low * depth, (low + 1) * depth), item) === 0 ? low : Number.NaN
  }

  return (value, level, index) => {
    const first = index * 2 ** level
    const end = Math.min(units, first + 2 ** level)
    const [visited, skipped, accs] = Array.isArray(value) && value.length === 3 ? value : []
    const length =
      tree == null
        ? Math.min(to, from + end * size) - (from + first * size)
        : tree.below * BigInt(end - first)
    const isWhole =
      Number.isInteger(visited) &&
      visited >= 0 &&
      (tree == null
        ? Number.isInteger(skipped) && skipped >= 0 && visited + skipped === length
        : typeof skipped === 'bigint' && skipped >= 0n && BigInt(visited) + skipped === length)
    if (!isWhole)
      throw new ProtocolError(`a result says ${visited} visited and ${skipped} skipped of ${length} items`)
    const hasAll = Array.isArray(accs) && accs.length === operations.length
    if (!hasAll || !operations.every((operation, i) => operation.isAcc(accs[i], visited)))
      throw new ProtocolError(`a result holds what ${visited} items cannot give`)
    for (const [i, form] of aggregates.entries()) {
      if (!isFinding(form)) continue
      for (const [, item] of accs[i] as Hit[]) {
        const at = place(item)
        if (!(at >= first && at < end))
          throw new ProtocolError(`[${item.subarray(0, 20)}] is not where it was asked for`)
      }
    }
  }
}

/** < 0, 0, > 0: a prefix comes before what the item begins with, is it, comes after. */
function compare(prefix: Int32Array, item: Int32Array): number {
  const at = prefix.findIndex((value, i) => value !== item[i])
  return at < 0 ? 0 : prefix[at]! - item[at]!
}
