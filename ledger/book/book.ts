import { type Evidence, evidenceKey } from '../records/evidence.ts'
import { keyOf } from '../records/keys.ts'
import type { LedgerNetwork } from '../records/network.ts'
import type { Body } from '../records/order.ts'
import type { HashedSegment } from '../records/segment.ts'
import type { AccountId, Micro, Payment } from '../records/types.ts'
import { type AccountState, apply, type Balance, emptyAccount, judge } from './account.ts'
import type { Checkpoint, CheckpointAccount } from './checkpoint.ts'
import { emptyRecord, type NewWork, roll, type WorkRecord } from './reputation.ts'

export interface Supply {
  granted: Micro
  burnt: Micro
  /** available + reserved over all accounts; always granted − burnt */
  total: Micro
}

/**
 * Balances as a pure function of a set of certified segments: orders of one account count in their sequence, each
 * as soon as the account can pay it. An order never takes from another account, so one that can be applied stays
 * applicable whatever comes in between; the result is the same for every order of arrival (Guerraoui et al. 2019).
 * The same holds for records of work, which are sums and sets.
 */
export interface Book {
  /** Forgets all and starts from a checkpoint, or from nothing. */
  load(checkpoint?: Checkpoint): void
  /** Adds a certified segment; false when it holds nothing new. */
  add(segment: HashedSegment): boolean
  /** Counts a proven wrong answer. */
  addEvidence(evidence: Evidence): void
  /** Freezes an account for good: its escrows are burnt. False when it is frozen already. */
  freeze(account: AccountId): boolean
  isFrozen(account: AccountId): boolean
  /** The state of an account; do not change it. */
  account(account: AccountId): Readonly<AccountState>
  /** An escrow that is open, or was settled since the last checkpoint; not of a frozen account, whose are burnt. */
  escrowOf(account: AccountId, job: string): { bound: Micro; isOpen: boolean } | undefined
  balance(account: AccountId): Balance
  balances(): Map<AccountId, Balance>
  supply(): Supply
  /** Work of an account, with what came in since the last checkpoint counted on `day`. */
  record(account: AccountId, day: number): WorkRecord
  /** slices that an account was paid for */
  standing(account: AccountId): number
  accounts(): Iterable<AccountId>
  /** Everything as it is now, as the checkpoint that closes `epoch` and opens `next`. */
  checkpoint(frame: Pick<Checkpoint, 'epoch' | 'next' | 'lengths'>): Checkpoint
}

interface Waiting {
  body: Body
  hash: Uint8Array
}

