import { MalformedError } from '../errors.ts'
import { bytesOf, fromBytes, integer, list, micro, text, toBytes } from '../records/codec.ts'
import { EVIDENCE_VERSION } from '../records/evidence.ts'
import {
  accountOf,
  HASH_BYTES,
  isSignedBy,
  KEY_BYTES,
  keyOf,
  SIGNATURE_BYTES,
  sha256
} from '../records/keys.ts'
import { type LedgerNetwork, quorumOf } from '../records/network.ts'
import { MAX_JOB_CHARS } from '../records/order.ts'
import type { Vote } from '../records/segment.ts'
import type { AccountId, Micro } from '../records/types.ts'
import type { AccountState } from './account.ts'
import { emptyRecord, forgive, type WorkRecord } from './reputation.ts'

export const CHECKPOINT_DOMAIN = 'artel/ledger/checkpoint/1'
/** About 500,000 accounts. */
export const MAX_CHECKPOINT_BYTES = 64 * 1024 * 1024
/** Its hash is signed, and the values of an account take 5 bytes each on average, or more. */
const OF_CHECKPOINT = { isStrict: false, maxItems: MAX_CHECKPOINT_BYTES / 4 }
const MAX_ACCOUNTS = 2 ** 21
const MAX_EPOCH = 2 ** 40

export interface CheckpointAccount extends AccountState {
  frozen: boolean
  record: WorkRecord
}

/** All accounts after everything that the witnesses' logs of an epoch hold; opens the next epoch. */
export interface Checkpoint {
  /** the epoch that it closes, and the one that it opens: days since 1970, or 0 for the first */
  epoch: number
  next: number
  /** entries of each witness's log that it covers */
  lengths: number[]
  granted: Micro
  accounts: Map<AccountId, CheckpointAccount>
}

/** Canonical bytes, accounts in the order of their keys: the same state is the same hash on every node. */
export function encodeCheckpoint(network: string, checkpoint: Checkpoint): Uint8Array {
  const accounts = [...checkpoint.accounts]
    .map(([account, state]) => [keyOf(account), state] as const)
    .sort(([a], [b]) => Buffer.compare(a, b))
    .map(([key, state]) => accountToTuple(key, state))
  return toBytes([
    network,
    checkpoint.epoch,
    checkpoint.next,
    checkpoint.lengths,
    checkpoint.granted,
    accounts
  ])
}

/** Of bytes whose hash the witnesses signed, so that another encoding cannot come in. @throws {MalformedError} */
export function decodeCheckpoint(bytes: Uint8Array, network: LedgerNetwork): Checkpoint {
  const tuple = list(fromBytes(bytes, MAX_CHECKPOINT_BYTES, 'a checkpoint', OF_CHECKPOINT), 'a checkpoint', 6)
  if (text(tuple[0], 'network', 128) !== network.id)
    throw new MalformedError('a checkpoint of another network')
  const epoch = integer(tuple[1], 'epoch', 0, MAX_EPOCH)
  const accounts = list(tuple[5], 'accounts', 0, MAX_ACCOUNTS).map(accountFrom)
  return {
    epoch,
    next: integer(tuple[2], 'next epoch', epoch + 1, MAX_EPOCH),
    lengths: list(tuple[3], 'lengths', network.witnesses.length).map(length =>
      integer(length, 'length', 0, Number.MAX_SAFE_INTEGER)
    ),
    granted: micro(tuple[4], 'granted', 0n),
    accounts: new Map(accounts)
  }
}

export const checkpointHash = (bytes: Uint8Array): Uint8Array => sha256(bytes)

/** What a witness signs. The epoch is beside the hash, so that old ones are known before they are fetched. */
export const checkpointMessage = ({ id }: LedgerNetwork, next: number, hash: Uint8Array): Uint8Array =>
  toBytes([id, next, hash])

/** Whether a quorum of witnesses signed the checkpoint with this hash. */
export function isCheckpointSigned(
  next: number,
  hash: Uint8Array,
  votes: Vote[],
  network: LedgerNetwork
): boolean {
  const message = checkpointMessage(network, next, hash)
  const good = votes.filter(({ witness, signature }) =>
    isSignedBy(network.witnesses[witness]!, CHECKPOINT_DOMAIN, message, signature)
  )
  return new Set(good.map(({ witness }) => witness)).size >= quorumOf(network)
}

