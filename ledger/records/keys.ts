import { createPrivateKey, createPublicKey, hash, type KeyObject, sign, verify } from 'node:crypto'
import type { PrivateKey } from '@libp2p/interface'
import { base58btc } from 'multiformats/bases/base58'
import { MalformedError } from '../errors.ts'
import type { AccountId } from './types.ts'

export const KEY_BYTES = 32
export const HASH_BYTES = 32
export const SIGNATURE_BYTES = 64

/** Identity multihash of the protobuf `{ type: Ed25519, data: 32 bytes }`: a peer id is this and the key. */
const ID_PREFIX = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20)

/** A key object costs 20 µs to make and every certificate needs the same few; bounded against strangers. */
const MAX_CACHED_KEYS = 20_000

/**
 * A signature costs 100 µs to verify, and a node meets the same one up to four times: its own under an order, that of
 * a witness or worker first alone and then in a certificate or receipt. Only good ones are kept, 200 bytes each.
 */
const MAX_GOOD_SIGNATURES = 10_000
/** Longer messages, such as entries of the logs, are met once. */
const MAX_REMEMBERED_BYTES = 256

const goodSignatures = new Set<string>()
const idsByKey = new Map<string, AccountId>()
const keysById = new Map<AccountId, Uint8Array>()
const keyObjects = new Map<AccountId, KeyObject>()

/** The account (peer id string) of a raw Ed25519 public key. */
export function accountOf(key: Uint8Array): AccountId {
  return cached(idsByKey, latin1(key), () => {
    if (key.length !== KEY_BYTES) throw new MalformedError(`a key has ${KEY_BYTES} bytes, got ${key.length}`)
    return base58btc.baseEncode(Buffer.concat([ID_PREFIX, key]))
  })
}

/**
 * The raw Ed25519 public key inside an account id.
 *
 * @throws {MalformedError} not the peer id of an Ed25519 key
 */
export function keyOf(account: AccountId): Uint8Array {
  return cached(keysById, account, () => {
    let bytes: Uint8Array
    try {
      bytes = base58btc.baseDecode(account.slice(0, 64))
    } catch {
      bytes = new Uint8Array()
    }
    const isEd25519 = bytes.length === 38 && ID_PREFIX.every((byte, index) => bytes[index] === byte)
    if (!isEd25519)
      throw new MalformedError(
        `${account.slice(0, 80)} is not an account: expected the peer id of an Ed25519 key`
      )
    return bytes.slice(ID_PREFIX.length)
  })
}

export interface Signer {
  readonly account: AccountId
  /** Signs `domain ‖ 0 ‖ bytes`: a signature made for one purpose is worthless for every other. */
  sign(domain: string, bytes: Uint8Array): Uint8Array
}

/** node:crypto signs in 40 µs, a tenth of what a promise through libp2p's key costs. */
export function createSigner(privateKey: PrivateKey): Signer {
  if (privateKey.type !== 'Ed25519')
    throw new TypeError(`The ledger needs an Ed25519 key, got ${privateKey.type}`)
  const raw = privateKey.raw
  const publicKey = privateKey.publicKey.raw
  const key = createPrivateKey({
    key: { kty: 'OKP', crv: 'Ed25519', d: base64url(raw.subarray(0, KEY_BYTES)), x: base64url(publicKey) },
    format: 'jwk'
  })
  const account = accountOf(publicKey)
  return {
    account,
    sign: (domain, bytes) => {
      const signature = sign(null, tagged(domain, bytes), key)
      remember(nameOf(account, domain, bytes, signature))
      return signature
    }
  }
}

/** Whether `signature` is the account's over `domain ‖ 0 ‖ bytes`. Never throws. */
export function isSignedBy(
  account: AccountId,
  domain: string,
  bytes: Uint8Array,
  signature: Uint8Array
): boolean {
  if (signature.length !== SIGNATURE_BYTES) return false
  const name = nameOf(account, domain, bytes, signature)
  if (name != null && goodSignatures.has(name)) return true
  try {
    const key = cached(keyObjects, account, () =>
      createPublicKey({
        key: { kty: 'OKP', crv: 'Ed25519', x: base64url(keyOf(account)) },
        format: 'jwk'
      })
    )
    const isGood = verify(null, tagged(domain, bytes), key, signature)
    if (isGood) remember(name)
    return isGood
  } catch {
    // not a key at all, so it signed nothing
    return false
  }
}

export function sha256(bytes: Uint8Array): Uint8Array {
  return hash('sha256', bytes, 'buffer')
}

export function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0
}

/** Everything that a verification depends on; undefined where it is too long to be kept. */
function nameOf(
  account: AccountId,
  domain: string,
  bytes: Uint8Array,
  signature: Uint8Array
): string | undefined {
  if (bytes.length > MAX_REMEMBERED_BYTES) return undefined
  return `${account}\0${domain}\0${latin1(signature)}${latin1(bytes)}`
}

function remember(name: string | undefined): void {
  if (name == null) return
  if (goodSignatures.size >= MAX_GOOD_SIGNATURES)
    goodSignatures.delete(goodSignatures.values().next().value as string)
  goodSignatures.add(name)
}

function latin1({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('latin1')
}

function tagged(domain: string, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${domain}\0`), bytes])
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url')
}

function cached<K, V>(cache: Map<K, V>, key: K, make: () => V): V {
  let value = cache.get(key)
  if (value === undefined) {
    value = make()
    if (cache.size >= MAX_CACHED_KEYS) cache.delete(cache.keys().next().value as K)
    cache.set(key, value)
  }
  return value
}
