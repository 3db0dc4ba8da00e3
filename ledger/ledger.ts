import { TypedEventEmitter } from 'main-event'
import { assembleLedger, type LedgerComponents, type LedgerInit, type Running } from './assemble-ledger.ts'
import type { Balance } from './book/account.ts'
import type { Supply } from './book/book.ts'
import type { HistoryEntry } from './book/history.ts'
import { historyOf } from './book/history.ts'
import { type Reputation, reputation } from './book/reputation.ts'
import type { Escrow, Ledger, LedgerEvents, Transfer } from './contract.ts'
import { InvalidOrderError, LedgerStoppedError, UnknownEscrowError } from './errors.ts'
import { verifyEvidence } from './records/evidence.ts'
import { findGrantWork } from './records/grant-work.ts'
import { createSigner, keyOf, type Signer } from './records/keys.ts'
import { MAX_JOB_CHARS, MAX_MEMO_CHARS, MAX_PAYMENTS, totalOf } from './records/order.ts'
import { decodeSegment } from './records/segment.ts'
import type { AccountId, Micro, Payment } from './records/types.ts'
import { dayOf } from './replicate/epochs.ts'
import { EVIDENCE_ITEM } from './store/store.ts'
import { within } from './time.ts'

/** Opens the account book of one network. Nothing goes over the wire before `start()`. */
export const createLedger =
  (init: LedgerInit) =>
  (components: LedgerComponents): Ledger =>
    new LedgerNode(init, components)

class LedgerNode extends TypedEventEmitter<LedgerEvents> implements Ledger {
  readonly account: AccountId
  readonly network: string
  readonly #init: LedgerInit
  readonly #components: LedgerComponents
  readonly #signer: Signer
  #running: Running | undefined

  constructor(init: LedgerInit, components: LedgerComponents) {
    super()
    this.#init = init
    this.#components = components
    this.#signer = createSigner(init.privateKey)
    this.account = this.#signer.account
    this.network = init.network.id
    for (const witness of init.network.witnesses) keyOf(witness)
  }

  async start(): Promise<void> {
    if (this.#running != null) return
    this.#running = await assembleLedger(
      this.#init,
      this.#components,
      this.#signer,
      () => this.safeDispatchEvent('change'),
      error => this.safeDispatchEvent('halt', { detail: error })
    )
  }

  async stop(): Promise<void> {
    const running = this.#running
    this.#running = undefined
    await running?.stop()
  }

  get #now(): Running {
    if (this.#running == null) throw new LedgerStoppedError()
    return this.#running
  }

  async hold(job: string, bound: Micro, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    checkJob(job)
    await this.#now.ready(signal)
    this.#now.own.hold(job, bound)
  }

  async escrow(job: string, bound: Micro, { signal }: { signal?: AbortSignal } = {}): Promise<Escrow> {
    checkJob(job)
    if (bound < 0n) throw new InvalidOrderError(`The bound of job ${job} is ${bound}; it cannot be negative.`)
    const { own, store, ready } = this.#now
    await ready(signal)
    const known = store.job(job)
    if (known != null) return { job, bound: known.bound, certified: own.certified(known.escrowed) }
    const seq = this.#now.issue({ type: 'escrow', job, amount: bound })
    return { job, bound, certified: own.certified(seq) }
  }

