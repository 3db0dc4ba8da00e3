import { hash } from 'node:crypto'
import { decode, encode } from '@ipld/dag-cbor'
import { z } from 'zod'
import { isSignedBy, type Signer } from '../../../ledger/index.ts'
import { MalformedMessageError } from '../errors.ts'

export const HASH_BYTES = 32
export const NO_HASH = new Uint8Array(HASH_BYTES)

export const hashOf = (bytes: Uint8Array): Uint8Array => new Uint8Array(hash('sha256', bytes, 'buffer'))
export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
export const fromHex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'))
export const isEqual = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

export const bytesOf = (min: number, max = min) =>
  z.custom<Uint8Array>(
    value => value instanceof Uint8Array && value.length >= min && value.length <= max,
    `must be ${min} to ${max} bytes`
  )
export const hash32 = bytesOf(HASH_BYTES)
/** Of devices and nodes: the peer id of an Ed25519 key. */
export const keyName = z.string().min(40).max(64)
export const time = z.int().min(0).max(8.64e15)
export const count = z
  .int()
  .min(0)
  .max(2 ** 40)

/** What somebody wrote, and that he did. Its id is SHA-256 of `bytes`. */
export interface Signed {
  bytes: Uint8Array
  signature: Uint8Array
}

export const signedOf = (maxBytes: number) =>
  z.object({ bytes: bytesOf(1, maxBytes), signature: bytesOf(64) }) satisfies z.ZodType<Signed>

export const pack = (value: unknown): Uint8Array => encode(value)

/**
 * Reads dag-cbor of a known shape.
 *
 * @throws {MalformedMessageError} it is not, or longer than `maxBytes`
 */
export function unpack<T>(schema: z.ZodType<T>, bytes: Uint8Array, maxBytes: number, what: string): T {
  if (bytes.length > maxBytes)
    throw new MalformedMessageError(`${what} has ${bytes.length} bytes; at most ${maxBytes}`)
  let value: unknown
  try {
    value = decode(bytes)
  } catch (error) {
    throw new MalformedMessageError(`${what} is not dag-cbor: ${(error as Error).message.slice(0, 200)}`)
  }
  return shape(schema, value, what)
}

/** @throws {MalformedMessageError} */
export function shape<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const { path, message } = parsed.error.issues[0]!
  throw new MalformedMessageError(`${what}: ${path.join('.') || 'it'}: ${message}`)
}

export function signAs(signer: Signer, domain: string, bytes: Uint8Array): Signed {
  return { bytes, signature: signer.sign(`artel/messenger/${domain}`, bytes) }
}

/** @throws {MalformedMessageError} `by` did not sign it */
export function checkSignature(by: string, domain: string, { bytes, signature }: Signed): void {
  if (!isSignedBy(by, `artel/messenger/${domain}`, bytes, signature))
    throw new MalformedMessageError(`a ${domain} is not signed by ${by}`)
}
