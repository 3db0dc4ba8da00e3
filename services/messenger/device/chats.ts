import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { Signer } from '../../../ledger/index.ts'
import { ConflictError, transact } from '../../host/index.ts'
import {
  bytesOf,
  fromHex,
  hashOf,
  isEqual,
  NO_HASH,
  pack,
  type Signed,
  toHex,
  unpack
} from '../core/codec.ts'
import { MAX_FILE_BYTES } from '../core/constants.ts'
import {
  BLOB_BYTES,
  type Event,
  type EventBody,
  type EventKind,
  eventId,
  type Head,
  MAX_AFTER,
  MAX_EVENT_BYTES,
  signEvent
} from '../core/event.ts'
import { headOf } from '../core/generation.ts'
import { timeAfter } from '../core/order.ts'
import { MalformedMessageError, PolicyError, UnknownChatError } from '../errors.ts'
import type { Mls } from '../groups/mls.ts'
import { inboxOf, putInto, readEnvelope } from '../mailbox/envelope.ts'
import type { School } from '../school/school.ts'
import { type InTurn, transactLater } from '../store/database.ts'
import type { Groups } from './groups.ts'
import type { Intake } from './intake.ts'
import { withoutMetadata } from './pictures.ts'
import { ANNOUNCED, type Post } from './post.ts'
import { openWith, sealWith } from './seal.ts'
import type { DeviceStore } from './store.ts'
import type { Sync } from './sync.ts'

const carried = z.tuple([bytesOf(1, MAX_EVENT_BYTES), bytesOf(64)])

export interface ChatsInit {
  self: string
  signer: Signer
  mls: Mls
  store: DeviceStore
  school: School
  intake: Intake
  post: Post
  groups: Groups
  sync: Sync
  inTurn: InTurn
  now(): number
  onTaken(grp: string, events: readonly Event[]): void
  log(message: string, ...args: unknown[]): void
}
export type Chats = ReturnType<typeof createChats>

