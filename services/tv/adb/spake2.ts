import { createHash } from 'node:crypto'
import { ed25519 } from '@noble/curves/ed25519.js'
import { TvProtocolError } from '../errors.ts'

const { Point } = ed25519
type Curve = InstanceType<typeof Point>

const ORDER = Point.Fn.ORDER
/** points whose logarithms nobody knows: SHA-256 of a sentence, again and again until it is one (BoringSSL, spake25519.cc) */
const MASKS = {
  client: Point.fromHex('5ada7e4bf6ddd9adb6626d32131c6b5c51a1e347a3478f53cfcf441b88eed12e'),
  server: Point.fromHex('10e3df0ae37d8e7a99b5fe74b44672103dbddcbd06af680d71329a11693bc778')
}
/** with the zero byte that ends a text in C */
const NAMES = { client: 'adb pair client\0', server: 'adb pair server\0' }

export type Side = keyof typeof MASKS

/** One end of an agreement by a password. */
export interface Spake2 {
  /** what the other end gets, 32 bytes */
  readonly message: Uint8Array
  /** @returns 64 bytes that only both ends know, the same where their passwords are. @throws {TvProtocolError} */
  keyFrom(theirs: Uint8Array): Uint8Array
}

/**
 * SPAKE2 on edwards25519 as BoringSSL has it, and so ADB's pairing; RFC 9382's is another. Who does not know the password
 * has one guess, and learns nothing else.
 *
 * @param secret 64 random bytes
 */
export function createSpake2(side: Side, password: Uint8Array, secret: Uint8Array): Spake2 {
  const other: Side = side === 'client' ? 'server' : 'client'
  const hash = createHash('sha512').update(password).digest()
  const ours = little(secret) % ORDER
  const mask = (of: Side): Curve => timesEight(MASKS[of].multiplyUnsafe(eighthOf(little(hash) % ORDER)))
  const message = timesEight(Point.BASE.multiply(ours)).add(mask(side)).toBytes()
  return {
    message,
    keyFrom(theirs) {
      const shared = timesEight(pointOf(theirs).subtract(mask(other)).multiplyUnsafe(ours)).toBytes()
      const messages = side === 'client' ? [message, theirs] : [theirs, message]
      const key = createHash('sha512')
      for (const part of [NAMES.client, NAMES.server, ...messages, shared, hash]) {
        const bytes = Buffer.from(part)
        const length = Buffer.alloc(8)
        length.writeBigUInt64LE(BigInt(bytes.length))
        key.update(length).update(bytes)
      }
      return key.digest()
    }
  }
}

/** It is no multiple of eight; a multiple of the order is added that makes it one. */
function eighthOf(scalar: bigint): bigint {
  let sum = scalar
  while (sum % 8n !== 0n) sum += ORDER
  return sum / 8n
}

/** what lies outside the large subgroup is gone then */
const timesEight = (point: Curve): Curve => point.double().double().double()

const little = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`)

function pointOf(bytes: Uint8Array): Curve {
  try {
    return Point.fromBytes(bytes, true)
  } catch {
    throw new TvProtocolError('the TV sent what is no point of the curve')
  }
}
