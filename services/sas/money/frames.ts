import { toBcd } from '../bcd.ts'
import { FrameError } from '../errors.ts'
import { dataOf, longPoll } from '../frames.ts'
import { ASKS, BONUS, HANDPAY_RESET, REGISTRATION, TRANSFER } from '../tables/polls.ts'

/* Polls that move money, and what is asked around them. Pure. */

const AMOUNT_BYTES = 5
const BONUS_BYTES = 4
const ASSET_BYTES = 4
export const KEY_BYTES = 20
const MAX_ID_BYTES = 20
/** All of it or nothing. */
const FULL = 0x00
/** 53 of 72 are always there; expiry, pool, receipt and lock stay empty. */
const EXPIRY_AND_POOL_BYTES = 6
const LOCK_BYTES = 2
/** Behind length, position, status, receipt, type, three amounts, flags and asset of an answer: length of the id, and it. */
const STATUS_ID_AT = 5 + 3 * AMOUNT_BYTES + 1 + ASSET_BYTES

/** What a transfer is, as the machine hears it. */
export const TRANSFER_TYPES = { transfer: 0x00, bonus: 0x11, collect: 0x80 } as const

/** As machines with registration know each other: a number, and a key that both have. */
export interface Registration {
  asset: number
  key: Uint8Array
}

/** Moves an amount in cents; a machine pays each id once. */
export function transferPoll(
  address: number,
  {
    type,
    cents,
    id,
    asset,
    key
  }: Registration & { type: keyof typeof TRANSFER_TYPES; cents: bigint; id: string }
): Uint8Array {
  const name = Buffer.from(id, 'latin1')
  if (name.length < 1 || name.length > MAX_ID_BYTES)
    throw new FrameError(`the id of a transfer has 1 to ${MAX_ID_BYTES} bytes, not ${name.length}`)
  if (key.length !== KEY_BYTES) throw new FrameError(`a key has ${KEY_BYTES} bytes, not ${key.length}`)
  const body = [
    FULL,
    0x00,
    TRANSFER_TYPES[type],
    ...toBcd(cents, AMOUNT_BYTES),
    ...new Uint8Array(2 * AMOUNT_BYTES),
    0x00,
    ...lowFirst(asset, ASSET_BYTES),
    ...key,
    name.length,
    ...name,
    ...new Uint8Array(EXPIRY_AND_POOL_BYTES),
    0x00,
    ...new Uint8Array(LOCK_BYTES)
  ]
  return longPoll(address, TRANSFER, Uint8Array.of(body.length, ...body))
}

/** How is the last transfer? */
export const transferStatusPoll = (address: number): Uint8Array =>
  longPoll(address, TRANSFER, Uint8Array.of(2, ASKS, 0))

/** How a transfer is. */
export interface TransferStatus {
  /** a code of AFT_STATUS */
  status: number
  /** of the transfer that it is about; undefined: it does not say which */
  id: string | undefined
}

/** @throws {FrameError} */
export function transferStatusOf(address: number, frame: Uint8Array): TransferStatus {
  const data = dataOf(address, TRANSFER, frame)
  const status = data[2]
  if (status == null) throw new FrameError('the answer to 72 has no status')
  const from = STATUS_ID_AT + 1
  const length = data[STATUS_ID_AT] ?? 0
  const id = length === 0 ? undefined : Buffer.from(data.subarray(from, from + length)).toString('latin1')
  return { status, id }
}

/** Whether it is about the transfer of that id; undefined: nobody can tell. */
export const isAbout = ({ id }: TransferStatus, transfer: string | undefined): boolean | undefined =>
  id == null || transfer == null ? undefined : id === transfer

/** With which asset number and key are you registered? */
export const registrationPoll = (address: number): Uint8Array =>
  longPoll(address, REGISTRATION, Uint8Array.of(1, ASKS))

/** @throws {FrameError} */
export function registrationOf(address: number, frame: Uint8Array): Registration {
  // length and status stand before it
  const data = dataOf(address, REGISTRATION, frame).subarray(2)
  if (data.length < ASSET_BYTES + KEY_BYTES) throw new FrameError('the answer to 73 has no key')
  return {
    asset: Buffer.from(data).readUInt32LE(0),
    key: data.subarray(ASSET_BYTES, ASSET_BYTES + KEY_BYTES)
  }
}

/** A bonus in credits, for machines without registration; no tax. */
export const bonusPoll = (address: number, credits: bigint): Uint8Array =>
  longPoll(address, BONUS, Uint8Array.of(...toBcd(credits, BONUS_BYTES), 0x00))

/** The handpay has been paid by hand. */
export const handpayResetPoll = (address: number): Uint8Array => longPoll(address, HANDPAY_RESET)

function lowFirst(value: number, bytes: number): number[] {
  const buffer = Buffer.alloc(bytes)
  buffer.writeUIntLE(value, 0, bytes)
  return [...buffer]
}
