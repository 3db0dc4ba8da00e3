import { decode, encode } from '@ipld/dag-cbor'
import { MalformedError } from '../errors.ts'
import { isEqual } from './keys.ts'

/** Amounts fit a signed 64-bit integer, so that every database and language can hold one. */
export const MAX_AMOUNT = 2n ** 63n - 1n

/** Canonical dag-cbor; everything that is hashed or signed goes through here. */
export const toBytes = (value: unknown): Uint8Array => encode(value)

/**
 * Decodes bytes of a stranger: bounded length, dag-cbor, and the only encoding of that value (a second encoding
 * of the same order would have a second hash). `isStrict = false` skips the last for bytes whose own hash is signed.
 *
 * @throws {MalformedError}
 */
export function fromBytes(bytes: Uint8Array, maxBytes: number, what: string, isStrict = true): unknown {
  if (bytes.length > maxBytes)
    throw new MalformedError(`${what} has ${bytes.length} bytes, at most ${maxBytes}`)
  let value: unknown
  let again = bytes
  try {
    value = decode(bytes)
    if (isStrict) again = encode(value)
  } catch (error) {
    throw new MalformedError(`${what} is not dag-cbor: ${(error as Error).message.slice(0, 200)}`)
  }
  if (!isEqual(bytes, again)) throw new MalformedError(`${what} is not canonical dag-cbor`)
  return value
}

/** A list with `min` to `max` members. @throws {MalformedError} */
export function list(value: unknown, what: string, min: number, max = min): unknown[] {
  if (!Array.isArray(value) || value.length < min || value.length > max)
    throw new MalformedError(`${what} is not a list of ${min === max ? min : `${min} to ${max}`} members`)
  return value
}

/** Bytes with `min` to `max` length. @throws {MalformedError} */
export function bytesOf(value: unknown, what: string, min: number, max = min): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length < min || value.length > max)
    throw new MalformedError(`${what} is not ${min === max ? min : `${min} to ${max}`} bytes`)
  return value
}

/** A string of at most `max` UTF-16 units. @throws {MalformedError} */
export function text(value: unknown, what: string, max: number, min = 0): string {
  if (typeof value !== 'string' || value.length < min || value.length > max)
    throw new MalformedError(`${what} is not a text of ${min} to ${max} characters`)
  return value
}

/** A safe integer within bounds. @throws {MalformedError} */
export function integer(value: unknown, what: string, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max)
    throw new MalformedError(`${what} is not an integer of ${min} to ${max}`)
  return value
}

/** Micro-credits of 0 or more; dag-cbor gives small ones back as numbers. @throws {MalformedError} */
export function micro(value: unknown, what: string, min = 1n): bigint {
  const amount = typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value
  if (typeof amount !== 'bigint' || amount < min || amount > MAX_AMOUNT)
    throw new MalformedError(`${what} is not an amount of ${min} to ${MAX_AMOUNT} micro-credits`)
  return amount
}
