import { merkleTree } from '../../ledger/index.ts'
import { encodeValue, type Failure } from '../../sandbox/index.ts'
import { ProtocolError } from '../errors.ts'
import { arrayHead, encodeArray } from '../tasks/drivers.ts'

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

function leavesOf(outcomes: Outcomes): Uint8Array[] {
  const [value] = outcomes
  if (outcomes.length > 1 || !(value instanceof Uint8Array))
    return inLeaves(outcomes.length, (from, to) => leafOf(outcomes.slice(from, to)))
  const major = (value[0] ?? 0) >> 5
  if (major === 4) {
    const ends = itemEnds(value)
    if (ends != null && ends.length > 1)
      return inLeaves(ends.length, (from, to) => cutList(value, ends, from, to - from))
  }
  if (major === 2) {
    const bytes = value.subarray(argumentAt(value, 0).next)
    if (bytes.length > 1) return inLeaves(bytes.length, (from, to) => encodeValue(bytes.subarray(from, to)))
  }
  return [value]
}

const leafOf = (outcomes: Outcomes): Uint8Array =>
  outcomes.length === 1 && outcomes[0] instanceof Uint8Array ? outcomes[0] : encodeValue(outcomes)

function inLeaves(items: number, leaf: (from: number, to: number) => Uint8Array): Uint8Array[] {
  const size = Math.ceil(items / MAX_LEAVES)
  return Array.from({ length: Math.ceil(items / size) }, (_, i) =>
    leaf(i * size, Math.min(items, (i + 1) * size))
  )
}

/** The bytes of each element of a list; nothing where the bytes are no list. */
export function listItems(list: Uint8Array): Uint8Array[] | undefined {
  return itemEnds(list)?.map((end, i, ends) =>
    list.subarray(i === 0 ? arrayHead(list).size : ends[i - 1], end)
  )
}

/** Elements [first, first + count) of a list in canonical bytes, as a list. Throws ProtocolError where there are none. */
export function listPart(list: Uint8Array, first: number, count: number): Uint8Array {
  const ends = itemEnds(list)
  if (ends == null || first + count > ends.length)
    throw new ProtocolError(`a result is no list with the items ${first} to ${first + count - 1}`)
  return cutList(list, ends, first, count)
}

function cutList(list: Uint8Array, ends: number[], first: number, count: number): Uint8Array {
  const from = first === 0 ? arrayHead(list).size : ends[first - 1]!
  return encodeArray(count, [list.subarray(from, ends[first + count - 1])])
}

/** The number in the head of a canonical value, and where the head ends. */
function argumentAt(bytes: Uint8Array, at: number): { n: number; next: number } {
  const info = bytes[at]! & 31
  if (info < 24) return { n: info, next: at + 1 }
  const next = at + 1 + (info < 28 ? 1 << (info - 24) : 0)
  let n = 0
  for (let i = at + 1; i < next; i++) n = n * 256 + (bytes[i] ?? 0)
  return { n, next }
}

/** Where each element of a list ends; nothing where the bytes are no list. What an element holds is not looked at. */
function itemEnds(list: Uint8Array): number[] | undefined {
  if (list.length === 0 || list[0]! >> 5 !== 4) return
  const { n: length, next } = argumentAt(list, 0)
  if (length > list.length) return
  const ends: number[] = []
  let at = next
  while (ends.length < length) {
    for (let open = 1; open > 0; open--) {
      if (at >= list.length) return
      const major = list[at]! >> 5
      const head = argumentAt(list, at)
      at = head.next
      if (major === 2 || major === 3) at += head.n
      else if (major === 4) open += head.n
      else if (major === 5) open += 2 * head.n
      else if (major === 6) open++
    }
    if (at > list.length) return
    ends.push(at)
  }
  return at === list.length ? ends : undefined
}
