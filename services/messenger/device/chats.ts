import { randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import type { Signer } from '../../../ledger/index.ts'
import { ConflictError, transact } from '../../host/index.ts'
import { bytesOf, fromHex, hashOf, isEqual, NO_HASH, pack, toHex, unpack } from '../core/codec.ts'
import { MAX_FILE_BYTES, REPORTS_TITLE } from '../core/constants.ts'
import {
  BLOB_BYTES,
  type Event,
  type EventBody,
  type EventKind,
  eventId,
  type Head,
  MAX_AFTER,
  MAX_EVENT_BYTES,
  parseEvent,
  type Read,
  readSigned,
  signEvent
} from '../core/event.ts'
import { headOf } from '../core/generation.ts'
import { isSpoken, silencedUntil } from '../core/moderation.ts'
import { timeAfter } from '../core/order.ts'
import { MalformedMessageError, PolicyError, UnknownChatError } from '../errors.ts'
import type { Mls, Session } from '../groups/mls.ts'
import { type Envelope, inboxOf, putInto, readEnvelope } from '../mailbox/envelope.ts'
import type { School } from '../school/school.ts'
import { type InTurn, transactLater } from '../store/database.ts'
import { deletionsOf, leftBehind } from './deletions.ts'
import type { Groups } from './groups.ts'
import type { Intake } from './intake.ts'
import type { Leaving } from './leaving.ts'
import type { Notes } from './notes.ts'
import { ANNOUNCED, decisionIn, type Post } from './post.ts'
import { openWith, sealWith } from './seal.ts'
import type { DeviceStore, End } from './store.ts'
import type { Sync } from './sync.ts'
import { withoutMetadata } from './without-metadata.ts'

const MAX_SESSIONS = 200
/** Envelopes that came lately: each mailbox gives them. Of older ones the keys are gone; own ones are on the disk. */
const MAX_LATELY = 20_000

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
  leaving: Leaving
  sync: Sync
  notes: Pick<Notes, 'quiet' | 'silencing'>
  inTurn: InTurn
  now(): number
  /** what is committed is on the disk */
  kept(): Promise<void>
  onTaken(grp: string, events: readonly Event[]): void
  log(message: string, ...args: unknown[]): void
}
export type Chats = ReturnType<typeof createChats>

/** @throws {MalformedMessageError} also where its device did not sign it */
function readSaid(data: Uint8Array): Read {
  const [bytes, signature] = unpack(carried, data, MAX_EVENT_BYTES + 1024, 'a message')
  return readSigned({ bytes, signature })
}

