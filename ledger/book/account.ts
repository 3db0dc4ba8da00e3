import { hasGrantWork } from '../records/grant-work.ts'
import { isEqual } from '../records/keys.ts'
import type { LedgerNetwork } from '../records/network.ts'
import { type Body, GENESIS_HASH, totalOf } from '../records/order.ts'
import type { HashedSegment } from '../records/segment.ts'
import type { AccountId, Micro } from '../records/types.ts'

export interface Balance {
  /** spendable now */
  available: Micro
  /** reserved by open escrows */
  reserved: Micro
}

/** An account after its last order that counts. */
export interface AccountState {
  /** number of the next order */
  seq: number
  /** hash of the last one */
  tip: Uint8Array
  available: Micro
  reserved: Micro
  /** open escrows by job */
  escrows: Map<string, Micro>
  granted: boolean
}

export const emptyAccount = (): AccountState => ({
  seq: 0,
  tip: GENESIS_HASH,
  available: 0n,
  reserved: 0n,
  escrows: new Map(),
  granted: false
})

/**
 * What an order would do to its account:
 * - `ok`
 * - `insufficient`: not now, but credits may still come in
 * - `invalid`: never; witnesses refuse it, and if it was certified all the same it counts as an empty order
 */
export type Verdict = 'ok' | 'insufficient' | 'invalid'

/** Whether an order may follow in this state. Pure. */
export function judge(
  state: Pick<AccountState, 'available' | 'escrows' | 'granted'>,
  account: AccountId,
  body: Body,
  network: LedgerNetwork
): Verdict {
  switch (body.type) {
    case 'grant':
      return !state.granted &&
        body.amount === network.grantMicro &&
        hasGrantWork(network, account, body.nonce)
        ? 'ok'
        : 'invalid'
    case 'escrow':
      if (state.escrows.has(body.job)) return 'invalid'
      return state.available >= body.amount ? 'ok' : 'insufficient'
    case 'settle': {
      const bound = state.escrows.get(body.job)
      return bound != null && totalOf(body.payments) <= bound ? 'ok' : 'invalid'
    }
    case 'transfer':
      return state.available >= body.amount ? 'ok' : 'insufficient'
  }
}

/** Takes an order that was judged `ok` into the state; gives what it pays to whom. */
export function apply(state: AccountState, body: Body): { to: AccountId; amount: Micro }[] {
  switch (body.type) {
    case 'grant':
      state.granted = true
      state.available += body.amount
      return []
    case 'escrow':
      state.available -= body.amount
      state.reserved += body.amount
      state.escrows.set(body.job, body.amount)
      return []
    case 'settle': {
      const bound = state.escrows.get(body.job)!
      state.escrows.delete(body.job)
      state.reserved -= bound
      state.available += bound - totalOf(body.payments)
      return body.payments
    }
    case 'transfer':
      state.available -= body.amount
      return [body]
  }
}

/**
 * Judges a whole run on a copy of the state; the first verdict that is not `ok`, or `ok`. Pure.
 */
export function judgeRun(
  state: Readonly<AccountState>,
  segment: HashedSegment,
  network: LedgerNetwork
): Verdict | 'gap' {
  if (segment.seq !== state.seq || !isEqual(segment.prev, state.tip)) return 'gap'
  const copy = { ...state, escrows: new Map(state.escrows) }
  for (const body of segment.orders) {
    const verdict = judge(copy, segment.account, body, network)
    if (verdict !== 'ok') return verdict
    for (const { to, amount } of apply(copy, body)) if (to === segment.account) copy.available += amount
  }
  return 'ok'
}