  async settle(
    job: string,
    payments: Payment[],
    { signal, receipts, mayWait }: { signal?: AbortSignal; receipts?: Uint8Array; mayWait?: boolean } = {}
  ): Promise<void> {
    checkJob(job)
    checkPayments(job, payments)
    const { own, store, ready } = this.#now
    await ready(signal)
    const known = store.job(job)
    if (known == null && payments.length === 0 && own.release(job)) return
    if (known == null) throw new UnknownEscrowError(job)
    if (known.settled == null && totalOf(payments) > known.bound)
      throw new InvalidOrderError(
        `Job ${job} reserved ${known.bound} micro-credits and cannot pay ${totalOf(payments)}.`
      )
    if (known.settled != null && !mayWait) this.hurry()
    const seq =
      known.settled ??
      this.#now.issue(
        { type: 'settle', job, payments, ...(receipts == null ? {} : { receipts }) },
        { mayWait }
      )
    await within(own.certified(seq), signal)
  }

  hurry(): void {
    this.#now.hurry()
  }

  openEscrows(): { job: string; bound: Micro }[] {
    return this.#now.store.openJobs().map(({ job, bound }) => ({ job, bound }))
  }

  escrowOf(account: AccountId, job: string): { bound: Micro; isOpen: boolean } | undefined {
    return this.#now.book.escrowOf(account, job)
  }

  transferOf(memo: string, { from, to }: { from: AccountId; to: AccountId }): Transfer | undefined {
    const { store, own } = this.#now
    const amount = store.transfer(memo, from, to)
    if (amount != null) return { amount, isCertified: true }
    const pending = from === this.account ? own.pendingTransfer(memo, to) : undefined
    return pending == null ? undefined : { amount: pending, isCertified: false }
  }

  balance(account = this.account): Balance {
    return account === this.account ? this.#now.own.balance() : this.#now.book.balance(account)
  }

  balances(): ReadonlyMap<AccountId, Balance> {
    return this.#now.book.balances()
  }

  supply(): Supply {
    return this.#now.book.supply()
  }

  async transfer(
    to: AccountId,
    amount: Micro,
    { memo = '', signal }: { memo?: string; signal?: AbortSignal } = {}
  ): Promise<void> {
    keyOf(to)
    if (amount <= 0n)
      throw new InvalidOrderError(`An amount of ${amount} cannot be transferred; give more than 0.`)
    if (memo.length > MAX_MEMO_CHARS)
      throw new InvalidOrderError(`The memo has ${memo.length} characters, at most ${MAX_MEMO_CHARS}.`)
    const { own, ready } = this.#now
    await ready(signal)
    await within(own.certified(this.#now.issue({ type: 'transfer', to, amount, memo })), signal)
  }

  async claimGrant({ signal }: { signal?: AbortSignal } = {}): Promise<void> {
    const { own, book, store, ready } = this.#now
    await ready(signal)
    if (book.account(this.account).granted) return
    const { network } = this.#init
    const claimed = store.getMeta('grant') as number | undefined
    if (claimed != null) return within(own.certified(claimed), signal)
    const nonce = await findGrantWork(network, this.account, signal)
    const seq = store.batch(() => {
      // somebody else may have asked meanwhile, and a second claim would be refused
      const claim = store.getMeta('grant') as number | undefined
      if (claim != null) return claim
      const issued = this.#now.issue({ type: 'grant', amount: network.grantMicro, nonce })
      store.setMeta('grant', issued)
      return issued
    })
    await within(own.certified(seq), signal)
  }

  history({ limit = 100 }: { limit?: number } = {}): HistoryEntry[] {
    const { store } = this.#now
    return store
      .mine(limit)
      .flatMap(bytes => historyOf(decodeSegment(bytes, this.#init.network), this.account))
      .slice(0, limit)
  }

  reputation(account = this.account): Reputation {
    return this.#reputationOf(account)
  }

  top(limit: number): { account: AccountId; reputation: Reputation }[] {
    return [...this.#now.book.accounts()]
      .map(account => ({ account, reputation: this.#reputationOf(account) }))
      .sort((a, b) => b.reputation.score - a.reputation.score || (a.account < b.account ? -1 : 1))
      .slice(0, limit)
  }

  report(evidence: Uint8Array): void {
    verifyEvidence(evidence, this.#init.network)
    this.#now.submit([[EVIDENCE_ITEM, evidence]])
  }

  epoch(): number {
    return this.#now.epoch()
  }

  #reputationOf(account: AccountId): Reputation {
    const { book } = this.#now
    const today = dayOf((this.#init.now ?? Date.now)())
    return reputation(book.record(account, today), today, book.isFrozen(account))
  }
}

function checkJob(job: string): void {
  if (job.length === 0 || job.length > MAX_JOB_CHARS || !job.isWellFormed())
    throw new InvalidOrderError(
      `The job id ${JSON.stringify(job.slice(0, 80))} is not 1 to ${MAX_JOB_CHARS} characters of text.`
    )
}

function checkPayments(job: string, payments: Payment[]): void {
  if (payments.length > MAX_PAYMENTS)
    throw new InvalidOrderError(
      `Job ${job} pays ${payments.length} workers; one settlement pays ${MAX_PAYMENTS}.`
    )
  if (new Set(payments.map(({ to }) => to)).size !== payments.length)
    throw new InvalidOrderError(`Job ${job} pays a worker twice; add its amounts up.`)
  for (const { to, amount, slices } of payments) {
    keyOf(to)
    if (amount < 0n || !Number.isSafeInteger(slices) || slices < 0)
      throw new InvalidOrderError(
        `Job ${job} pays ${amount} for ${slices} slices to ${to}; neither can be negative.`
      )
  }
}
