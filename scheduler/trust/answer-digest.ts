import { type Leaf, merkleTree } from '../../ledger/index.ts'
import { encodeValue, type Failure } from '../../sandbox/index.ts'
import { argumentAt, head, itemEnds, itemsOf } from '../data/value-bytes.ts'

/** What a slice gave: one value for all its units, or one per task of a batch. */
export type Outcomes = (Uint8Array | Failure)[]

// A tree of more leaves costs more than it tells: items of larger answers share leaves.
const MAX_LEAVES = 256

/**
 * What a worker signs of its answer: the root of a Merkle tree (RFC 6962) over the answer's items, in at most 256
 * leaves of the same number of items. A leaf is what the answer to these items alone would be. Items are the elements
 * of a list, the bytes of a byte string, or the outcomes of a batch; anything else is one item.
 */
export function digestOf(outcomes: Outcomes): Uint8Array {
  return merkleTree(leavesOf(outcomes)).root
}

function leavesOf(outcomes: Outcomes): Leaf[] {
  const [value] = outcomes
  if (outcomes.length > 1 || !(value instanceof Uint8Array))
    return inLeaves(outcomes.length, (from, to) => leafOf(outcomes.slice(from, to)))
  const major = (value[0] ?? 0) >> 5
  if (major === 4) {
    const ends = itemEnds(value)
    if (ends != null && ends.length > 1)
      return inLeaves(ends.length, (from, to) => [head(4, to - from), itemsOf(value, ends, from, to - from)])
  }
  if (major === 2) {
    const bytes = value.subarray(argumentAt(value, 0).next)
    if (bytes.length > 1)
      return inLeaves(bytes.length, (from, to) => [head(2, to - from), bytes.subarray(from, to)])
  }
  return [value]
}

const leafOf = (outcomes: Outcomes): Uint8Array =>
  outcomes.length === 1 && outcomes[0] instanceof Uint8Array ? outcomes[0] : encodeValue(outcomes)

function inLeaves(items: number, leaf: (from: number, to: number) => Leaf): Leaf[] {
  const size = Math.ceil(items / MAX_LEAVES)
  return Array.from({ length: Math.ceil(items / size) }, (_, i) =>
    leaf(i * size, Math.min(items, (i + 1) * size))
  )
}
