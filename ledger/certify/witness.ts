import { judgeRun } from '../book/account.ts'
import type { Book } from '../book/book.ts'
import { areConflicting } from '../records/fork.ts'
import { isEqual, type Signer } from '../records/keys.ts'
import type { LedgerNetwork } from '../records/network.ts'
import { decodeSegment, encodeSegment, type HashedSegment, tipOf, VOTE_DOMAIN } from '../records/segment.ts'
import type { Store } from '../store/store.ts'

/** Why a witness does not sign. `behind` and `insufficient` pass with time, the others do not. */
export type Refusal = 'behind' | 'ahead' | 'insufficient' | 'invalid' | 'frozen' | 'conflict'

export type Answer =
  | { vote: Uint8Array }
  /** `next`: number of the account's next order as the witness knows it */
  | { refusal: Refusal; next: number }

export interface Witness {
  /** Votes for a run that its owner signed, or says why not. The vote is on disk before it is answered. */
  vote(segment: HashedSegment): Promise<Answer>
}

export interface WitnessInit {
  network: LedgerNetwork
}

export interface WitnessComponents {
  signer: Signer
  store: Store
  book: Book
  /** two signed orders with one number: `other` was signed (or certified) before */
  onConflict(other: HashedSegment, segment: HashedSegment): void
}

interface Request {
  segment: HashedSegment
  resolve(answer: Answer): void
  reject(error: Error): void
}

/**
 * A witness signs at most one order per (account, number), for ever. What arrives while the event loop is busy
 * shares one transaction, and so one wait for the disk.
 */
export const createWitness =
  ({ network }: WitnessInit) =>
  ({ signer, store, book, onConflict }: WitnessComponents): Witness => {
    let requests: Request[] = []

    const decide = (segment: HashedSegment): Refusal | undefined => {
      const { account, hashes } = segment
      if (book.isFrozen(account)) return 'frozen'
      const state = book.account(account)
      if (segment.seq > state.seq) return 'behind'
      if (segment.seq < state.seq) {
        const other = disagreement(segment)
        if (other == null) return 'ahead'
        onConflict(other, segment)
        return 'conflict'
      }
      const voted = hashes.map((_, index) => store.voteOf(account, segment.seq + index))
      if (voted.some((hash, index) => hash != null && !isEqual(hash, hashes[index]!))) {
        onConflict(decodeSegment(store.voted(account)!, network), segment)
        return 'conflict'
      }
      const verdict = judgeRun(state, segment, network)
      if (verdict === 'gap') {
        const other = store.segmentsOf(account, segment.seq - 1, 1)[0]
        if (other == null) return 'invalid'
        onConflict(decodeSegment(other, network), segment)
        return 'conflict'
      }
      if (verdict !== 'ok') return verdict
      if (voted.includes(undefined)) {
        for (const [index, hash] of voted.entries()) {
          if (hash == null) store.putVote(account, segment.seq + index, hashes[index]!)
        }
        // the longest run, so that it holds every order that was voted for
        store.putVoted(account, encodeSegment(segment))
      }
      return undefined
    }

    /** Whether a run that starts in the past agrees with what was certified; gives what it disagrees with. */
    const disagreement = (segment: HashedSegment): HashedSegment | undefined =>
      store
        .segmentsOf(segment.account, segment.seq, segment.orders.length)
        .map(bytes => decodeSegment(bytes, network))
        .find(known => areConflicting(known, segment))

    const flush = (): void => {
      const batch = requests
      requests = []
      try {
        const refusals = store.durably(() => batch.map(({ segment }) => decide(segment)))
        for (const [index, { segment, resolve }] of batch.entries()) {
          const refusal = refusals[index]
          if (refusal != null) resolve({ refusal, next: book.account(segment.account).seq })
          else resolve({ vote: signer.sign(VOTE_DOMAIN, tipOf(segment)) })
        }
      } catch (error) {
        for (const { reject } of batch) reject(error as Error)
      }
    }

    return {
      vote: segment =>
        new Promise((resolve, reject) => {
          requests.push({ segment, resolve, reject })
          if (requests.length === 1) setImmediate(flush)
        })
    }
  }