/** Says things in groups, and takes in what others say. */
export function createChats(init: ChatsInit) {
  const {
    self,
    signer,
    mls,
    store,
    school,
    intake,
    post,
    groups,
    leaving,
    sync,
    notes,
    inTurn,
    now,
    onTaken,
    log
  } = init
  const inbox = toHex(inboxOf(self))
  /** of generations in use; as the disk has them */
  const sessions = new LRUCache<string, Session>({ max: MAX_SESSIONS })
  const lately = new LRUCache<string, true>({ max: MAX_LATELY })
  const sessionKey = (grp: string, g: number): string => `${grp} ${g}`
  const sessionOf = (grp: string, g: number, state: Uint8Array): Session =>
    sessions.get(sessionKey(grp, g)) ?? mls.session(state, store.ratchets(grp, g))

  /** Ends of the chains of the others that nothing here comes after yet. */
  function tips(grp: string, ends: readonly End[]): Head[] {
    const cut = intake.cutOf(store.generations(grp))
    return ends
      .filter(({ device, seq }) => device !== self && seq > headOf(cut, device))
      .sort((a, b) => b.timeMs - a.timeMs)
      .slice(0, MAX_AFTER)
      .map(({ device, seq, id }) => [device, seq, fromHex(id)])
  }

  /** @throws {PolicyError} nobody would be shown what this person says */
  function checkSilence(grp: string): void {
    const user = school.known().person(self)?.id
    const silence = user == null ? undefined : notes.silencing(grp)(user)
    if (silence == null) return
    const until = new Date(silencedUntil(silence)).toISOString()
    throw new PolicyError(`you are silenced in this chat until ${until}: ${silence.body.reason}`)
  }

  /** @throws {PolicyError} nobody would be shown it now whom it is for */
  function checkQuiet(title: string): void {
    const quiet = notes.quiet()
    // who needs help is not kept waiting
    if (quiet == null || title === REPORTS_TITLE) return
    const until = new Date(quiet.until).toISOString()
    throw new PolicyError(`these are quiet hours, until ${until}; what send-later keeps goes then by itself`)
  }

  /** @throws {PolicyError} this device may not say it there now */
  function checkMay(grp: string, kind: EventKind) {
    const { newest } = groups.current(grp)
    const { state, devices, title } = newest
    if (leaving.hasGone(grp)) throw new PolicyError('you have left this chat')
    if (state == null || !devices.includes(self))
      throw new PolicyError('this device is not in the chat any more, or waits for its keys')
    if (isSpoken(kind)) {
      checkSilence(grp)
      checkQuiet(title)
    }
    return { ...newest, state }
  }

  /**
   * To be called in the turn of the group. Its id; undefined: the group must be renewed first.
   *
   * @throws {PolicyError} before anything is written
   */
  async function say<K extends EventKind>(
    grp: string,
    kind: K,
    body: EventBody<K>,
    key?: string
  ): Promise<string | undefined> {
    const before = key == null ? undefined : store.sentAs(key)
    if (before != null) {
      const there = store.event(before)?.event
      if (there != null && !isEqual(pack([there.group, there.body]), pack([fromHex(grp), body])))
        throw new ConflictError('this key came before with another message; take a new key for a new message')
      return before
    }
    // who has read a revocation goes on without that device first
    if (groups.hasRevoked(grp)) return undefined
    const newest = checkMay(grp, kind)
    const ends = store.ends(grp)
    const end = ends.find(({ device }) => device === self)
    const own: Head | undefined = end && [self, end.seq, fromHex(end.id)]
    const cut = newest.heads.find(([device]) => device === self)
    // others may have more of the own chain than is here, as after a restore: nothing is said in a place that is taken
    const [, seq, prev] = (headOf(newest.heads, self) > (own?.[1] ?? -1) ? cut : own) ?? [self, -1, NO_HASH]
    const event = {
      group: newest.group,
      device: self,
      seq: seq + 1,
      prev,
      after: tips(grp, ends),
      roster: school.known().head,
      timeMs: timeAfter(store.newestMs(grp) ?? newest.timeMs, now()),
      kind,
      body
    } as Event
    const signed = signEvent(signer, event)
    const id = eventId(signed)
    const { session, ratchet, message } = await mls.seal(
      sessionOf(grp, newest.g, newest.state),
      pack([signed.bytes, signed.signature])
    )
    const envelope = putInto(fromHex(newest.address!), message)
    const taken = transactLater(store.db, () => {
      // as others read it: what they would refuse is not written
      const taken = intake.take(grp, [{ ...signed, id, event: parseEvent(signed) }], error => {
        throw error
      })
      if (taken.length === 0)
        throw new MalformedMessageError('the own chain is not whole; members give it back')
      store.saveRatchet(grp, newest.g, ratchet)
      lately.set(post.post(envelope, id), true)
      if (key != null) store.addSent(key, id)
      return taken
    })
    sessions.set(sessionKey(grp, newest.g), session)
    post.wake()
    onTaken(grp, taken)
    return id
  }

  /** Opens envelopes at an address of a group, and keeps what is in them with the new state of the keys. */
  async function open(
    envelopes: readonly Envelope[],
    grp: string,
    g: number,
    also: () => void
  ): Promise<void> {
    const decisions = envelopes.flatMap(({ bytes }) => decisionIn(bytes) ?? [])
    const isAnnounced = envelopes.some(({ bytes }) => isEqual(bytes, ANNOUNCED))
    const { taken, isWaiting } = await inTurn(grp, async () => {
      const state = store.generations(grp).find(each => each.g === g)?.state
      if (state == null) {
        sessions.delete(sessionKey(grp, g))
        transactLater(store.db, also)
        return { taken: [], isWaiting: false }
      }
      let session = sessionOf(grp, g, state)
      const moved = new Set<number>()
      const read = new Map<string, Read>()
      const unseen = envelopes.filter(({ id }) => !lately.has(id))
      for (const { id, bytes } of unseen) {
        if (decisionIn(bytes) != null || isEqual(bytes, ANNOUNCED)) continue
        try {
          const opened = mls.open(session, bytes)
          const said = readSaid(opened.data)
          const { device, seq } = said.event
          // a signature for each of its layers says the same twice, but not where somebody else may have sent it again
          const isNew = !read.has(said.id) && store.at(grp, device, seq) == null
          if (!(isNew && device === opened.from) && !(await opened.isSigned()))
            throw new MalformedMessageError('it is not from whom it says')
          session = opened.session
          moved.add(opened.leaf)
          read.set(said.id, said)
        } catch (error) {
          if (!(error instanceof MalformedMessageError)) throw error
          // an own one that comes back; of others members give the event again, if it is one
          if (!store.isSeen(id)) log('an envelope of %s is not read: %s', grp, error.message)
        }
      }
      // they stay at the mailbox; what is said next waits for the disk, and for this with it
      const done = transactLater(store.db, () => {
        for (const leaf of moved) store.saveRatchet(grp, g, mls.ratchet(session, leaf))
        also()
        const taken = intake.take(grp, [...read.values()], ({ message }) =>
          log('an event is refused: %s', message)
        )
        return { taken, isWaiting: store.waitingCount(grp) > 0 }
      })
      sessions.set(sessionKey(grp, g), session)
      for (const { id } of unseen) lately.set(id, true)
      return done
    })
    if (taken.length > 0) onTaken(grp, taken)
    // what comes next does not wait for other nodes
    if (isAnnounced || decisions.length > 0) void goOn(grp, g, isAnnounced, decisions)
    if (isWaiting) void sync.soon(grp)
  }

  async function goOn(grp: string, g: number, isAnnounced: boolean, decisions: Uint8Array[]): Promise<void> {
    try {
      for (const sealed of decisions) await groups.hear(grp, g, sealed)
      if (isAnnounced) await groups.follow(grp)
    } catch (error) {
      log('%s does not go on: %s', grp, (error as Error).message)
    }
  }

  const chats = {
    /** Reads envelopes of one address, from a mailbox; writes `also` with what they bring. */
    async read(address: string, envelopes: readonly Envelope[], also: () => void): Promise<void> {
      if (address === inbox) {
        transact(store.db, () => {
          for (const { id, bytes } of envelopes) {
            if (!store.isSeen(id)) store.addWelcome(bytes)
            store.see(id)
          }
          also()
        })
        void groups.joinPending().catch((error: Error) => log('nothing is joined: %s', error.message))
        return
      }
      const place = store.generationAt(address)
      if (place == null) transactLater(store.db, also)
      else await open(envelopes, place.grp, place.g, also)
    },

    /**
     * Resolves when it is on this disk. Its id; that of before, where it was said under the same key.
     *
     * @throws {PolicyError} {UnknownChatError} {NoMajorityError}
     * @throws {ConflictError} it was another message
     */
    async say<K extends EventKind>(grp: string, kind: K, body: EventBody<K>, key?: string): Promise<string> {
      for (;;) {
        const id = await inTurn(grp, () => say(grp, kind, body, key))
        if (id == null) await groups.renew(grp)
        else {
          await init.kept()
          return id
        }
      }
    },

    /**
     * Deletes a message with its edits, also with those that came after the own device had deleted it. Undefined: nothing of
     * it is left that is not deleted.
     *
     * @throws {PolicyError} {UnknownChatError} {NoMajorityError}
     */
    async remove(grp: string, message: string): Promise<string | undefined> {
      const own = store.deletesOf(message).filter(({ event }) => event.device === self)
      let first: string | undefined
      for (const body of deletionsOf(store, message, own)) {
        const id = await this.say(grp, 'delete', body)
        first ??= id
      }
      return first
    },
    /**
     * Says of what went with a deleted message what nobody has said, if this device may: of all, or of its own edits.
     *
     * @throws {PolicyError} {NoMajorityError}
     */
    finishRemoving: (grp: string, message: string, isOwn: boolean): Promise<void> =>
      // what is said is taken before it is looked at again
      inTurn(`deletions of ${grp}`, async () => {
        for (const body of leftBehind(store, intake, self, message, { isOwn, nowMs: now() }))
          await chats.say(grp, 'delete', body)
      }),

    /** @throws {PolicyError} {MailboxFullError} */
    async sendFile(grp: string, name: string, given: Uint8Array): Promise<string> {
      const bytes = withoutMetadata(given)
      if (bytes.length > MAX_FILE_BYTES)
        throw new PolicyError(`a file has at most 5 MB, this one has ${bytes.length} bytes`)
      // before megabytes of what is refused lie here and at mailboxes
      checkMay(grp, 'file')
      const { pupilFiles } = school.known().policy()
      if (!pupilFiles && school.known().person(self)?.role === 'pupil')
        throw new PolicyError('pupils send no files in this school')
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
  return chats
}
