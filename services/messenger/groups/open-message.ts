import { createDecipheriv, createSecretKey, hash } from 'node:crypto'
import type { ClientState } from 'ts-mls'
import { isEqual } from '../core/codec.ts'
import { MalformedMessageError } from '../errors.ts'

/*
 * Opening an application message of a group as RFC 9420, section 6.3, has it. The library comes to the same by encoders of
 * encoders and a promise for each hash, at three times the time, and everybody in a chat opens every message of it.
 */

const VERSION = 1
const PRIVATE_MESSAGE = 2
const APPLICATION = 1
const HASH_BYTES = 32
const BLOCK_BYTES = 64
const KEY_BYTES = 16
const NONCE_BYTES = 12
const TAG_BYTES = 16
const GUARD_BYTES = 4

/** The keys of what a member writes: those that come next, and those of messages that were skipped, by their numbers. */
export interface Keys {
  secret: Uint8Array
  generation: number
  unusedGenerations: Record<number, Uint8Array>
}

const damaged = (why: string): never => {
  throw new MalformedMessageError(`a message cannot be opened: ${why}`)
}

class Reader {
  #at = 0
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }
  number(length: number): number {
    let value = 0
    for (const byte of this.take(length)) value = value * 256 + byte
    return value
  }
  take(length: number): Uint8Array {
    const end = this.#at + length
    if (end > this.#bytes.length) damaged('it is cut off')
    const taken = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return taken
  }
  /** Bytes behind their length (section 2.1.2). */
  vector(): Uint8Array {
    const first = this.number(1)
    const more = (1 << (first >> 6)) - 1
    if (more > 3) damaged('a length has no such form')
    return this.take((first & 0x3f) * 256 ** more + this.number(more))
  }
  rest(): Uint8Array {
    return this.take(this.#bytes.length - this.#at)
  }
}

const numberOf = (value: number, length: number): Buffer => {
  const bytes = Buffer.alloc(length)
  bytes.writeUIntBE(value, 0, length)
  return bytes
}
function vectorOf(bytes: Uint8Array): Buffer {
  const { length } = bytes
  if (length < 2 ** 6) return Buffer.concat([Uint8Array.of(length), bytes])
  return Buffer.concat([
    length < 2 ** 14 ? numberOf(length + 2 ** 14, 2) : numberOf(length + 2 ** 31, 4),
    bytes
  ])
}

/** HMAC of RFC 2104 for keys of at most a block; two hashes at once take less than making an object for it. */
function hmac(key: Uint8Array, message: Uint8Array): Uint8Array {
  const inner = new Uint8Array(BLOCK_BYTES + message.length).fill(0x36, 0, BLOCK_BYTES)
  const outer = new Uint8Array(BLOCK_BYTES + HASH_BYTES).fill(0x5c, 0, BLOCK_BYTES)
  for (let i = 0; i < key.length; i++) {
    inner[i]! ^= key[i]!
    outer[i]! ^= key[i]!
  }
  inner.set(message, BLOCK_BYTES)
  outer.set(hash('sha256', inner, 'buffer'), BLOCK_BYTES)
  return hash('sha256', outer, 'buffer')
}

const labels = new Map(
  ['secret', 'key', 'nonce'].map(label => [label, vectorOf(Buffer.from(`MLS 1.0 ${label}`))])
)

/** ExpandWithLabel (section 8) where one block of HKDF is enough. */
function expand(secret: Uint8Array, label: string, context: Uint8Array, length: number): Uint8Array {
  const info = Buffer.concat([numberOf(length, 2), labels.get(label)!, vectorOf(context), Uint8Array.of(1)])
  return hmac(secret, info).subarray(0, length)
}
const derive = (secret: Uint8Array, label: string, generation: number, length: number): Uint8Array =>
  expand(secret, label, numberOf(generation, 4), length)

/** @throws {MalformedMessageError} */
function decrypt(key: Uint8Array, nonce: Uint8Array, about: Uint8Array, sealed: Uint8Array): Uint8Array {
  if (sealed.length < TAG_BYTES) damaged('it is cut off')
  const decipher = createDecipheriv('aes-128-gcm', createSecretKey(key), nonce, {
    authTagLength: TAG_BYTES
  })
  decipher.setAAD(about)
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
  const opened = decipher.update(sealed.subarray(0, -TAG_BYTES))
  try {
    decipher.final()
  } catch {
    return damaged('it was sealed with another key, or changed')
  }
  return opened
}

/**
 * The secret of one message, and the keys without it. Pure.
 *
 * @throws {MalformedMessageError} it was used, or too many would be skipped
 */
function advance(
  keys: Keys,
  number: number,
  { most, kept }: { most: number; kept: number }
): { secret: Uint8Array; keys: Keys } {
  if (number < keys.generation) {
    const { [number]: secret, ...unusedGenerations } = keys.unusedGenerations
    if (secret == null) return damaged('it was opened already')
    return { secret, keys: { ...keys, unusedGenerations } }
  }
  if (number - keys.generation > most) damaged('too many before it are missing')
  let { secret, unusedGenerations } = keys
  if (number > keys.generation) {
    const skipped = new Map(Object.entries(unusedGenerations))
    for (let at = keys.generation; at < number; at++) {
      skipped.set(String(at), secret)
      secret = derive(secret, 'secret', at, HASH_BYTES)
    }
    // numbers are in their order
    unusedGenerations = Object.fromEntries([...skipped].slice(-kept))
  }
  const next = derive(secret, 'secret', number, HASH_BYTES)
  return { secret, keys: { secret: next, generation: number + 1, unusedGenerations } }
}

/**
 * What a member sealed, and his keys after it; not whether he signed it.
 *
 * @throws {MalformedMessageError} it is not for this group, was opened already, or is damaged
 */
export function openMessage(
  { groupContext, keySchedule, secretTree }: Pick<ClientState, 'groupContext' | 'keySchedule' | 'secretTree'>,
  bytes: Uint8Array,
  limits: { most: number; kept: number }
): { leaf: number; keys: Keys; data: Uint8Array } {
  const message = new Reader(bytes)
  if (message.number(2) !== VERSION || message.number(2) !== PRIVATE_MESSAGE)
    damaged('this is no message of a group')
  const group = message.vector()
  const epoch = message.take(8)
  const type = message.take(1)
  if (!isEqual(group, groupContext.groupId)) damaged('it is of another group')
  if (Buffer.from(epoch).readBigUInt64BE() !== groupContext.epoch) damaged('it is of another epoch')
  if (type[0] !== APPLICATION) damaged('nobody commits in a group')
  const authenticated = message.vector()
  const sealedSender = message.vector()
  const sealed = message.vector()
  if (message.rest().length > 0) damaged('it goes on behind its end')

  const about = Buffer.concat([vectorOf(group), epoch, type])
  const sample = sealed.subarray(0, HASH_BYTES)
  const { senderDataSecret } = keySchedule
  const sender = new Reader(
    decrypt(
      expand(senderDataSecret, 'key', sample, KEY_BYTES),
      expand(senderDataSecret, 'nonce', sample, NONCE_BYTES),
      about,
      sealedSender
    )
  )
  const leaf = 2 * sender.number(4)
  const number = sender.number(4)
  const guard = sender.take(GUARD_BYTES)
  const before = secretTree[leaf]
  if (before == null) return damaged('its author is not in the group')
  const { secret, keys } = advance(before.application, number, limits)
  const nonce = Uint8Array.from(derive(secret, 'nonce', number, NONCE_BYTES))
  for (let i = 0; i < GUARD_BYTES; i++) nonce[i]! ^= guard[i]!
  const key = derive(secret, 'key', number, KEY_BYTES)
  const content = new Reader(decrypt(key, nonce, Buffer.concat([about, vectorOf(authenticated)]), sealed))
  const data = content.vector()
  content.vector()
  if (content.rest().some(byte => byte !== 0)) damaged('its end is not empty')
  return { leaf, keys, data }
}
