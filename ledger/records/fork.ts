import { MalformedError } from '../errors.ts'
import { bytesOf, fromBytes, list, toBytes } from './codec.ts'
import { isEqual } from './keys.ts'
import type { LedgerNetwork } from './network.ts'
import {
  decodeSegment,
  encodeSegment,
  type HashedSegment,
  isSigned,
  lastSeq,
  MAX_SEGMENT_BYTES
} from './segment.ts'
import type { AccountId } from './types.ts'

export const MAX_FORK_BYTES = 2 * MAX_SEGMENT_BYTES

/** Two runs that one account signed and that differ in an order. Whoever has it can convince everybody. */
export function encodeForkProof(a: HashedSegment, b: HashedSegment): Uint8Array {
  const runs = [a, b].map(run => encodeSegment({ ...run, votes: [] })).sort(Buffer.compare)
  return toBytes(runs)
}

/** The account that a valid proof convicts. @throws {MalformedError} */
export function verifyForkProof(bytes: Uint8Array, network: LedgerNetwork): AccountId {
  const tuple = list(fromBytes(bytes, MAX_FORK_BYTES, 'a fork proof'), 'a fork proof', 2)
  const [a, b] = tuple.map(run => decodeSegment(bytesOf(run, 'a run', 1, MAX_SEGMENT_BYTES), network)) as [
    HashedSegment,
    HashedSegment
  ]
  if (a.account !== b.account || !areConflicting(a, b) || !isSigned(a) || !isSigned(b))
    throw new MalformedError(
      `no fork: the two runs of ${a.account} and ${b.account} do not contradict each other`
    )
  return a.account
}

/** Whether two runs of an account name different orders with one number; a run also names the one before it. */
export function areConflicting(a: HashedSegment, b: HashedSegment): boolean {
  const from = Math.max(a.seq, b.seq) - 1
  const to = Math.min(lastSeq(a), lastSeq(b))
  for (let seq = from; seq <= to; seq++) {
    const [hashA, hashB] = [hashAt(a, seq), hashAt(b, seq)]
    if (hashA != null && hashB != null && !isEqual(hashA, hashB)) return true
  }
  return false
}

const hashAt = (run: HashedSegment, seq: number): Uint8Array | undefined =>
  seq === run.seq - 1 ? run.prev : run.hashes[seq - run.seq]
