import type { Logger } from '@libp2p/interface'
import { type Book, createBook } from '../book/book.ts'
import {
  CHECKPOINT_DOMAIN,
  type Checkpoint,
  checkpointHash,
  checkpointMessage,
  decodeCheckpoint,
  encodeCheckpoint,
  isCheckpointSigned,
  MAX_CHECKPOINT_BYTES,
  votesOf,
  votesToTuple
} from '../book/checkpoint.ts'
import { MalformedError } from '../errors.ts'
import { bytesOf, integer, list, toBytes } from '../records/codec.ts'
import { verifyEvidence } from '../records/evidence.ts'
import { verifyForkProof } from '../records/fork.ts'
import { HASH_BYTES, isEqual, isSignedBy, type Signer } from '../records/keys.ts'
import { type LedgerNetwork, quorumOf } from '../records/network.ts'
import { decodeSegment, lastSeq, type Vote } from '../records/segment.ts'
import {
  type CheckpointRow,
  EVIDENCE_ITEM,
  FORK_ITEM,
  type Item,
  SEGMENT_ITEM,
  type Store
} from '../store/store.ts'
import { verifySegment } from './intake.ts'
import type { WitnessLog } from './log.ts'
import { decodeItems, type Replica } from './replica.ts'

export const DAY_MS = 86_400_000
/** A witness waits this long per rank for those before it to close the epoch. */
const RANK_DELAY_MS = 60_000
/** After a proposal without a quorum; each one reads the logs of the day. */
const RETRY_MS = 5_000
const CHUNK_BYTES = 512 * 1024
const REQUEST_TIMEOUT_MS = 30_000
const MAX_EPOCH = 2 ** 40
const MAX_VOTES_BYTES = 8 * 1024

export const dayOf = (ms: number): number => Math.floor(ms / DAY_MS)

export interface EpochsInit {
  network: LedgerNetwork
  now(): number
}

export interface EpochsComponents {
  signer: Signer
  store: Store
  log: Logger
  request(peer: string, method: string, body: unknown, options: { signal: AbortSignal }): Promise<unknown>
  replica(): Replica
  /** Begins the epoch that a signed checkpoint opens. */
  adopt(row: CheckpointRow, checkpoint: Checkpoint): Promise<void>
}

/**
 * Epochs are days. What the witnesses' logs of an epoch hold, up to a length each, decides the checkpoint; so all
 * witnesses calculate the same bytes, and sign nothing that they did not calculate.
 */
export interface Epochs {
  /** Witness: closes the epoch when its day is over and it is this witness's turn. */
  closeIfDue(): Promise<void>
  /** Witness: answers another's proposal with a signature, or with nothing. */
  servePropose(peer: string, body: unknown): Promise<unknown>
  serveCheckpoint(body: unknown): unknown
  /** Gets the checkpoint of a peer that is in a later epoch. */
  fetch(peer: string): Promise<void>
}

/** The state after the first entries of the logs, from the checkpoint before. Pure in what the logs hold. */
export async function fold(
  network: LedgerNetwork,
  previous: Uint8Array | undefined,
  logs: WitnessLog[],
  lengths: number[],
  isVerified: (segment: Uint8Array) => boolean
): Promise<Book> {
  const book = createBook(network)
  book.load(previous && decodeCheckpoint(previous, network))
  for (const [index, log] of logs.entries()) {
    for await (const payload of log.payloads(lengths[index]!)) {
      for (const item of decodeItems(payload)) count(book, network, item, isVerified)
    }
  }
  return book
}

function count(
  book: Book,
  network: LedgerNetwork,
  [kind, bytes]: Item,
  isVerified: (segment: Uint8Array) => boolean
): void {
  try {
    if (kind === SEGMENT_ITEM)
      book.add(isVerified(bytes) ? decodeSegment(bytes, network) : verifySegment(bytes, network))
    else if (kind === FORK_ITEM) book.freeze(verifyForkProof(bytes, network))
    else if (kind === EVIDENCE_ITEM) book.addEvidence(verifyEvidence(bytes, network))
  } catch (error) {
    // not valid by itself, so it counts nowhere
    if (!(error instanceof MalformedError)) throw error
  }
}

