import type { Body } from '../records/order.ts'
import type { HashedSegment } from '../records/segment.ts'
import type { AccountId, Micro } from '../records/types.ts'

/** One order of or for the own account. */
export interface HistoryEntry {
  /** number in the chain of `from` */
  seq: number
  /** ms since 1970, as its owner says */
  time: number
  type: 'grant' | 'escrow' | 'settle' | 'transfer'
  from: AccountId
  to?: AccountId
  /** what the order moved: the grant, the bound, the payment */
  amount: Micro
  job?: string
  memo?: string
}

/** What the orders of a segment were to an account: its own orders, and what it was paid. Newest first. Pure. */
export function historyOf(segment: HashedSegment, account: AccountId): HistoryEntry[] {
  return segment.orders
    .flatMap((order, index) =>
      movesOf(order, segment.account).map(move => ({
        seq: segment.seq + index,
        time: order.timeS * 1000,
        from: segment.account,
        ...move
      }))
    )
    .filter(({ from, to }) => from === account || to === account)
    .reverse()
}

/** A refund is a settlement of nothing to nobody. */
function movesOf(order: Body, owner: AccountId): Omit<HistoryEntry, 'seq' | 'time' | 'from'>[] {
  const { type } = order
  switch (type) {
    case 'grant':
      return [{ type, to: owner, amount: order.amount }]
    case 'escrow':
      return [{ type, job: order.job, amount: order.amount }]
    case 'transfer':
      return [{ type, to: order.to, amount: order.amount, memo: order.memo }]
    case 'settle':
      return order.payments.length === 0
        ? [{ type, job: order.job, amount: 0n }]
        : order.payments.map(({ to, amount }) => ({ type, job: order.job, to, amount }))
  }
}
