import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { MalformedMessageError } from '../errors.ts'

/* AES-256-GCM: nonce, sealed bytes, tag. */

const NONCE_BYTES = 12
const TAG_BYTES = 16
const NOTHING = new Uint8Array()

/** `about` is not in it, but opens it again. */
export function sealWith(key: Uint8Array, data: Uint8Array, about: Uint8Array = NOTHING): Uint8Array {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(about)
  return new Uint8Array(Buffer.concat([nonce, cipher.update(data), cipher.final(), cipher.getAuthTag()]))
}

/** @throws {MalformedMessageError} sealed with another key or about something else, or damaged */
export function openWith(key: Uint8Array, sealed: Uint8Array, about: Uint8Array = NOTHING): Uint8Array {
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES), {
      authTagLength: TAG_BYTES
    })
    decipher.setAAD(about)
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
    const data = decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES))
    return new Uint8Array(Buffer.concat([data, decipher.final()]))
  } catch {
    throw new MalformedMessageError('what was sealed cannot be opened')
  }
}
