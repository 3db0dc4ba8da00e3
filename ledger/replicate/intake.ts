import type { Logger } from '@libp2p/interface'
import type { Book } from '../book/book.ts'
import type { Checkpoint } from '../book/checkpoint.ts'
import { MIN_STANDING } from '../book/reputation.ts'
import { MalformedError } from '../errors.ts'
import { type Evidence, evidenceKey, MIN_OTHERS, verifyEvidence } from '../records/evidence.ts'
import { areConflicting, encodeForkProof, verifyForkProof } from '../records/fork.ts'
import { isEqual, sha256 } from '../records/keys.ts'
import type { LedgerNetwork } from '../records/network.ts'
import { decodeSegment, type HashedSegment, isCertified, isSigned, lastSeq } from '../records/segment.ts'
import type { AccountId } from '../records/types.ts'
import { EVIDENCE_ITEM, FORK_ITEM, type Item, SEGMENT_ITEM, type Store } from '../store/store.ts'
import { isOver } from '../time.ts'

/** Evidence that did not count after this long, because nobody of weight agrees, is given up. */
const EVIDENCE_PATIENCE_MS = 3 * 86_400_000

export interface IntakeInit {
  network: LedgerNetwork
  account: AccountId
  now(): number
}

export interface IntakeComponents {
  store: Store
  book: Book
  log: Logger
  /** balances or the number of the own next order may have changed */
  onChange(account: AccountId): void
  onFrozen(account: AccountId): void
}

/** The one door into the book: verifies, writes to disk, then counts. Idempotent. */
export interface Intake {
  /** Takes what is valid, logs what is not; `isLogged` when it comes out of a witness's log. */
  take(items: Item[], isLogged: boolean): void
  /** Two signed runs of one account contradict each other. */
  convict(a: HashedSegment, b: HashedSegment): void
  /** Fills the book from disk. False when something there was damaged and given up; peers and the logs have it. */
  load(): boolean
  /** Sorts what is on disk into covered by a checkpoint, which is given up unless `keep`, and still to be logged. */
  cover(checkpoint: Checkpoint, keep: boolean): void
}

/** Puts something off until what it stands for is on disk. */
type Counting = (work: () => void) => void

/** Verifies an item by itself. @throws {MalformedError} */
export function verifySegment(bytes: Uint8Array, network: LedgerNetwork): HashedSegment {
  const segment = decodeSegment(bytes, network)
  if (!isSigned(segment) || !isCertified(segment, network))
    throw new MalformedError(
      `a segment of ${segment.account} up to ${lastSeq(segment)} has no valid certificate`
    )
  return segment
}

