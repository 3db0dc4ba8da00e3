import type { Startable, TypedEventTarget } from '@libp2p/interface'
import type { Balance } from './book/account.ts'
import type { Supply } from './book/book.ts'
import type { HistoryEntry } from './book/history.ts'
import type { Reputation } from './book/reputation.ts'
import type { AccountId, Micro, Payment } from './records/types.ts'

export interface Escrow {
  job: string
  bound: Micro
  /**
   * Resolves when the witnesses certified the order, rejects with the reason when they refuse.
   * `escrow()` itself resolves as soon as the signed order is on this node's own disk, because a small
   * job need not wait for a round trip to the witnesses.
   */
  certified: Promise<void>
}

export interface Transfer {
  amount: Micro
  isCertified: boolean
}

export interface LedgerEvents {
  /** balances changed (own or others') */
  change: CustomEvent<void>
  /** The ledger signs nothing any more, because another process speaks with its key (KeyInUseError). */
  halt: CustomEvent<Error>
}

export interface Ledger extends Startable, TypedEventTarget<LedgerEvents> {
  readonly account: AccountId
  readonly network: string
  /**
   * Keeps `bound` back for a job of this node, unsigned and in memory, until `escrow` signs it or `settle` without
   * payments frees it. Nothing where the job has an escrow. InsufficientCreditsError names both figures.
   */
  hold(job: string, bound: Micro, options?: { signal?: AbortSignal }): Promise<void>
  /** Reserves `bound` for a job of this node. Idempotent by job. InsufficientCreditsError names both figures. */
  escrow(job: string, bound: Micro, options?: { signal?: AbortSignal }): Promise<Escrow>
  /**
   * Pays each worker once for all its accepted slices of the job and frees the rest; no payments = refund.
   * Idempotent by job: the first settlement counts. Resolves when certified.
   */
  settle(
    job: string,
    payments: Payment[],
    options?: {
      signal?: AbortSignal
      /** root of the receipts of the job (createReceipts) */
      receipts?: Uint8Array
      /** nobody waits for it: it goes to the witnesses with others, within a second */
      mayWait?: boolean
    }
  ): Promise<void>
  /** Brings all orders that may wait to the witnesses at once. */
  hurry(): void
  /** Own escrows that are not settled yet, also those from before a restart. */
  openEscrows(): { job: string; bound: Micro }[]
  /** The certified escrow of an account for a job: open, or settled within this epoch. */
  escrowOf(account: AccountId, job: string): { bound: Micro; isOpen: boolean } | undefined
  /**
   * The largest transfer from one account to another with this memo, where one of them is this node's; an own one also
   * before it is certified, so that nobody pays twice who was interrupted. By index.
   */
  transferOf(memo: string, parties: { from: AccountId; to: AccountId }): Transfer | undefined
  balance(account?: AccountId): Balance
  balances(): ReadonlyMap<AccountId, Balance>
  supply(): Supply
  transfer(to: AccountId, amount: Micro, options?: { memo?: string; signal?: AbortSignal }): Promise<void>
  /** Asks the witnesses for the genesis grant and waits until it is certified; at once when this account has it. */
  claimGrant(options?: { signal?: AbortSignal }): Promise<void>
  /** Orders of and for the own account that are certified, newest first; at most `limit` (default 100). */
  history(options?: { limit?: number }): HistoryEntry[]
  reputation(account?: AccountId): Reputation
  /** The accounts with the highest score, best first. */
  top(limit: number): { account: AccountId; reputation: Reputation }[]
  /** Brings evidence (signEvidence) to the witnesses. Throws MalformedError when it proves nothing. */
  report(evidence: Uint8Array): void
  /** the current epoch: days since 1970, or 0 before the first checkpoint */
  epoch(): number
}
