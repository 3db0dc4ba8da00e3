import { ed25519 } from '@noble/curves/ed25519.js'
import { sha256 } from '@noble/hashes/sha2.js'

/*
 * In place of node:crypto, as far as answers, blocks and the ledger's signatures use it: browsers have the same only as
 * promises.
 */

interface Jwk {
  key: { d?: string; x: string }
}

const bytesOf = (text: string | undefined): Uint8Array => Buffer.from(text ?? '', 'base64url')

export const hash = (_: 'sha256', bytes: Uint8Array): Uint8Array => Buffer.from(sha256(bytes))
export const createPrivateKey = ({ key }: Jwk): Uint8Array => bytesOf(key.d)
export const createPublicKey = ({ key }: Jwk): Uint8Array => bytesOf(key.x)
export const sign = (_: null, bytes: Uint8Array, key: Uint8Array): Uint8Array =>
  Buffer.from(ed25519.sign(bytes, key))
export const verify = (_: null, bytes: Uint8Array, key: Uint8Array, signature: Uint8Array): boolean =>
  ed25519.verify(signature, bytes, key)