export const createIntake =
  ({ network, account: self, now }: IntakeInit) =>
  ({ store, book, log, onChange, onFrozen }: IntakeComponents): Intake => {
    const takeSegment = (bytes: Uint8Array, isLogged: boolean, count: Counting): void => {
      const segment = decodeSegment(bytes, network)
      const { account } = segment
      const last = lastSeq(segment)
      const known = store.segment(account, last)
      if (known != null && isEqual(known, bytes)) {
        if (isLogged) store.setLogged(account, last)
        return
      }
      if (!isSigned(segment) || !isCertified(segment, network))
        throw new MalformedError(`a segment of ${account} up to ${last} has no valid certificate`)
      if (known != null) {
        // another quorum for the same run; or, with more than f bad witnesses, for another one
        const other = decodeSegment(known, network)
        if (areConflicting(segment, other)) convict(segment, other)
        else if (isLogged) store.setLogged(account, last)
        return
      }
      if (book.account(account).seq > last) return
      const mine = account === self || segment.orders.some(order => paysTo(order, self))
      store.putSegment({ account, first: segment.seq, last, bytes, added: now(), mine }, isLogged)
      if (mine) noteTransfers(segment)
      count(() => void (book.add(segment) && onChange(account)))
    }

    const noteTransfers = ({ account, seq, orders }: HashedSegment): void => {
      for (const [index, order] of orders.entries()) {
        if (order.type !== 'transfer' || (account !== self && order.to !== self)) continue
        const { to, memo, amount } = order
        store.putTransfer({ sender: account, seq: seq + index, receiver: to, memo, amount })
      }
    }

    const freeze = (account: AccountId): void => {
      if (book.freeze(account)) {
        log('account %s is frozen: it signed two orders with one number', account)
        onFrozen(account)
      }
    }

    const takeFork = (bytes: Uint8Array, isLogged: boolean, known?: AccountId): void => {
      const account = known ?? verifyForkProof(bytes, network)
      // one proof is enough, and an account could make any number of them
      if (!store.putStatement(FORK_ITEM, account, bytes, now(), isLogged) && isLogged)
        store.setStatementLogged(FORK_ITEM, account, true)
      freeze(account)
    }

    const convict = (a: HashedSegment, b: HashedSegment): void => {
      if (areConflicting(a, b)) takeFork(encodeForkProof(a, b), false, a.account)
    }

    const takeEvidence = (bytes: Uint8Array, isLogged: boolean, count: Counting): void => {
      const evidence = verifyEvidence(bytes, network)
      const key = `${evidenceKey(evidence)}/${Buffer.from(sha256(bytes)).toString('hex', 0, 8)}`
      if (store.statement(EVIDENCE_ITEM, key) != null) {
        if (isLogged) store.setStatementLogged(EVIDENCE_ITEM, key, true)
        return
      }
      const weighty = evidence.others.filter(({ worker }) => book.standing(worker) >= MIN_STANDING)
      // identities are free, so without this anybody could make us keep any amount of it
      if (!isLogged && weighty.length < MIN_OTHERS)
        throw new MalformedError(`evidence against ${evidence.accused.worker} by workers without standing`)
      store.putStatement(EVIDENCE_ITEM, key, bytes, now(), isLogged)
      count(() => book.addEvidence(evidence))
    }

    /** Evidence that lies on disk, if it is whole and of the version that counts. */
    const evidenceFrom = (bytes: Uint8Array): Evidence | undefined => {
      try {
        return verifyEvidence(bytes, network)
      } catch (error) {
        if (!(error instanceof MalformedError)) throw error
        return undefined
      }
    }

    return {
      take: (items, isLogged) => {
        // what a full disk refused must not count: it would be taken for known and never be written
        const written: (() => void)[] = []
        const count: Counting = work => void written.push(work)
        store.batch(() => {
          for (const [kind, bytes] of items) {
            try {
              if (kind === SEGMENT_ITEM) takeSegment(bytes, isLogged, count)
              else if (kind === FORK_ITEM) takeFork(bytes, isLogged)
              else if (kind === EVIDENCE_ITEM) takeEvidence(bytes, isLogged, count)
            } catch (error) {
              // a bad witness may write anything to its log; what is not valid does not count
              if (!(error instanceof MalformedError)) throw error
              log('%s', error.message)
            }
          }
        })
        store.batch(() => {
          for (const work of written) work()
        })
      },
      convict,
      cover: ({ accounts }, keep) => {
        store.cover(
          [...accounts].map(([account, { seq }]) => [account, seq] as const),
          keep
        )
        for (const { key } of store.statements(FORK_ITEM))
          store.setStatementLogged(FORK_ITEM, key, accounts.get(key)?.frozen === true)
        for (const { key, bytes, added } of store.statements(EVIDENCE_ITEM)) {
          const accused = evidenceFrom(bytes)?.accused
          const isCounted =
            accused != null &&
            accounts.get(accused.worker)?.record.counted.includes(key.split('/')[0]!) === true
          const isOld = accused == null || isOver(added, EVIDENCE_PATIENCE_MS, now())
          if ((isCounted || isOld) && !keep) store.dropStatement(EVIDENCE_ITEM, key)
          else store.setStatementLogged(EVIDENCE_ITEM, key, isCounted || isOld)
        }
        const seq = accounts.get(self)?.seq ?? 0
        // a job that was settled two checkpoints ago is not settled again
        store.dropJobs((store.getMeta('seqAtCheckpoint') as number | undefined) ?? 0)
        store.setMeta('seqAtCheckpoint', seq)
      },
      load: () => {
        // folders from before there was this table
        if (store.getMeta('transfers') == null)
          store.batch(() => {
            for (const bytes of store.mine(Number.MAX_SAFE_INTEGER))
              noteTransfers(decodeSegment(bytes, network))
            store.setMeta('transfers', 1)
          })
        let isWhole = true
        for (const { account, last, bytes, isIntact } of store.segments()) {
          if (isIntact) book.add(decodeSegment(bytes, network))
          else {
            log.error('orders of %s up to %d are damaged on disk; they are fetched again', account, last)
            store.dropSegment(account, last)
            // the next order waits for what the witnesses know
            store.dropMeta('recovered')
            isWhole = false
          }
        }
        for (const { key } of store.statements(FORK_ITEM)) book.freeze(key)
        for (const { key, bytes } of store.statements(EVIDENCE_ITEM)) {
          const evidence = evidenceFrom(bytes)
          if (evidence == null) store.dropStatement(EVIDENCE_ITEM, key)
          else book.addEvidence(evidence)
        }
        return isWhole
      }
    }
  }

function paysTo(order: HashedSegment['orders'][number], account: AccountId): boolean {
  if (order.type === 'transfer') return order.to === account
  return order.type === 'settle' && order.payments.some(({ to }) => to === account)
}
