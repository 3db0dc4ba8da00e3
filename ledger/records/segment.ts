import { MalformedError } from '../errors.ts'
import { bytesOf, fromBytes, integer, list, toBytes } from './codec.ts'
import { accountOf, HASH_BYTES, isSignedBy, KEY_BYTES, keyOf, SIGNATURE_BYTES } from './keys.ts'
import type { LedgerNetwork } from './network.ts'
import { quorumOf } from './network.ts'
import { type Body, bodyFromTuple, bodyToTuple, orderHash } from './order.ts'
import type { AccountId } from './types.ts'

export const ORDER_DOMAIN = 'artel/ledger/order/1'
export const VOTE_DOMAIN = 'artel/ledger/vote/1'

/** What one round trip to the witnesses certifies. */
export const MAX_SEGMENT_ORDERS = 512
/** Room for a settlement of 4,096 workers; fits gossip's message limit together with others. */
export const MAX_SEGMENT_BYTES = 256 * 1024
/** Witnesses in a network definition (bootstrap/network.ts allows no more). */
const MAX_VOTES = 64

export interface Vote {
  /** index in the definition's list of witnesses */
  witness: number
  signature: Uint8Array
}

/**
 * A run of consecutive orders of one account. The owner's signature and the witnesses' votes are over the hash of
 * the last order; the chain of hashes carries them to all others. So a hundred orders cost one certificate.
 */
export interface Segment {
  account: AccountId
  /** number of the first order, from 0 */
  seq: number
  /** hash of the order before it */
  prev: Uint8Array
  orders: Body[]
  signature: Uint8Array
  /** empty until certified */
  votes: Vote[]
}

/** A segment together with what follows from it: the hash of every order. */
export interface HashedSegment extends Segment {
  hashes: Uint8Array[]
}

export const lastSeq = (segment: Segment): number => segment.seq + segment.orders.length - 1
export const tipOf = (segment: HashedSegment): Uint8Array => segment.hashes.at(-1)!

export function encodeSegment(segment: Segment): Uint8Array {
  return toBytes([
    keyOf(segment.account),
    segment.seq,
    segment.prev,
    segment.orders.map(bodyToTuple),
    segment.signature,
    segment.votes.map(({ witness, signature }) => [witness, signature])
  ])
}

/** Form only; `isSigned` and `isCertified` check the signatures. @throws {MalformedError} */
export function decodeSegment(bytes: Uint8Array, network: LedgerNetwork): HashedSegment {
  const tuple = list(fromBytes(bytes, MAX_SEGMENT_BYTES, 'a segment'), 'a segment', 6)
  const account = accountOf(bytesOf(tuple[0], 'account', KEY_BYTES))
  const seq = integer(tuple[1], 'seq', 0, Number.MAX_SAFE_INTEGER - MAX_SEGMENT_ORDERS)
  const prev = bytesOf(tuple[2], 'prev', HASH_BYTES)
  const tuples = list(tuple[3], 'orders', 1, MAX_SEGMENT_ORDERS)
  const votes = list(tuple[5], 'votes', 0, MAX_VOTES).map(voteFromTuple)
  if (votes.some((vote, index) => index > 0 && vote.witness <= votes[index - 1]!.witness))
    throw new MalformedError('votes are not in the order of the witnesses')
  return withHashes(network, {
    account,
    seq,
    prev,
    orders: tuples.map(bodyFromTuple),
    signature: bytesOf(tuple[4], 'signature', SIGNATURE_BYTES),
    votes
  })
}

export function withHashes(network: LedgerNetwork, segment: Segment): HashedSegment {
  const hashes: Uint8Array[] = []
  let prev = segment.prev
  for (const [index, order] of segment.orders.entries()) {
    prev = orderHash(network.id, segment.account, segment.seq + index, prev, bodyToTuple(order))
    hashes.push(prev)
  }
  return { ...segment, hashes }
}

/** Whether the owner signed the run. */
export function isSigned(segment: HashedSegment): boolean {
  return isSignedBy(segment.account, ORDER_DOMAIN, tipOf(segment), segment.signature)
}

/** Whether a quorum of the network's witnesses voted for the run; a bad vote is only not counted. */
export function isCertified(segment: HashedSegment, network: LedgerNetwork): boolean {
  const quorum = quorumOf(network)
  let good = 0
  for (const { witness, signature } of segment.votes) {
    const account = network.witnesses[witness]
    if (account != null && isSignedBy(account, VOTE_DOMAIN, tipOf(segment), signature)) good += 1
    if (good >= quorum) return true
  }
  return false
}

function voteFromTuple(value: unknown): Vote {
  const tuple = list(value, 'a vote', 2)
  return {
    witness: integer(tuple[0], 'witness', 0, MAX_VOTES - 1),
    signature: bytesOf(tuple[1], 'vote', SIGNATURE_BYTES)
  }
}
