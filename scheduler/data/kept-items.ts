import { decodeValue, encodeValue } from '../../sandbox/index.ts'
import { ProtocolError } from '../errors.ts'
import { CHUNK_BYTES, digestOfBlock } from './chunked-data.ts'
import { arrayHead, itemEnds } from './value-bytes.ts'

/*
 * The results of a slice that stay at its worker. They are cut between items into chunks of at most a block, so that
 * whoever needs some of them fetches hardly more; an item of more than a block is a chunk of several.
 */

/** So many items, the bytes of their canonical values one after the other, and the SHA-256 of each block of these. */
export type KeptChunk = [items: number, size: number, digests: Uint8Array]

/** the blocks of a chunk and what they hold of it */
export function blocksOfChunk([, size, digests]: KeptChunk): {
  block: Uint8Array
  from: number
  to: number
}[] {
  return Array.from({ length: digests.length / 32 }, (_, i) => ({
    block: digests.subarray(i * 32, (i + 1) * 32),
    from: 0,
    to: Math.min(CHUNK_BYTES, size - i * CHUNK_BYTES)
  }))
}

/**
 * What is sent in place of a list, and the blocks that stay. Both depend on nothing but the list, so that the answers of
 * honest workers are equal. Throws ProtocolError for what is no list.
 */
export function keepItems(list: Uint8Array): {
  value: Uint8Array
  blocks: [digest: Uint8Array, block: Uint8Array][]
} {
  const ends = itemEnds(list)
  if (ends == null) throw new ProtocolError('what is to be kept is no list')
  const blocks: [Uint8Array, Uint8Array][] = []
  const kept: KeptChunk[] = []
  let from = arrayHead(list).size
  for (let first = 0; first < ends.length; ) {
    let count = 1
    while (first + count < ends.length && ends[first + count]! - from <= CHUNK_BYTES) count++
    const to = ends[first + count - 1]!
    const digests: Uint8Array[] = []
    for (let at = from; at < to; at += CHUNK_BYTES) {
      const block = list.subarray(at, Math.min(to, at + CHUNK_BYTES))
      const digest = digestOfBlock(block)
      blocks.push([digest, block])
      digests.push(digest)
    }
    kept.push([count, to - from, Buffer.concat(digests)])
    first += count
    from = to
  }
  return { value: keptAnswer(kept), blocks }
}

/** The answer to a slice whose results stayed. */
export const keptAnswer = (kept: KeptChunk[]): Uint8Array => encodeValue({ kept })

/** Throws ProtocolError for an answer that does not say what stayed. */
export function readKeptAnswer(answer: Uint8Array): KeptChunk[] {
  const { kept } = Object(decodeValue(answer)) as { kept?: unknown }
  if (!Array.isArray(kept) || !kept.every(isChunk))
    throw new ProtocolError('a result has no sizes and digests of what was kept')
  return kept
}

export function isChunk(chunk: unknown): chunk is KeptChunk {
  if (!Array.isArray(chunk) || chunk.length !== 3) return false
  const [items, size, digests] = chunk
  return (
    Number.isSafeInteger(items) &&
    Number.isSafeInteger(size) &&
    items > 0 &&
    // an item has a byte at least
    size >= items &&
    digests instanceof Uint8Array &&
    digests.length === 32 * Math.ceil(size / CHUNK_BYTES)
  )
}