/** Says things in groups, and takes in what others say. */
export function createChats(init: ChatsInit) {
  const { self, signer, mls, store, school, intake, post, groups, sync, inTurn, now, onTaken, log } = init
  const inbox = inboxOf(self)

  /** Ends of the chains of the others that nothing here comes after yet. */
  function tips(grp: string): Head[] {
    const generations = store.generations(grp)
    const cut = intake.cutOf(generations)
    return store
      .heads(grp)
      .filter(([device, seq]) => device !== self && seq > (cut.find(([each]) => each === device)?.[1] ?? -1))
      .map(head => ({ head, timeMs: store.at(grp, head[0], head[1])!.timeMs }))
      .sort((a, b) => b.timeMs - a.timeMs)
      .slice(0, MAX_AFTER)
      .map(({ head }) => head)
  }

  /** To be called in the turn of the group. @throws {PolicyError} before anything is written */
  async function say<K extends EventKind>(
    grp: string,
    kind: K,
    body: EventBody<K>,
    key?: string
  ): Promise<string> {
    const before = key == null ? undefined : store.sentAs(key)
    if (before != null) {
      const there = store.event(before)?.event
      if (there != null && !isEqual(pack([there.group, there.body]), pack([fromHex(grp), body])))
        throw new ConflictError('this key came before with another message; take a new key for a new message')
      return before
    }
    if (groups.hasRevoked(grp)) await groups.renew(grp)
    const { newest } = groups.current(grp)
    if (newest.state == null || !newest.devices.includes(self))
      throw new PolicyError('this device is not in the chat any more, or waits for its keys')
    const own = store.heads(grp).find(([device]) => device === self)
    const cut = newest.heads.find(([device]) => device === self)
    // others may have more of the own chain than is here, as after a restore: nothing is said in a place that is taken
    const [, seq, prev] = (headOf(newest.heads, self) > (own?.[1] ?? -1) ? cut : own) ?? [self, -1, NO_HASH]
    const event = {
      group: newest.group,
      device: self,
      seq: seq + 1,
      prev,
      after: tips(grp),
      roster: school.known().head,
      timeMs: timeAfter(store.newestMs(grp) ?? newest.timeMs, now()),
      kind,
      body
    } as Event
    const signed = signEvent(signer, event)
    const { state, message } = await mls.seal(newest.state, pack([signed.bytes, signed.signature]))
    const envelope = putInto(fromHex(newest.address!), message)
    const taken = transact(store.db, () => {
      const taken = intake.take(signed)
      if (taken.length === 0)
        throw new MalformedMessageError('the own chain is not whole; members give it back')
      store.saveState(grp, newest.g, state)
      post.post(envelope, eventId(signed))
      if (key != null) store.addSent(key, eventId(signed))
      return taken
    })
    post.wake()
    onTaken(grp, taken)
    return eventId(signed)
  }

  /** Opens an envelope at an address of a group, and keeps what is in it with the new state of the keys. */
  async function open(envelope: Uint8Array, grp: string, g: number): Promise<void> {
    const { id, bytes } = readEnvelope(envelope)
    if (isEqual(bytes, ANNOUNCED)) {
      store.see(id)
      await groups.follow(grp)
      return
    }
    await inTurn(grp, async () => {
      const generation = store.generations(grp).find(each => each.g === g)
      if (generation?.state == null || store.isSeen(id)) return
      let taken: Event[] = []
      try {
        const { state, data } = await mls.open(generation.state, bytes)
        const [event, signature] = unpack(carried, data, MAX_EVENT_BYTES + 1024, 'a message')
        // it stays at the mailbox; what is said next waits for the disk, and for this with it
        taken = transactLater(store.db, () => {
          store.see(id)
          store.saveState(grp, g, state)
          return takeIn({ bytes: event, signature })
        })
      } catch (error) {
        if (!(error instanceof MalformedMessageError)) throw error
        // members give the event again, if it is one
        log('an envelope of %s is not read: %s', grp, error.message)
        store.see(id)
      }
      if (taken.length > 0) onTaken(grp, taken)
    })
    if (store.waitingCount(grp) > 0) void sync.soon(grp)
  }

  function takeIn(signed: Signed): Event[] {
    try {
      return intake.take(signed)
    } catch (error) {
      log('an event is refused: %s', (error as Error).message)
      return []
    }
  }

  return {
    /** Reads an envelope from a mailbox or a member. */
    async read(envelope: Uint8Array): Promise<void> {
      const { id, address, bytes } = readEnvelope(envelope)
      if (isEqual(address, inbox)) {
        transact(store.db, () => {
          store.see(id)
          store.addWelcome(bytes)
        })
        await groups.joinPending()
        return
      }
      const place = store.generationAt(toHex(address))
      if (place != null) await open(envelope, place.grp, place.g)
    },

    /**
     * Resolves when it is on this disk. Its id; that of before, where it was said under the same key.
     *
     * @throws {PolicyError} {UnknownChatError} {NoMajorityError}
     * @throws {ConflictError} it was another message
     */
    say: <K extends EventKind>(grp: string, kind: K, body: EventBody<K>, key?: string): Promise<string> =>
      inTurn(grp, () => say(grp, kind, body, key)),

    /** @throws {PolicyError} {MailboxFullError} */
    async sendFile(grp: string, name: string, given: Uint8Array): Promise<string> {
      const bytes = withoutMetadata(given)
      if (bytes.length > MAX_FILE_BYTES)
        throw new PolicyError(`a file has at most 5 MB, this one has ${bytes.length} bytes`)
      const key = new Uint8Array(randomBytes(32))
      const address = new Uint8Array(randomBytes(32))
      const envelopes: Uint8Array[] = []
      for (let at = 0; at < bytes.length; at += BLOB_BYTES)
        envelopes.push(putInto(address, sealWith(key, bytes.subarray(at, at + BLOB_BYTES))))
      const blobs = envelopes.map(hashOf)
      transact(store.db, () => {
        for (const [i, envelope] of envelopes.entries()) store.addBlob(toHex(blobs[i]!), envelope)
      })
      if (envelopes.length > 0) await post.putNow(envelopes)
      return this.say(grp, 'file', { name, size: bytes.length, hash: hashOf(bytes), key, blobs })
    },

    /** @throws {UnknownChatError} it is no file, or nobody who answers has it */
    async readFile(id: string): Promise<{ name: string; bytes: Uint8Array }> {
      const found = store.event(id)
      if (found?.event.kind !== 'file') throw new UnknownChatError(`there is no file ${id.slice(0, 64)}`)
      const { name, size, hash, key, blobs } = found.event.body
      const parts: Uint8Array[] = []
      for (const blob of blobs.map(toHex)) {
        const here = store.blob(blob)
        const bytes =
          here == null ? await post.fetch(blob, sync.othersIn(found.grp)) : readEnvelope(here).bytes
        if (bytes == null) throw new UnknownChatError(`nobody who answers has all of ${name} now`)
        parts.push(openWith(key, bytes))
      }
      const bytes = new Uint8Array(Buffer.concat(parts))
      if (bytes.length !== size || !isEqual(hashOf(bytes), hash))
        throw new MalformedMessageError(`${name} is not what was sent`)
      return { name, bytes }
    }
  }
}
