import { encode } from '@ipld/dag-cbor'
import type { IsSigned } from '../context.ts'
import { ChainError, EntryError } from '../errors.ts'
import {
  type ChainId,
  count,
  decodeEntry,
  decodeTuple,
  type Entry,
  GENESIS,
  type Head,
  hashOf,
  MAX_ENTRY_BYTES
} from './entry.ts'
import { keyOf } from './keys.ts'

/** Entries that follow each other, signed on the last: what one flush writes, and what travels. */
export interface Batch {
  /** seq of the first */
  from: number
  entries: readonly Uint8Array[]
  /** of the agent over the head that the batch leads to */
  signature: Uint8Array
}

/** Most of one batch; it has at least one. */
export const MAX_BATCH_ENTRIES = 512
export const MAX_BATCH_BYTES = 256 * 1024
const SIGNATURE_BYTES = 64

/** Domain of an agent's signature over a head, below the service's own. */
export const HEAD_DOMAIN = 'head/1'

/** What an agent signs for a head, and a witness countersigns. */
export const headBytes = ({ agent, number }: ChainId, { seq, hash }: Head): Uint8Array =>
  encode([keyOf(agent), number, seq, hash])

export const lastSeq = ({ from, entries }: Pick<Batch, 'from' | 'entries'>): number =>
  from + entries.length - 1

export const sizeOf = (entries: readonly Uint8Array[]): number =>
  entries.reduce((sum, { length }) => sum + length, 0)

/** As it is on disk and in exports. */
export const encodeBatch = ({ from, entries, signature }: Batch): Uint8Array =>
  encode([from, [...entries], signature])

/** @throws {EntryError} */
export function decodeBatch(bytes: Uint8Array): Batch {
  const [from, entries, signature] = decodeTuple(bytes, 'a batch')
  if (!Array.isArray(entries)) throw new EntryError('the entries of a batch are no list')
  const batch = { from: count(from, 'the first number of a batch'), entries, signature } as Batch
  checkShape(batch)
  return batch
}

function checkShape({ entries, signature }: Batch): void {
  if (entries.length < 1 || entries.length > MAX_BATCH_ENTRIES)
    throw new EntryError(`a batch of ${entries.length} entries; 1 to ${MAX_BATCH_ENTRIES} are allowed`)
  if (!entries.every(each => each instanceof Uint8Array && each.length <= MAX_ENTRY_BYTES))
    throw new EntryError(`a batch has entries that are no bytes, or more than ${MAX_ENTRY_BYTES} of them`)
  // one entry always fits
  if (entries.length > 1 && sizeOf(entries) > MAX_BATCH_BYTES)
    throw new EntryError(`a batch of ${sizeOf(entries)} bytes; at most ${MAX_BATCH_BYTES}`)
  if (!(signature instanceof Uint8Array) || signature.length !== SIGNATURE_BYTES)
    throw new EntryError(`a signature has ${SIGNATURE_BYTES} bytes`)
}

/** Entries with the hash of each. */
export interface Followed {
  entries: Entry[]
  hashes: Uint8Array[]
  head: Head
}

/**
 * Whether the entries follow each other and belong to the chain; without a look at the signature. `before` is what the
 * first must follow, where that is known.
 *
 * @throws {ChainError} at the entry that does not follow
 * @throws {EntryError}
 */
export function follow(
  chain: ChainId,
  before: Head | undefined,
  { from, entries }: Pick<Batch, 'from' | 'entries'>
): Followed {
  const decoded: Entry[] = []
  const hashes: Uint8Array[] = []
  let prev = before?.hash ?? (from === 0 ? GENESIS.hash : undefined)
  if (before != null && from !== before.seq + 1)
    throw new ChainError(from, `entry ${from} does not follow entry ${before.seq}`)
  for (const [i, bytes] of entries.entries()) {
    const entry = decodeEntry(bytes)
    const seq = from + i
    if (entry.chain.agent !== chain.agent || entry.chain.number !== chain.number)
      throw new ChainError(
        seq,
        `entry ${seq} is of another chain, ${entry.chain.agent}/${entry.chain.number}`
      )
    if (entry.seq !== seq) throw new ChainError(seq, `at place ${seq} is entry ${entry.seq}`)
    if (prev != null && Buffer.compare(entry.prev, prev) !== 0)
      throw new ChainError(
        seq === 0 ? 0 : seq - 1,
        seq === 0
          ? 'entry 0 names an entry before it'
          : `entry ${seq - 1} was altered: entry ${seq} names another hash for it`
      )
    decoded.push(entry)
    prev = hashOf(bytes)
    hashes.push(prev)
  }
  return { entries: decoded, hashes, head: { seq: from + entries.length - 1, hash: prev! } }
}

/**
 * The whole check of a batch: shape, chain and signature.
 *
 * @throws {ChainError}
 * @throws {EntryError}
 */
export function verifyBatch(
  chain: ChainId,
  before: Head | undefined,
  batch: Batch,
  isSigned: IsSigned
): Followed {
  checkShape(batch)
  const followed = follow(chain, before, batch)
  const { head } = followed
  if (!isSigned(chain.agent, HEAD_DOMAIN, headBytes(chain, head), batch.signature))
    throw new ChainError(head.seq, `up to entry ${head.seq} is not what ${chain.agent} signed`)
  return followed
}
