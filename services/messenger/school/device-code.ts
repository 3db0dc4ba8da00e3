import { z } from 'zod'
import { bytesOf, hash32, hashOf, keyName, pack, unpack } from '../core/codec.ts'
import { userId } from '../core/statement.ts'
import { MalformedMessageError } from '../errors.ts'

/* A code by which a device of a person lets in another of his, and the digits by which he sees that it is that one. Pure. */

/** Not that of an invitation. */
const MARK = 'device.'
const MAX_BYTES = 1024
export const SECRET_BYTES = 16

export interface DeviceCode {
  school: Uint8Array
  user: string
  /** the device that vouches, and its node */
  by: string
  peer: string
  secret: Uint8Array
}

/** Both ends of a pairing, and what each threw in. */
export interface Ends extends Omit<DeviceCode, 'secret'> {
  device: string
  devicePeer: string
  nonces: readonly [ofBy: Uint8Array, ofDevice: Uint8Array]
}

const tuple = z.tuple([hash32, userId, keyName, keyName, bytesOf(SECRET_BYTES)])

export const isDeviceCode = (code: string): boolean => code.trim().startsWith(MARK)

export const writeDeviceCode = ({ school, user, by, peer, secret }: DeviceCode): string =>
  MARK + Buffer.from(pack([school, user, by, peer, secret])).toString('base64url')

/** @throws {MalformedMessageError} no code of a device */
export function readDeviceCode(code: string): DeviceCode {
  const bytes = new Uint8Array(Buffer.from(code.trim().slice(MARK.length), 'base64url'))
  if (!isDeviceCode(code) || bytes.length === 0)
    throw new MalformedMessageError('this is no code of a device')
  const [school, user, by, peer, secret] = unpack(tuple, bytes, MAX_BYTES, 'the code of a device')
  return { school, user, by, peer, secret }
}

/** What the new device says of its nonce before it hears the other: it cannot choose one that gives the right digits. */
export const commitmentTo = (nonce: Uint8Array): Uint8Array => hashOf(pack(['commitment', nonce]))

/** Six digits that are the same on both devices where nobody is between them; else so once in a million. */
export function digitsOf({ school, user, by, peer, device, devicePeer, nonces }: Ends): string {
  const hash = hashOf(pack(['digits', school, user, by, peer, device, devicePeer, ...nonces]))
  return String(Buffer.from(hash).readUIntBE(0, 6) % 1_000_000).padStart(6, '0')
}
