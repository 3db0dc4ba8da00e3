import { decodeOptions, encode } from '@ipld/dag-cbor'
import { type DecodeOptions, decode, Tokenizer, Type } from 'cborg'
import { MalformedError } from '../errors.ts'
import { isEqual } from './keys.ts'

/** Amounts fit a signed 64-bit integer, so that every database and language can hold one. */
export const MAX_AMOUNT = 2n ** 63n - 1n

/** Most values in the bytes of a stranger, so that decoding takes some 30 ms at most; an order of 4,096 payments has 17,000. */
const MAX_ITEMS = 2 ** 16
const MAX_DEPTH = 64

/** Counts while cborg decodes: a value of one byte costs up to half a microsecond, and depth is stack. */
class BoundedTokenizer extends Tokenizer {
  /** of the lists and maps that are open: members that are still to come */
  readonly #open: number[] = []
  #left: number

  constructor(bytes: Uint8Array, options: DecodeOptions, maxItems: number) {
    super(bytes, options)
    this.#left = maxItems
  }

  override next() {
    const token = super.next()
    if (--this.#left < 0) throw new RangeError('too many values')
    if (token.type === Type.tag) return token
    const members = token.type === Type.array ? token.value : token.type === Type.map ? 2 * token.value : 0
    if (members > 0) {
      if (this.#open.push(members) > MAX_DEPTH) throw new RangeError(`deeper than ${MAX_DEPTH} levels`)
    } else {
      while (this.#open.length > 0 && --this.#open[this.#open.length - 1]! === 0) this.#open.pop()
    }
    return token
  }
}

/** The value of dag-cbor with at most so many values in it, at most 64 levels deep. Throws what cborg throws, or RangeError. */
export function decodeBounded(bytes: Uint8Array, maxItems = MAX_ITEMS): unknown {
  return decode(bytes, { ...decodeOptions, tokenizer: new BoundedTokenizer(bytes, decodeOptions, maxItems) })
}

/** Canonical dag-cbor; everything that is hashed or signed goes through here. */
export const toBytes = (value: unknown): Uint8Array => encode(value)

/**
 * Decodes bytes of a stranger: bounded length, bounded number of values, dag-cbor, and the only encoding of that value (a second encoding
 * of the same order would have a second hash). `isStrict = false` skips the last for bytes whose own hash is signed.
 *
 * @throws {MalformedError}
 */
export function fromBytes(
  bytes: Uint8Array,
  maxBytes: number,
  what: string,
  { isStrict = true, maxItems = MAX_ITEMS }: { isStrict?: boolean; maxItems?: number } = {}
): unknown {
  if (bytes.length > maxBytes)
    throw new MalformedError(`${what} has ${bytes.length} bytes, at most ${maxBytes}`)
  let value: unknown
  let again = bytes
  try {
    value = decodeBounded(bytes, maxItems)
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
