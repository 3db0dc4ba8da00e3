import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto'

const NONCE = 12
const TAG = 16

const keyOf = (namespaceKey: Uint8Array): Uint8Array =>
  createHmac('sha256', namespaceKey).update('seal').digest()

/** AES-256-GCM under the key of a namespace; `place` is where it belongs, so that it is nothing elsewhere. */
export function seal(bytes: Uint8Array, namespaceKey: Uint8Array, place: Uint8Array): Uint8Array {
  const nonce = randomBytes(NONCE)
  const cipher = createCipheriv('aes-256-gcm', keyOf(namespaceKey), nonce).setAAD(place)
  return Buffer.concat([nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()])
}

/** @throws the bytes are not what was sealed here */
export function unseal(sealed: Uint8Array, namespaceKey: Uint8Array, place: Uint8Array): Uint8Array {
  const cipher = createDecipheriv('aes-256-gcm', keyOf(namespaceKey), sealed.subarray(0, NONCE))
  cipher.setAAD(place).setAuthTag(sealed.subarray(-TAG))
  return Buffer.concat([cipher.update(sealed.subarray(NONCE, -TAG)), cipher.final()])
}