export const createEpochs =
  ({ network, now }: EpochsInit) =>
  (components: EpochsComponents): Epochs => {
    const { signer, store, log, request, replica, adopt } = components
    const self = network.witnesses.indexOf(signer.account)
    let retryAt = 0
    let isCalculating = false

    const isVerified = (bytes: Uint8Array): boolean => {
      const segment = decodeSegment(bytes, network)
      const known = store.segment(segment.account, lastSeq(segment))
      return known != null && isEqual(known, bytes)
    }

    /** Nothing while another one is under way: a bad witness could ask for any number of them. */
    const calculate = async (next: number, lengths: number[]): Promise<Uint8Array | undefined> => {
      if (isCalculating) return undefined
      isCalculating = true
      try {
        const { epoch, logs } = replica()
        const book = await fold(network, store.checkpoint()?.bytes, logs, lengths, isVerified)
        return encodeCheckpoint(network.id, book.checkpoint({ epoch, next, lengths }))
      } finally {
        isCalculating = false
      }
    }

    /** Signs one checkpoint per epoch, for ever. */
    const signOnce = (next: number, hash: Uint8Array, lengths: number[]): Uint8Array | undefined => {
      const known = store.proposal(next)
      if (known != null && !isEqual(known.hash, hash)) return undefined
      if (known == null) store.durably(() => store.putProposal(next, hash, lengths))
      return signer.sign(CHECKPOINT_DOMAIN, checkpointMessage(network, next, hash))
    }

    /** The epoch to open, if this one is over: the first one lasts until the day after its first entry. */
    const dueEpoch = (): number | undefined => {
      const { epoch, logs } = replica()
      const today = dayOf(now())
      if (logs.every(({ length }) => length() === 0)) return undefined
      const day = epoch > 0 ? epoch : dayOf(store.firstAdded() ?? now())
      return today > day ? today : undefined
    }

    const propose = async (next: number): Promise<void> => {
      const { epoch, logs } = replica()
      const lengths = store.proposal(next)?.lengths ?? logs.map(target => target.length())
      const bytes = await calculate(next, lengths)
      if (bytes == null) return
      const hash = checkpointHash(bytes)
      const message = checkpointMessage(network, next, hash)
      const votes: Vote[] = []
      await Promise.all(
        network.witnesses.map(async (account, witness) => {
          try {
            const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS)
            const signature =
              witness === self
                ? signOnce(next, hash, lengths)
                : list(
                    await request(account, 'propose', [epoch, next, lengths, hash], { signal }),
                    'an answer',
                    0,
                    1
                  )[0]
            if (signature instanceof Uint8Array && isSignedBy(account, CHECKPOINT_DOMAIN, message, signature))
              votes.push({ witness, signature })
          } catch (error) {
            log('witness %s does not sign epoch %d: %s', account, next, (error as Error).message)
          }
        })
      )
      if (votes.length < quorumOf(network)) return
      votes.sort((a, b) => a.witness - b.witness)
      await adopt({ next, bytes, votes: toBytes(votesToTuple(votes)) }, decodeCheckpoint(bytes, network))
      await replica().announce()
    }

    return {
      closeIfDue: async () => {
        const next = dueEpoch()
        if (next == null) return
        const rank =
          (self - (next % network.witnesses.length) + network.witnesses.length) % network.witnesses.length
        if (now() - next * DAY_MS < rank * RANK_DELAY_MS || performance.now() < retryAt) return
        await propose(next)
        retryAt = replica().epoch < next ? performance.now() + RETRY_MS : 0
      },
      servePropose: async (peer, body) => {
        const tuple = list(body, 'a proposal', 4)
        const { epoch, logs } = replica()
        const next = integer(tuple[1], 'next epoch', 1, MAX_EPOCH)
        const lengths = list(tuple[2], 'lengths', logs.length).map(n =>
          integer(n, 'length', 0, Number.MAX_SAFE_INTEGER)
        )
        const hash = bytesOf(tuple[3], 'hash', HASH_BYTES)
        const isWitness = network.witnesses.includes(peer)
        if (self < 0 || !isWitness || tuple[0] !== epoch || next <= epoch || next > dayOf(now())) return []
        const isBehind = (): boolean => lengths.some((length, i) => length > logs[i]!.length())
        if (isBehind()) await replica().sync(peer)
        if (isBehind()) return []
        const bytes = await calculate(next, lengths)
        if (bytes == null || !isEqual(checkpointHash(bytes), hash)) return []
        const signature = signOnce(next, hash, lengths)
        return signature == null ? [] : [signature]
      },
      serveCheckpoint: body => {
        const [offset] = list(body, 'a question', 1)
        const row = store.checkpoint()
        if (row == null) return []
        const from = integer(offset, 'offset', 0, MAX_CHECKPOINT_BYTES)
        const chunk = row.bytes.subarray(from, from + CHUNK_BYTES)
        return [row.next, row.bytes.length, checkpointHash(row.bytes), row.votes, chunk]
      },
      fetch: async peer => {
        const parts: Uint8Array[] = []
        let have = 0
        for (;;) {
          const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS)
          const tuple = list(await request(peer, 'checkpoint', [have], { signal }), 'a checkpoint', 5)
          const next = integer(tuple[0], 'next epoch', 1, MAX_EPOCH)
          const size = integer(tuple[1], 'size', 1, MAX_CHECKPOINT_BYTES)
          const hash = bytesOf(tuple[2], 'hash', HASH_BYTES)
          const votes = bytesOf(tuple[3], 'votes', 1, MAX_VOTES_BYTES)
          // before anything is kept
          if (!isCheckpointSigned(next, hash, votesOf(votes, network), network))
            throw new MalformedError(`a checkpoint from ${peer} is not signed by the witnesses`)
          if (next <= replica().epoch) return
          const chunk = bytesOf(tuple[4], 'chunk', 1, CHUNK_BYTES)
          parts.push(chunk)
          have += chunk.length
          if (have < size) continue
          const bytes = Buffer.concat(parts)
          if (!isEqual(checkpointHash(bytes), hash))
            throw new MalformedError(`a checkpoint from ${peer} is damaged`)
          const checkpoint = decodeCheckpoint(bytes, network)
          if (checkpoint.next !== next)
            throw new MalformedError(`a checkpoint from ${peer} is of another epoch`)
          return adopt({ next, bytes, votes }, checkpoint)
        }
      }
    }
  }
