import { MalformedError } from '../errors.ts'
import { bytesOf, integer, list, micro, text, toBytes } from './codec.ts'
import { accountOf, HASH_BYTES, KEY_BYTES, keyOf, sha256 } from './keys.ts'
import type { AccountId, Micro, Payment } from './types.ts'

export const ORDER_VERSION = 1

/** Ids of jobs are made by our own node; long enough for a UUID with a prefix or a CID. */
export const MAX_JOB_CHARS = 64
export const MAX_MEMO_CHARS = 128
/** A settlement must fit a segment (segment.ts); about 45 bytes per worker. */
export const MAX_PAYMENTS = 4096

/** Before the first order of an account. */
export const GENESIS_HASH = new Uint8Array(HASH_BYTES)

/** Far enough for everybody alive. */
const MAX_TIME_S = 2 ** 40

/**
 * What an order does. The account is who signed it, `seq` and `prev` are its place in the account's chain. `timeS`
 * (seconds since 1970) is what the owner says, for display only: nothing is decided by it.
 */
export type Body = { timeS: number } & (
  | { type: 'grant'; amount: Micro; nonce: number }
  | { type: 'escrow'; job: string; amount: Micro }
  | { type: 'settle'; job: string; payments: Payment[]; receipts?: Uint8Array }
  | { type: 'transfer'; to: AccountId; amount: Micro; memo: string }
)

const TYPES = ['grant', 'escrow', 'settle', 'transfer'] as const

/** The tuple that is hashed, signed and written to the log (README, "Fields"). */
export function bodyToTuple(body: Body): unknown[] {
  switch (body.type) {
    case 'grant':
      return [0, body.timeS, body.amount, body.nonce]
    case 'escrow':
      return [1, body.timeS, body.job, body.amount]
    case 'settle':
      return [
        2,
        body.timeS,
        body.job,
        body.payments.map(({ to, amount, slices }) => [keyOf(to), amount, slices]),
        body.receipts ?? null
      ]
    case 'transfer':
      return [3, body.timeS, keyOf(body.to), body.amount, body.memo]
  }
}

/** @throws {MalformedError} */
export function bodyFromTuple(value: unknown): Body {
  const tuple = list(value, 'an order', 4, 5)
  const type = TYPES[integer(tuple[0], 'the type of an order', 0, TYPES.length - 1)]!
  list(tuple, `an order of type ${type}`, type === 'grant' || type === 'escrow' ? 4 : 5)
  const timeS = integer(tuple[1], 'time', 0, MAX_TIME_S)
  switch (type) {
    case 'grant':
      return {
        type,
        timeS,
        amount: micro(tuple[2], 'grant'),
        nonce: integer(tuple[3], 'nonce', 0, Number.MAX_SAFE_INTEGER)
      }
    case 'escrow':
      return { type, timeS, job: jobOf(tuple[2]), amount: micro(tuple[3], 'escrow', 0n) }
    case 'settle': {
      const payments = list(tuple[3], 'payments', 0, MAX_PAYMENTS).map(paymentFromTuple)
      if (new Set(payments.map(payment => payment.to)).size !== payments.length)
        throw new MalformedError('a settlement pays an account twice')
      const receipts = tuple[4] === null ? undefined : bytesOf(tuple[4], 'receipts', HASH_BYTES)
      return { type, timeS, job: jobOf(tuple[2]), payments, ...(receipts == null ? {} : { receipts }) }
    }
    case 'transfer':
      return {
        type,
        timeS,
        to: accountOf(bytesOf(tuple[2], 'receiver', KEY_BYTES)),
        amount: micro(tuple[3], 'transfer'),
        memo: text(tuple[4], 'memo', MAX_MEMO_CHARS)
      }
  }
}

function paymentFromTuple(value: unknown): Payment {
  const tuple = list(value, 'a payment', 3)
  return {
    to: accountOf(bytesOf(tuple[0], 'worker', KEY_BYTES)),
    amount: micro(tuple[1], 'payment', 0n),
    slices: integer(tuple[2], 'slices', 0, Number.MAX_SAFE_INTEGER)
  }
}

const jobOf = (value: unknown): string => text(value, 'job', MAX_JOB_CHARS, 1)

/**
 * The hash of one order: SHA-256 over `[version, network, account, seq, prev, body]`. Because `prev` is inside,
 * the hash of the last order of a run stands for the whole run.
 */
export function orderHash(
  network: string,
  account: AccountId,
  seq: number,
  prev: Uint8Array,
  tuple: unknown[]
): Uint8Array {
  return sha256(toBytes([ORDER_VERSION, network, keyOf(account), seq, prev, tuple]))
}

/** Sum of a list of payments. */
export function totalOf(payments: Payment[]): Micro {
  return payments.reduce((sum, { amount }) => sum + amount, 0n)
}
