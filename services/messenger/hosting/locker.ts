import { hkdfSync, randomBytes } from 'node:crypto'
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { z } from 'zod'
import type { KeyOf } from '../../host/index.ts'
import { bytesOf, pack, unpack } from '../core/codec.ts'
import { openWith, sealWith } from '../device/seal.ts'
import { MalformedMessageError } from '../errors.ts'
import { newSeed, readCode } from '../school/invitation.ts'

/*
 * What opens a person who has his home here: one key, which seals his device's key and his database, and is itself sealed by
 * his password and by his recovery code. Nothing else opens it.
 */

const KEY_BYTES = 32
const SALT_BYTES = 16
/** nonce and tag of AES-256-GCM beside the key */
const SEALED_BYTES = KEY_BYTES + 28
const MAX_BYTES = 1024
const FOR_PASSWORD = Buffer.from('artel/messenger/home/password')
const FOR_CODE = Buffer.from('artel/messenger/home/code')
const FOR_DEVICE = Buffer.from('artel/messenger/home/device')

const byPassword = z.object({ salt: bytesOf(SALT_BYTES), sealed: bytesOf(SEALED_BYTES) })
const schema = z.object({
  device: bytesOf(SEALED_BYTES),
  /** two while the password is being changed */
  passwords: z.array(byPassword).min(1).max(2),
  code: bytesOf(SEALED_BYTES).optional()
})
/** As it is on the disk. */
export type Locker = z.output<typeof schema>
export interface Opened {
  /** of the database */
  key: Uint8Array
  /** of the device */
  seed: Uint8Array
  /** whether a recovery code opens it, too */
  hasCode: boolean
}
/** What a password makes of a salt. */
export interface Lock {
  salt: Uint8Array
  key: Uint8Array
}

export async function lockOf(keyOf: KeyOf): Promise<Lock> {
  const salt = new Uint8Array(randomBytes(SALT_BYTES))
  return { salt, key: await keyOf(salt) }
}

const sealedBy = ({ salt, key: lock }: Lock, key: Uint8Array): Locker['passwords'][number] => ({
  salt,
  sealed: sealWith(lock, key, FOR_PASSWORD)
})
const lockOfCode = (code: string): Uint8Array =>
  new Uint8Array(hkdfSync('sha256', readCode(code).seed, new Uint8Array(), FOR_CODE, KEY_BYTES))

/** Undefined: sealed with another. */
function tryOpen(lock: Uint8Array, sealed: Uint8Array, about: Uint8Array): Uint8Array | undefined {
  try {
    return openWith(lock, sealed, about)
  } catch (error) {
    if (error instanceof MalformedMessageError) return undefined
    throw error
  }
}
const openedWith = ({ device, code }: Locker, key: Uint8Array): Opened => ({
  key,
  seed: openWith(key, device, FOR_DEVICE),
  hasCode: code != null
})

/** A new one, with a new device in it. */
export function makeLocker(lock: Lock): { locker: Locker; opened: Opened } {
  const [key, seed] = [new Uint8Array(randomBytes(KEY_BYTES)), newSeed()]
  const locker = { device: sealWith(key, seed, FOR_DEVICE), passwords: [sealedBy(lock, key)] }
  return { locker, opened: { key, seed, hasCode: false } }
}

/** What a password makes of it; `opened`: it is the right one. */
export async function openByPassword(locker: Locker, keyOf: KeyOf): Promise<{ lock: Lock; opened?: Opened }> {
  let lock: Lock | undefined
  for (const { salt, sealed } of locker.passwords) {
    lock = { salt, key: await keyOf(salt) }
    const key = tryOpen(lock.key, sealed, FOR_PASSWORD)
    if (key != null) return { lock, opened: openedWith(locker, key) }
  }
  return { lock: lock! }
}

/** Undefined: another code, or there is none. @throws {MalformedMessageError} this is no code */
export function openByCode(locker: Locker, code: string): Opened | undefined {
  const key = locker.code == null ? undefined : tryOpen(lockOfCode(code), locker.code, FOR_CODE)
  return key == null ? undefined : openedWith(locker, key)
}

/** The same, opened by these passwords and no others. */
export const withLocks = (locker: Locker, key: Uint8Array, locks: readonly Lock[]): Locker => ({
  ...locker,
  passwords: locks.map(lock => sealedBy(lock, key))
})
/** The same, opened by this recovery code and no other. */
export const withCode = (locker: Locker, key: Uint8Array, code: string): Locker => ({
  ...locker,
  code: sealWith(lockOfCode(code), key, FOR_CODE)
})

/** Undefined: there is none. @throws {MalformedMessageError} it is damaged */
export async function readLocker(file: string): Promise<Locker | undefined> {
  try {
    return unpack(schema, new Uint8Array(await readFile(file)), MAX_BYTES, file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** On the disk as a whole when it resolves, or as it was. */
export async function writeLocker(file: string, { device, passwords, code }: Locker): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  const next = `${file}.new`
  {
    await using made = await open(next, 'w', 0o600)
    await made.writeFile(pack({ device, passwords, ...(code == null ? {} : { code }) }))
    await made.sync()
  }
  await rename(next, file)
}
