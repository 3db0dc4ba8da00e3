import { countRanks } from './count.ts'
import { createOrder, type Order, type Space } from './space.ts'

export { checkSpace, count, countRanks, MAX_ELEMENTS, MAX_LENGTH } from './count.ts'
export { createOrder, ORDERS, type Order, type Space } from './space.ts'

/** Throws RangeError for a space without exact ranks. */
function orderOf(space: Space): { order: Order; total: number } {
  const total = countRanks(space)
  if (total == null) throw new RangeError('a space of more than 2^53 items has no exact ranks')
  return { order: createOrder(space), total }
}

/**
 * The item of a rank, which is the number of items before it in lexicographic order. Throws RangeError for a rank that
 * the space does not have, and for a space of more than 2^53 items.
 */
export function unrank(space: Space, rank: number): Int32Array {
  const { order, total } = orderOf(space)
  if (!Number.isInteger(rank) || rank < 0 || rank >= total)
    throw new RangeError(`rank must be an integer from 0 to ${total - 1}, got ${rank}`)
  return itemAt(order, rank)
}

function itemAt(order: Order, rank: number): Int32Array {
  const state = new Int32Array(order.size)
  order.unrank(rank, state)
  return state.slice(0, order.lengthOf(state))
}

/** How many items are before this one. Throws RangeError for what is no item of the space. */
export function rank(space: Space, item: ArrayLike<number>): number {
  const { order, total } = orderOf(space)
  const state = new Int32Array(order.size)
  if (item.length <= order.size) state.set(item)
  const found = item.length <= order.size && state.every(value => value >= 0) ? order.rank(state) : Number.NaN
  const isItem = found >= 0 && found < total && String(itemAt(order, found)) === String(Array.from(item))
  if (!isItem) throw new RangeError(`[${Array.from(item)}] is no item of ${JSON.stringify(space)}`)
  return found
}

/**
 * The items of the ranks [from, to) in order, each a new array. Throws RangeError as unrank does.
 * @param to default: the end
 */
export function* iterate(space: Space, from = 0, to?: number): Generator<Int32Array> {
  const { order, total } = orderOf(space)
  const end = Math.min(to ?? total, total)
  if (!Number.isInteger(from) || from < 0) throw new RangeError(`from must be an integer from 0, got ${from}`)
  if (from >= end) return
  const state = new Int32Array(order.size)
  order.unrank(from, state)
  for (let at = from; ; ) {
    const length = order.lengthOf(state)
    yield state.slice(0, length)
    if (++at >= end) return
    order.next(state, length - 1)
  }
}