export function createBook(network: LedgerNetwork): Book {
  let accounts = new Map<AccountId, AccountState>()
  let records = new Map<AccountId, WorkRecord>()
  let news = new Map<AccountId, NewWork>()
  let frozen = new Set<AccountId>()
  /** bounds of the jobs that were settled since the last checkpoint */
  let settled = new Map<AccountId, Map<string, Micro>>()
  /** certified, but before them something is missing: an order or credits */
  let waiting = new Map<AccountId, Map<number, Waiting>>()
  let granted = 0n

  const stateOf = (account: AccountId): AccountState => inserted(accounts, account, emptyAccount)
  const newsOf = (account: AccountId): NewWork =>
    inserted(news, account, () => ({ accepted: 0, partners: new Set(), wrong: new Map() }))

  const standing = (account: AccountId): number =>
    (records.get(account)?.accepted ?? 0) + (news.get(account)?.accepted ?? 0)

  const recordOf = (account: AccountId, day: number): WorkRecord =>
    roll(records.get(account) ?? emptyRecord(), news.get(account), day, standing)

  /** Paid slices count for the worker; to oneself, or for nothing, is no work. */
  const countWork = (requester: AccountId, payments: Payment[]): void => {
    const partner = partnerOf(requester)
    for (const { to, amount, slices } of payments) {
      if (to === requester || amount === 0n || slices === 0) continue
      const work = newsOf(to)
      work.accepted += amount < slices ? Number(amount) : slices
      work.partners.add(partner)
    }
  }

  const take = (account: AccountId, state: AccountState, body: Body, credited: Set<AccountId>): void => {
    if (body.type === 'grant') granted += body.amount
    if (body.type === 'settle') {
      countWork(account, body.payments)
      inserted(settled, account, () => new Map<string, Micro>()).set(body.job, state.escrows.get(body.job)!)
    }
    for (const { to, amount } of apply(state, body)) {
      stateOf(to).available += amount
      if (to !== account) credited.add(to)
    }
  }

  /** Applies what can be applied, also in accounts that it pays. */
  const advance = (first: AccountId): void => {
    const queue = new Set([first])
    for (const account of queue) {
      queue.delete(account)
      const orders = waiting.get(account)
      if (orders == null) continue
      const state = stateOf(account)
      for (let next = orders.get(state.seq); next != null; next = orders.get(state.seq)) {
        const verdict = judge(state, account, next.body, network)
        if (verdict === 'insufficient') break
        orders.delete(state.seq)
        state.seq += 1
        state.tip = next.hash
        if (verdict === 'ok') take(account, state, next.body, queue)
      }
      if (orders.size === 0) waiting.delete(account)
    }
  }

  const balanceOf = (account: AccountId, state: AccountState | undefined): Balance => ({
    available: state?.available ?? 0n,
    reserved: state == null || frozen.has(account) ? 0n : state.reserved
  })

  return {
    load: checkpoint => {
      accounts = new Map()
      records = new Map()
      news = new Map()
      frozen = new Set()
      settled = new Map()
      waiting = new Map()
      granted = checkpoint?.granted ?? 0n
      for (const [account, { frozen: isFrozen, record, ...state }] of checkpoint?.accounts ?? []) {
        accounts.set(account, { ...state, escrows: new Map(state.escrows) })
        if (record.accepted + record.wrong > 0) records.set(account, record)
        if (isFrozen) frozen.add(account)
      }
    },
    add: segment => {
      const state = accounts.get(segment.account)
      const orders = inserted(waiting, segment.account, () => new Map<number, Waiting>())
      let isNew = false
      for (const [index, body] of segment.orders.entries()) {
        const seq = segment.seq + index
        if (seq < (state?.seq ?? 0) || orders.has(seq)) continue
        orders.set(seq, { body, hash: segment.hashes[index]! })
        isNew = true
      }
      advance(segment.account)
      return isNew
    },
    addEvidence: evidence => {
      const others = inserted(newsOf(evidence.accused.worker).wrong, evidenceKey(evidence), () => new Set())
      for (const { worker } of evidence.others) others.add(worker)
    },
    freeze: account => {
      if (frozen.has(account)) return false
      frozen.add(account)
      return true
    },
    isFrozen: account => frozen.has(account),
    account: account => accounts.get(account) ?? emptyAccount(),
    escrowOf: (account, job) => {
      if (frozen.has(account)) return undefined
      const open = accounts.get(account)?.escrows.get(job)
      const bound = open ?? settled.get(account)?.get(job)
      return bound === undefined ? undefined : { bound, isOpen: open !== undefined }
    },
    balance: account => balanceOf(account, accounts.get(account)),
    balances: () => new Map([...accounts].map(([account, state]) => [account, balanceOf(account, state)])),
    supply: () => {
      let total = 0n
      let burnt = 0n
      for (const [account, state] of accounts) {
        total += state.available + (frozen.has(account) ? 0n : state.reserved)
        if (frozen.has(account)) burnt += state.reserved
      }
      return { granted, burnt, total }
    },
    record: recordOf,
    standing,
    accounts: () => new Set([...accounts.keys(), ...news.keys()]),
    checkpoint: frame => {
      // what came in during an epoch counts on its last day
      const day = frame.next - 1
      const taken = new Map<AccountId, CheckpointAccount>()
      for (const account of new Set([...accounts.keys(), ...news.keys(), ...frozen])) {
        const state = accounts.get(account) ?? emptyAccount()
        const record = recordOf(account, day)
        const isEmpty = state.seq === 0 && state.available === 0n && record.accepted + record.wrong === 0
        if (isEmpty && !frozen.has(account)) continue
        taken.set(account, {
          ...state,
          escrows: new Map(state.escrows),
          frozen: frozen.has(account),
          record
        })
      }
      return { ...frame, granted, accounts: taken }
    }
  }
}

/** Enough of a requester's key to tell ten of them apart. */
const partnerOf = (account: AccountId): string => Buffer.from(keyOf(account)).toString('hex', 0, 8)

function inserted<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key)
  if (value === undefined) {
    value = make()
    map.set(key, value)
  }
  return value
}
