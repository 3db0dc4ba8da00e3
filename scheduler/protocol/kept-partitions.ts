import { encodeValue } from '../../sandbox/index.ts'
import { CHUNK_BYTES, digestOfBlock } from '../data/chunked-data.ts'
import { listItems } from '../data/value-bytes.ts'
import { ProtocolError } from '../errors.ts'
import { MAX_OUTPUT_BYTES } from './limits.ts'

/*
 * A large answer that stays at its worker, cut into partitions: what is sent of it, and the blocks that others fetch.
 */

export const PARTITIONS = 32
// Groups of a slice up to here travel in its answer: their digests and the way to fetch them would cost about as much.
const INLINE_BYTES = 128 * 1024
// So do groups that are at most this share of the input, which came from the requester as well: to reduce them there is
// less than to fetch them in partitions, each from everywhere.
const INLINE_SHARE = 1 / 4
// A partition up to here is not worth a block: those that are empty.
const TINY_BYTES = 64
/**
 * A partition that stays at its worker: its size, and the SHA-256 of each of its blocks one after the other. Or itself,
 * where that is hardly more.
 */
export type KeptPartition = [size: number, digests: Uint8Array] | Uint8Array

// The canonical bytes of { cut: … } before its value: that of 0 is one byte.
const CUT_HEAD = encodeValue({ cut: 0 }).slice(0, -1)

/** The partitions of an answer that is cut into them; nothing for other answers. */
export function partitionsOf(answer: Uint8Array): Uint8Array[] | undefined {
  if (Buffer.compare(answer.subarray(0, CUT_HEAD.length), CUT_HEAD) !== 0) return
  const partitions = listItems(answer.subarray(CUT_HEAD.length))
  return partitions?.length === PARTITIONS ? partitions : undefined
}

/**
 * What is sent in place of large groups, and the blocks that stay. Both depend on nothing but the groups and the size of
 * the slice's inputs, so that the answers of honest workers are equal. Nothing for an answer that is small, or no groups.
 */
export function spill(
  answer: Uint8Array,
  inputBytes: number
): { value: Uint8Array; blocks: [digest: Uint8Array, block: Uint8Array][] } | undefined {
  const partitions =
    answer.length > Math.max(INLINE_BYTES, inputBytes * INLINE_SHARE) ? partitionsOf(answer) : undefined
  if (partitions == null) return
  const blocks: [Uint8Array, Uint8Array][] = []
  const kept = partitions.map((partition): KeptPartition => {
    if (partition.length <= TINY_BYTES) return partition
    const own: Uint8Array[] = []
    for (let at = 0; at < partition.length; at += CHUNK_BYTES) {
      // a copy: the answer as a whole must not stay for the sake of one block
      const block = partition.slice(at, at + CHUNK_BYTES)
      const digest = digestOfBlock(block)
      blocks.push([digest, block])
      own.push(digest)
    }
    return [partition.length, Buffer.concat(own)]
  })
  return { value: encodeValue({ kept }), blocks }
}

/** the digests of the blocks that a partition is in */
export function blocksIn(partition: KeptPartition): Uint8Array[] {
  if (partition instanceof Uint8Array) return []
  const [, digests] = partition
  return Array.from({ length: digests.length / 32 }, (_, i) => digests.subarray(i * 32, (i + 1) * 32))
}

/** Throws ProtocolError for what is not the sizes and digests of all partitions. */
export function readKept(kept: unknown): KeptPartition[] {
  const isPartition = (each: unknown): each is KeptPartition => {
    if (each instanceof Uint8Array) return each.length <= TINY_BYTES
    if (!Array.isArray(each) || each.length !== 2) return false
    const [size, digests] = each
    return (
      Number.isInteger(size) &&
      size > TINY_BYTES &&
      size <= MAX_OUTPUT_BYTES &&
      digests instanceof Uint8Array &&
      digests.length === 32 * Math.ceil(size / CHUNK_BYTES)
    )
  }
  if (Array.isArray(kept) && kept.length === PARTITIONS && kept.every(isPartition)) return kept
  throw new ProtocolError(`a result has no sizes and digests of ${PARTITIONS} partitions`)
}
