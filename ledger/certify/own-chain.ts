import type { Balance } from '../book/account.ts'
import type { Book } from '../book/book.ts'
import { InsufficientCreditsError, InvalidOrderError, MalformedError } from '../errors.ts'
import { fromBytes, toBytes } from '../records/codec.ts'
import { isEqual, type Signer } from '../records/keys.ts'
import type { LedgerNetwork } from '../records/network.ts'
import { type Body, bodyFromTuple, bodyToTuple, orderHash, totalOf } from '../records/order.ts'
import {
  type HashedSegment,
  lastSeq,
  MAX_SEGMENT_BYTES,
  MAX_SEGMENT_ORDERS,
  ORDER_DOMAIN,
  tipOf,
  withHashes
} from '../records/segment.ts'
import type { AccountId, Micro } from '../records/types.ts'
import type { Store } from '../store/store.ts'

/** Of a segment beside its orders: key, signature and up to 64 votes. */
const SEGMENT_FRAME_BYTES = 8 * 1024

/** The orders of this node's own account, from signing until they are certified. */
export interface OwnChain {
  /** Signs the next order and writes it to disk; gives its number. Synchronous, so that nothing comes between. */
  issue(body: Body): number
  /** number of the next order */
  readonly next: number
  /** Keeps an amount back for a job until its escrow, in memory. InsufficientCreditsError names both figures. */
  hold(job: string, amount: Micro): void
  /** Gives it back; false where nothing is held. */
  release(job: string): boolean
  /** Resolves when the order is certified; rejects when the account is given up. */
  certified(seq: number): Promise<void>
  /** What goes to the witnesses next, if anything. On disk for good before it is given out. */
  takePending(): HashedSegment | undefined
  hasPending(): boolean
  /** Whether a run that was given out is still the one that waits for its certificate. */
  isPending(run: HashedSegment): boolean
  /** To be called when the book has moved on. */
  settle(): void
  giveUp(error: Error): void
  /** Takes up a run that this key signed and that has no certificate, from an earlier life of the data folder. */
  adopt(run: HashedSegment): void
  /** Amount of the transfer with this memo that is not certified yet, if there is one. */
  pendingTransfer(memo: string, to: AccountId): Micro | undefined
  /** With the orders that are not certified yet. */
  balance(): Balance
}

export interface OwnChainInit {
  network: LedgerNetwork
}

export interface OwnChainComponents {
  signer: Signer
  store: Store
  book: Book
}

interface Pending {
  body: Body
  hash: Uint8Array
  resolve(): void
  reject(error: Error): void
  certified: Promise<void>
}