/** Whether a checkpoint and its votes on disk are what the witnesses signed. */
export function isWholeCheckpoint(
  row: { next: number; bytes: Uint8Array; votes: Uint8Array },
  network: LedgerNetwork
): boolean {
  try {
    return isCheckpointSigned(row.next, checkpointHash(row.bytes), votesOf(row.votes, network), network)
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error
    return false
  }
}

export const votesToTuple = (votes: Vote[]): unknown[] =>
  votes.map(({ witness, signature }) => [witness, signature])

const MAX_VOTES_BYTES = 8 * 1024

/** Votes as they lie on disk and travel. @throws {MalformedError} */
export const votesOf = (bytes: Uint8Array, network: LedgerNetwork): Vote[] =>
  votesFrom(fromBytes(bytes, MAX_VOTES_BYTES, 'votes'), network)

function votesFrom(value: unknown, { witnesses }: LedgerNetwork): Vote[] {
  return list(value, 'votes', 0, witnesses.length).map(vote => {
    const tuple = list(vote, 'a vote', 2)
    return {
      witness: integer(tuple[0], 'witness', 0, witnesses.length - 1),
      signature: bytesOf(tuple[1], 'vote', SIGNATURE_BYTES)
    }
  })
}

function accountToTuple(key: Uint8Array, state: CheckpointAccount): unknown[] {
  const { record } = state
  return [
    key,
    state.seq,
    state.tip,
    state.available,
    (state.granted ? 1 : 0) | (state.frozen ? 2 : 0),
    [...state.escrows].sort(([a], [b]) => (a < b ? -1 : 1)),
    record.accepted + record.wrong === 0
      ? null
      : [
          record.firstDay,
          record.lastDay,
          record.accepted,
          record.wrong,
          record.debt,
          record.days,
          record.partners,
          record.counted,
          EVIDENCE_VERSION
        ]
  ]
}

function accountFrom(value: unknown): [AccountId, CheckpointAccount] {
  const tuple = list(value, 'an account', 7)
  const flags = integer(tuple[4], 'flags', 0, 3)
  const escrows = new Map(
    list(tuple[5], 'escrows', 0, MAX_ACCOUNTS).map(escrow => {
      const [job, bound] = list(escrow, 'an escrow', 2)
      return [text(job, 'job', MAX_JOB_CHARS, 1), micro(bound, 'bound', 0n)]
    })
  )
  return [
    accountOf(bytesOf(tuple[0], 'account', KEY_BYTES)),
    {
      seq: integer(tuple[1], 'seq', 0, Number.MAX_SAFE_INTEGER),
      tip: bytesOf(tuple[2], 'tip', HASH_BYTES),
      available: micro(tuple[3], 'available', 0n),
      reserved: [...escrows.values()].reduce((sum, bound) => sum + bound, 0n),
      escrows,
      granted: (flags & 1) > 0,
      frozen: (flags & 2) > 0,
      record: tuple[6] === null ? emptyRecord() : recordFrom(tuple[6])
    }
  ]
}

function recordFrom(value: unknown): WorkRecord {
  const tuple = list(value, 'a record', 8, 9)
  const count = (at: number, what: string): number => integer(tuple[at], what, 0, Number.MAX_SAFE_INTEGER)
  const record: WorkRecord = {
    firstDay: count(0, 'first day'),
    lastDay: count(1, 'last day'),
    accepted: count(2, 'accepted'),
    wrong: count(3, 'wrong'),
    debt: count(4, 'debt'),
    days: list(tuple[5], 'days', 0, 31).map(day => {
      const [at, accepted, wrong] = list(day, 'a day', 3).map(n =>
        integer(n, 'a day', 0, Number.MAX_SAFE_INTEGER)
      )
      return [at!, accepted!, wrong!]
    }),
    partners: list(tuple[6], 'partners', 0, 10).map(partner => text(partner, 'partner', 16)),
    counted: list(tuple[7], 'counted', 0, 64).map(key => text(key, 'key', 32))
  }
  // checkpoints from before there were versions have none
  const version = tuple.length === 8 ? 1 : integer(tuple[8], 'version of evidence', 1, EVIDENCE_VERSION)
  return version < EVIDENCE_VERSION ? forgive(record) : record
}
