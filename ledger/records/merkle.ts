import { HASH_BYTES, sha256 } from './keys.ts'

/** Path of the largest tree that is accepted: 2^32 leaves. */
export const MAX_PATH = 32

/** A leaf as its bytes, or in pieces that are it one after the other. */
export type Leaf = Uint8Array | readonly Uint8Array[]

// Leaves up to here are put together in one place: memory that is there already costs a third of what is new.
const SCRATCH_BYTES = 2 * 1024 * 1024
let scratch = new Uint8Array(4096)

/** RFC 6962: leaves and nodes are hashed apart, so that no node can be shown as a leaf. */
function leafHash(leaf: Leaf): Uint8Array {
  const pieces = leaf instanceof Uint8Array ? [leaf] : leaf
  const size = pieces.reduce((sum, { length }) => sum + length, 1)
  const bytes = size <= scratch.length ? scratch : new Uint8Array(size)
  if (size > scratch.length && size <= SCRATCH_BYTES) scratch = bytes
  bytes[0] = 0
  let at = 1
  for (const piece of pieces) {
    bytes.set(piece, at)
    at += piece.length
  }
  return sha256(bytes.subarray(0, size))
}

const node = Uint8Array.of(1, ...new Uint8Array(2 * HASH_BYTES))

function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  node.set(left, 1)
  node.set(right, 1 + HASH_BYTES)
  return sha256(node)
}

export interface MerkleTree {
  root: Uint8Array
  /** hashes beside the way from leaf `index` to the root, lowest first */
  path(index: number): Uint8Array[]
}

/** Merkle tree hash of RFC 6962, section 2.1: an odd node moves up unpaired. At least one leaf. */
export function merkleTree(leaves: readonly Leaf[]): MerkleTree {
  if (leaves.length === 0) throw new RangeError('a Merkle tree needs a leaf')
  const levels = [leaves.map(leafHash)]
  for (let level = levels[0]!; level.length > 1; levels.push(level)) {
    const above: Uint8Array[] = []
    for (let i = 0; i < level.length; i += 2)
      above.push(i + 1 < level.length ? nodeHash(level[i]!, level[i + 1]!) : level[i]!)
    level = above
  }
  return {
    root: levels.at(-1)![0]!,
    path: index => {
      if (!(index >= 0 && index < leaves.length)) throw new RangeError(`no leaf ${index} of ${leaves.length}`)
      const path: Uint8Array[] = []
      let at = index
      for (const level of levels.slice(0, -1)) {
        const sibling = level[at ^ 1]
        if (sibling != null) path.push(sibling)
        at >>= 1
      }
      return path
    }
  }
}

/** The root that a leaf at `index` of `count` and its path lead to, or nothing when the path has the wrong length. */
export function rootOf(
  leaf: Uint8Array,
  index: number,
  count: number,
  path: Uint8Array[]
): Uint8Array | undefined {
  if (!(index >= 0 && index < count) || path.length > MAX_PATH) return undefined
  let hash = leafHash(leaf)
  let at = index
  let used = 0
  for (let last = count - 1; last > 0; last = Math.floor(last / 2)) {
    const isUnpaired = at === last && at % 2 === 0
    if (!isUnpaired) {
      const sibling = path[used++]
      if (sibling?.length !== HASH_BYTES) return undefined
      hash = at % 2 === 0 ? nodeHash(hash, sibling) : nodeHash(sibling, hash)
    }
    at = Math.floor(at / 2)
  }
  return used === path.length ? hash : undefined
}