export const createOwnChain =
  ({ network }: OwnChainInit) =>
  ({ signer, store, book }: OwnChainComponents): OwnChain => {
    const { account } = signer
    const pending = new Map<number, Pending>()
    /** what the pending orders change in the account */
    let available = 0n
    let reserved = 0n
    /** by job, what is kept back for it; all together */
    const holds = new Map<string, Micro>()
    let held = 0n
    let next = book.account(account).seq
    let tip = book.account(account).tip

    const count = (body: Body, sign: 1n | -1n): void => {
      switch (body.type) {
        case 'escrow':
          available -= sign * body.amount
          reserved += sign * body.amount
          break
        case 'settle': {
          const { bound } = store.job(body.job)!
          available += sign * (bound - totalOf(body.payments))
          reserved -= sign * bound
          break
        }
        case 'transfer':
          available -= sign * body.amount
          break
        case 'grant': // counts when it is certified
      }
    }

    const remember = (seq: number, hash: Uint8Array, body: Body): void => {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      // whoever wants to know waits for it; nobody has to
      promise.catch(() => undefined)
      pending.set(seq, { body, hash, resolve, reject, certified: promise })
      count(body, 1n)
      next = seq + 1
      tip = hash
    }

    const noteJob = (body: Body, seq: number): void => {
      if (body.type === 'escrow') store.putJob(body.job, body.amount, seq)
      if (body.type === 'settle') store.settleJob(body.job, seq)
    }

    const bodyOf = (bytes: Uint8Array): Body =>
      bodyFromTuple(fromBytes(bytes, MAX_SEGMENT_BYTES, 'an order of our own'))

    /**
     * The witnesses know other orders of ours with these numbers: this folder is an old copy. What it wanted to sign
     * was not sent yet and is given back to the caller; sending it would be signing twice.
     */
    const supersede = (certified: number, certifiedTip: Uint8Array): void => {
      const error = new InvalidOrderError(
        `The data folder is an older copy: account ${account} has signed other orders since. Try again.`
      )
      for (const { body } of pending.values()) count(body, -1n)
      for (const order of pending.values()) {
        if (order.body.type === 'grant') store.dropMeta('grant')
        if (order.body.type === 'escrow') store.dropJob(order.body.job)
        if (order.body.type === 'settle') store.settleJob(order.body.job, null)
        order.reject(error)
      }
      pending.clear()
      store.dropOwn(Number.MAX_SAFE_INTEGER)
      next = certified
      tip = certifiedTip
    }

    store.dropOwn(next)
    for (const { seq, hash, body } of store.own(next, Number.MAX_SAFE_INTEGER)) {
      const order = seq === next ? wholeOrder(network, account, { seq, prev: tip, hash, body }) : undefined
      if (order == null) {
        // damaged on disk: signing upon it would be signing twice; what a witness has seen of it comes back from there
        store.batch(() => {
          store.dropOwnFrom(seq)
          store.dropMeta('recovered')
        })
        break
      }
      remember(seq, hash, order)
    }

    const balance = (): Balance => {
      const certified = book.balance(account)
      return {
        available: certified.available + available - held,
        reserved: certified.reserved + reserved + held
      }
    }

    const release = (job: string): boolean => {
      held -= holds.get(job) ?? 0n
      return holds.delete(job)
    }

    const need = (amount: Micro, can: Micro): void => {
      if (amount > can) throw new InsufficientCreditsError(can, amount)
    }

    return {
      issue: body => {
        if (body.type === 'escrow') need(body.amount, balance().available + (holds.get(body.job) ?? 0n))
        if (body.type === 'transfer') need(body.amount, balance().available)
        const seq = next
        const tuple = bodyToTuple(body)
        const hash = orderHash(network.id, account, seq, tip, tuple)
        store.batch(() => {
          store.putOwn({ seq, hash, signature: signer.sign(ORDER_DOMAIN, hash), body: toBytes(tuple) })
          noteJob(body, seq)
        })
        remember(seq, hash, body)
        if (body.type === 'escrow') release(body.job)
        return seq
      },
      get next() {
        return next
      },
      hold: (job, amount) => {
        if (holds.has(job) || store.job(job) != null) return
        need(amount, balance().available)
        holds.set(job, amount)
        held += amount
      },
      release,
      // the very promise: of another one that nobody waits for, what is refused would end the process
      certified: seq => pending.get(seq)?.certified ?? Promise.resolve(),
      takePending: () => {
        const state = book.account(account)
        const rows = store.own(state.seq, MAX_SEGMENT_ORDERS)
        let size = SEGMENT_FRAME_BYTES
        const fitting = rows.filter(row => {
          size += row.body.length
          return size <= MAX_SEGMENT_BYTES
        })
        const last = fitting.at(-1)
        if (last == null) return undefined
        return withHashes(network, {
          account,
          seq: state.seq,
          prev: state.tip,
          orders: fitting.map(row => bodyOf(row.body)),
          signature: last.signature,
          votes: []
        })
      },
      hasPending: () => pending.size > 0,
      isPending: run => {
        const last = pending.get(lastSeq(run))
        return run.seq === book.account(account).seq && last != null && isEqual(last.hash, tipOf(run))
      },
      settle: () => {
        const { seq: certified, tip: certifiedTip } = book.account(account)
        const own = pending.get(certified - 1)
        if (own != null && !isEqual(own.hash, certifiedTip)) return supersede(certified, certifiedTip)
        for (const [seq, order] of pending) {
          if (seq >= certified) break
          pending.delete(seq)
          count(order.body, -1n)
          order.resolve()
        }
        store.dropOwn(certified)
        if (next < certified) {
          next = certified
          tip = certifiedTip
        }
      },
      giveUp: error => {
        for (const order of pending.values()) order.reject(error)
      },
      adopt: run => {
        const differs = run.hashes.some((hash, index) => {
          const own = pending.get(run.seq + index)
          return own != null && !isEqual(own.hash, hash)
        })
        if (differs) supersede(run.seq, run.prev)
        for (const [index, body] of run.orders.entries()) {
          const seq = run.seq + index
          if (seq !== next) continue
          const hash = run.hashes[index]!
          store.putOwn({ seq, hash, signature: run.signature, body: toBytes(bodyToTuple(body)) })
          noteJob(body, seq)
          remember(seq, hash, body)
        }
      },
      pendingTransfer: (memo, to) => {
        for (const { body } of pending.values())
          if (body.type === 'transfer' && body.memo === memo && body.to === to) return body.amount
        return undefined
      },
      balance
    }
  }

/** An own order as it lies on disk, if its bytes are those that were hashed. */
function wholeOrder(
  network: LedgerNetwork,
  account: AccountId,
  { seq, prev, hash, body }: { seq: number; prev: Uint8Array; hash: Uint8Array; body: Uint8Array }
): Body | undefined {
  try {
    const tuple = fromBytes(body, MAX_SEGMENT_BYTES, 'an order of our own')
    const order = bodyFromTuple(tuple)
    return isEqual(orderHash(network.id, account, seq, prev, tuple as unknown[]), hash) ? order : undefined
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error
    return undefined
  }
}
