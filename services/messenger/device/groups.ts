import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { Signer } from '../../../ledger/index.ts'
import { transact } from '../../host/index.ts'
import {
  bytesOf,
  count,
  hash32,
  hashOf,
  isEqual,
  NO_HASH,
  pack,
  type Signed,
  toHex,
  unpack
} from '../core/codec.ts'

import {
  checkFirst,
  checkSuccessor,
  type Generation,
  headOf,
  MAX_DEVICES,
  MAX_GENERATION_BYTES,
  readGeneration,
  signGeneration
} from '../core/generation.ts'
import { MalformedMessageError, NoMajorityError, PolicyError, UnknownChatError } from '../errors.ts'
import type { KeptGroup, Mls } from '../groups/mls.ts'
import { inboxOf, putInto } from '../mailbox/envelope.ts'
import type { Slot } from '../school/decide.ts'
import type { Network } from '../school/network.ts'
import type { School } from '../school/school.ts'
import type { InTurn, Own } from '../store/database.ts'
import { createDecisions, type Heard } from './decisions.ts'
import type { Intake } from './intake.ts'
import type { Leaving } from './leaving.ts'
import { takePackages } from './packages.ts'
import { decisionIn, type Post } from './post.ts'
import { openWith, sealWith } from './seal.ts'
import type { DeviceStore, KeptGeneration } from './store.ts'

const MAX_VOID = 16
const MAX_TRIES = 4
const MAX_WELCOME_BYTES = 256 * 1024
/** A chat in which something was said goes on with fresh keys that often: what a stolen one opens ends there. */
const FRESH_MS = 7 * 24 * 3_600_000
/** No clock that somebody sees to is wrong by that much. */
const AHEAD_MS = 24 * 3_600_000
const WELCOME_KEPT_MS = 30 * 24 * 3_600_000

const pair = z.tuple([bytesOf(1, MAX_GENERATION_BYTES), bytesOf(64)])
const slotValue = z.tuple([hash32, bytesOf(1, MAX_GENERATION_BYTES + 1024)])
const note = z.tuple([hash32, bytesOf(1, 256), bytesOf(1, 256)])
const noted = z.tuple([hash32])
const welcomeTuple = z.tuple([bytesOf(1, MAX_WELCOME_BYTES), bytesOf(1, MAX_WELCOME_BYTES)])
/** a generation, its signature, and the slot that decided on it: none for the first */
const inside = z.tuple([bytesOf(1, MAX_GENERATION_BYTES), bytesOf(64), z.tuple([hash32, count]).nullable()])

export interface GroupsInit {
  self: string
  signer: Signer
  mls: Mls
  store: DeviceStore
  own: Own
  school: School
  network: Network
  intake: Intake
  leaving: Leaving
  post: Post
  inTurn: InTurn
  now(): number
  signal: AbortSignal
  /** who is in it has changed, or this device is in a new one */
  onChanged(grp: string): void
}
export type Groups = ReturnType<typeof createGroups>

/** What a change makes of a group. */
export type Change = (now: { title: string; history: 'all' | 'joining'; users: readonly string[] }) => {
  title: string
  history: 'all' | 'joining'
  users: string[]
}

/** Makes generations of groups, follows them, and joins those that this device is added to. */
export function createGroups(init: GroupsInit) {
  const { self, signer, mls, store, own, school, network, intake, leaving, post, inTurn, now, signal } = init
  const { onChanged } = init

  const decisions = createDecisions(mls, store, school, network)

  const devicesOf = (users: readonly string[]): string[] =>
    users
      .flatMap(user =>
        school
          .known()
          .devicesOf(user)
          .map(({ id }) => id)
      )
      .sort()

  /** The newest generation that is known here, and the newest whose keys are here. */
  function current(grp: string): { generations: readonly KeptGeneration[]; newest: KeptGeneration } {
    const generations = store.generations(grp)
    const newest = generations.at(-1)
    if (newest == null) throw new UnknownChatError(`there is no chat ${grp.slice(0, 64)}`)
    return { generations, newest }
  }

  /** A fresh MLS group for a generation: its state, and the welcome of the others at the mailboxes. */
  async function prepare(signed: Signed, slot: [Uint8Array, number] | null) {
    const generation = readGeneration(signed)
    const others = generation.devices.filter(device => device !== self)
    const packages = await takePackages(others, school, network, signal)
    const { welcome, ...kept } = await mls.create(generation.hash, packages)
    const { state } = kept
    const key = await mls.secret(state, 'statement')
    const address = await mls.secret(state, 'address')
    if (welcome != null) {
      const sealed = sealWith(key, pack([signed.bytes, signed.signature, slot]))
      const blob = putInto(randomAddress(), pack([welcome, sealed]))
      const notes = await Promise.all(
        others.map(async device => {
          const bytes = packages.get(device)!
          const [enc, sealed] = await mls.sealTo(bytes, device, pack([hashOf(blob)]))
          return putInto(inboxOf(device), pack([hashOf(bytes), enc, sealed]))
        })
      )
      await post.putNow([blob, ...notes])
    }
    return { generation, own: { ...kept, address }, packages }
  }

  /** Keeps a generation; what does not count any more goes. Inside a transaction. */
  function keep(signed: Signed, own: Partial<KeptGroup> & { address?: Uint8Array } = {}): void {
    const { group, g } = readGeneration(signed)
    const grp = toHex(group)
    store.addGeneration(signed, own)
    if (own.state != null && g > 1) store.dropStates(grp, g - 1)
    intake.prune(grp)
    intake.retry(grp)
  }
  /** The same in the turn of its group: what is said and read meanwhile goes by the keys that it began with. */
  const keepInTurn = (grp: string, ...kept: Parameters<typeof keep>): Promise<void> =>
    inTurn(grp, async () => transact(store.db, () => keep(...kept)))

  /** What the slots after a generation say: its successor, or the slot that is still open. */
  async function successorOf(
    before: KeptGeneration
  ): Promise<{ found: Signed } | { open: Uint8Array; sealKey: Uint8Array } | undefined> {
    if (before.state == null) return undefined
    const sealKey = await mls.secret(before.state, 'seal')
    let key = await mls.secret(before.state, 'slot')
    for (let i = 0; i < MAX_VOID; i++) {
      const decided = await school.settle({ key, at: before.roster }, signal)
      if (decided == null) return { open: key, sealKey }
      const found = await validIn(decided.value, sealKey, before)
      if (found != null) return { found }
      // nobody can follow this; the next slot decides
      key = hashOf(pack([key, decided.value]))
    }
    throw new NoMajorityError('somebody fills the slots of this chat with what nobody can follow')
  }

  async function validIn(
    value: Uint8Array,
    sealKey: Uint8Array,
    before: KeptGeneration
  ): Promise<Signed | undefined> {
    try {
      const [hash, sealed] = unpack(slotValue, value, MAX_GENERATION_BYTES + 2048, 'the value of a slot')
      const [bytes, signature] = unpack(
        pair,
        openWith(sealKey, sealed),
        MAX_GENERATION_BYTES + 1024,
        'a generation'
      )
      const generation = readGeneration({ bytes, signature })
      if (!isEqual(generation.hash, hash)) return undefined
      await know(generation.roster)
      checkSuccessor(before, generation, school.known())
      return { bytes, signature }
    } catch (error) {
      if (error instanceof MalformedMessageError || error instanceof PolicyError) return undefined
      throw error
    }
  }

  /**
   * The roster up to a place, if that was decided: what is right for who knows it must not be void here. A place that does
   * not exist is waited for by nobody.
   *
   * @throws {NoMajorityError} nobody can say whether it was
   */
  async function know(place: number): Promise<void> {
    for (const peer of school.known().mailboxes()) {
      if (school.known().head >= place) return
      await school.pull(peer, signal).catch(() => undefined)
    }
    for (let head = -1; head < school.known().head && school.known().head < place; ) {
      head = school.known().head
      await school.learn(signal)
    }
  }

  /** Follows what was decided since. Whether there was something. */
  async function follow(grp: string): Promise<boolean> {
    const { newest } = current(grp)
    const next = await successorOf(newest)
    if (next == null || !('found' in next)) return false
    await keepInTurn(grp, next.found)
    onChanged(grp)
    return true
  }

  async function change(grp: string, make: Change): Promise<void> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const { newest } = current(grp)
      if (newest.state == null || !newest.devices.includes(self))
        throw new PolicyError('this device is not in the chat, or waits for its keys')
      const next = await successorOf(newest)
      if (next != null && 'found' in next) {
        await keepInTurn(grp, next.found)
        onChanged(grp)
        // its welcome is on the way, or here
        await joinPending()
        continue
      }
      const { open, sealKey } = next!
      const made = make({ title: newest.title, history: newest.history, users: newest.users })
      const devices = devicesOf(made.users)
      if (devices.length > MAX_DEVICES) throw new PolicyError(`a chat has at most ${MAX_DEVICES} devices`)
      if (!devices.includes(self))
        throw new PolicyError(
          'nobody takes himself out of a chat: its keys come from one who stays; leave it, and they go on without you'
        )
      const signed = signGeneration(signer, {
        group: newest.group,
        g: newest.g + 1,
        prev: newest.hash,
        by: self,
        roster: school.known().head,
        timeMs: now(),
        ...made,
        devices,
        heads: headsOf(grp, newest)
      })
      checkSuccessor(newest, readGeneration(signed), school.known())
      const { generation, own, packages } = await prepare(signed, [open, newest.roster])
      const value = pack([generation.hash, sealWith(sealKey, pack([signed.bytes, signed.signature]))])
      const decided = await school.settle({ key: open, at: newest.roster }, signal, value)
      if (!isEqual(decided!.value, value)) continue
      await keepInTurn(grp, signed, own)
      post.refollow()
      const slot = { key: open, at: newest.roster }
      const { sealed, notes } = await decisions.seal(newest, generation, slot, decided!, packages)
      post.announce(newest.address!, sealed, notes)
      onChanged(grp)
      return
    }
    throw new NoMajorityError('others changed the chat at the same time again and again; try again')
  }

  /** Goes on with what its author says was decided; where that does not prove it, the mailboxes are asked. */
  async function hear(grp: string, g: number, sealed: Uint8Array): Promise<void> {
    const { newest } = current(grp)
    if (newest.g !== g || newest.state == null) return
    const value = await decisions.after(newest, sealed)
    const found = value && (await validIn(value, await mls.secret(newest.state, 'seal'), newest))
    if (found == null) return
    await keepInTurn(grp, found)
    onChanged(grp)
    await joinPending()
  }

  /** Newest events of everybody that are here, and of those who were there before. */
  function headsOf(grp: string, newest: Generation): Generation['heads'] {
    const heads = store.heads(grp).filter(([device, seq]) => seq > headOf(newest.heads, device))
    return [...heads, ...newest.heads.filter(([device]) => headOf(heads, device) < 0)]
  }

  /** those that come meanwhile wait for one more look at all */
  let nextLook: Promise<void> | undefined
  function joinPending(): Promise<void> {
    nextLook ??= inTurn('welcomes', () => {
      nextLook = undefined
      return joinAll()
    })
    return nextLook
  }
  async function joinAll(): Promise<void> {
    const all = store.welcomes()
    const decided = all.filter(({ bytes }) => decisionIn(bytes) != null)
    const heard = await decisions.heardIn(decided.map(({ bytes }) => decisionIn(bytes)!))
    let isWaiting = false
    for (const { id, bytes, at } of all.filter(each => !decided.includes(each))) {
      const is = await join(bytes, heard).catch((error: Error) => {
        if (error instanceof MalformedMessageError || error instanceof PolicyError) return 'void' as const
        // whom it needs does not answer now
        return 'waits' as const
      })
      if (is !== 'waits' || at < now() - WELCOME_KEPT_MS) transact(store.db, () => store.dropWelcome(id))
      else isWaiting = true
    }
    if (!isWaiting)
      transact(store.db, () => {
        for (const { id } of decided) store.dropWelcome(id)
      })
  }

  /** @throws {MalformedMessageError} {PolicyError} it never will be one */
  async function join(noteBytes: Uint8Array, heard: Heard): Promise<'joined' | 'void' | 'waits'> {
    const [packageId, enc, sealed] = unpack(note, noteBytes, 1024, 'a note in the inbox')
    const own = store.package(toHex(packageId))
    if (own == null) return 'void'
    const [blobId] = unpack(noted, await mls.openFrom(own.privateBytes, [enc, sealed]), 64, 'a note')
    const blob = await post.fetch(toHex(blobId))
    if (blob == null) return 'waits'
    const [welcome, hidden] = unpack(welcomeTuple, blob, MAX_WELCOME_BYTES * 2, 'a welcome')
    const kept = await mls.join(welcome, own)
    const { state } = kept
    const data = openWith(await mls.secret(state, 'statement'), hidden)
    const [bytes, signature, slot] = unpack(inside, data, MAX_GENERATION_BYTES + 1024, 'a generation')
    const signed = { bytes, signature }
    const generation = readGeneration(signed)
    mls.check(state, generation.hash, generation.devices)
    const roster = school.known()
    if (roster.head < generation.roster) {
      for (const peer of roster.mailboxes()) await school.pull(peer, signal).catch(() => undefined)
      if (roster.head < generation.roster) return 'waits'
    }
    const grp = toHex(generation.group)
    const known = store.generations(grp)
    const there = known.find(({ g }) => g === generation.g)
    if (there?.state != null) return 'void'
    if (there != null && !isEqual(there.hash, generation.hash)) return 'void'
    if (generation.g === 0) checkFirst(generation, roster)
    else if (there == null) {
      const before = known.find(({ g }) => g === generation.g - 1)
      const decided = await decidedAfter(before, slot, heard)
      if (decided == null) return slot == null ? 'void' : 'waits'
      if (!isEqual(decided, generation.hash)) return 'void'
    }
    const address = await mls.secret(state, 'address')
    return inTurn(grp, async () => {
      // by another of its welcomes, meanwhile
      if (store.generations(grp).some(({ g, state }) => g === generation.g && state != null)) return 'void'
      transact(store.db, () => {
        keep(signed, { ...kept, address })
        store.dropPackage(own.id)
      })
      post.refollow()
      onChanged(grp)
      return 'joined'
    })
  }

  /** Hash of the generation that was decided on; undefined: nobody says so yet. */
  async function decidedAfter(
    before: KeptGeneration | undefined,
    slot: readonly [Uint8Array, number] | null,
    heard: Heard
  ): Promise<Uint8Array | undefined> {
    if (slot == null) return undefined
    if (before?.state == null) return decidedHash({ key: slot[0], at: slot[1] }, heard)
    const next = await successorOf(before)
    return next != null && 'found' in next ? hashOf(next.found.bytes) : undefined
  }

  async function decidedHash(slot: Required<Slot>, heard: Heard): Promise<Uint8Array | undefined> {
    const value = heard.get(decisions.idOf(slot)) ?? (await school.settle(slot, signal))?.value
    if (value == null) return undefined
    return unpack(slotValue, value, MAX_GENERATION_BYTES + 2048, 'the value of a slot')[0]
  }

  return {
    current,
    joinPending,
    stillIn,
    hear: (grp: string, g: number, sealed: Uint8Array) => inTurn(changesOf(grp), () => hear(grp, g, sealed)),
    follow: (grp: string) => inTurn(changesOf(grp), () => follow(grp)),

    /** A chat of these people, this device's among them. Its id, in hex. @throws {PolicyError} */
    async create(users: readonly string[], title: string, history: 'all' | 'joining'): Promise<string> {
      const signed = signGeneration(signer, {
        group: NO_HASH,
        g: 0,
        prev: NO_HASH,
        by: self,
        roster: school.known().head,
        timeMs: now(),
        title,
        history,
        users: [...users],
        devices: devicesOf(users),
        heads: []
      })
      const generation = readGeneration(signed)
      checkFirst(generation, school.known())
      const prepared = await prepare(signed, null)
      transact(store.db, () => keep(signed, prepared.own))
      post.refollow()
      const grp = toHex(generation.group)
      onChanged(grp)
      return grp
    },

    /** @throws {PolicyError} {NoMajorityError} */
    change: (grp: string, make: Change) => inTurn(changesOf(grp), () => change(grp, make)),
    /** Goes on with those who count. */
    renew: (grp: string) =>
      inTurn(changesOf(grp), () => change(grp, now => ({ ...now, users: stillIn(grp, now.users) }))),

    /** Whether the group has devices that do not count any more, people who have gone, or lacks some. */
    isStale(grp: string): boolean {
      const { newest } = current(grp)
      if (newest.state == null || leaving.hasGone(grp)) return false
      return devicesOf(stillIn(grp, newest.users)).join() !== [...newest.devices].sort().join()
    },
    /** Whether its keys are old, and something was said under them. */
    isOld(grp: string): boolean {
      const { state, timeMs, g } = current(grp).newest
      if (state == null || leaving.hasGone(grp)) return false
      const since = timeMs > now() + AHEAD_MS ? seenMs(grp, g) : timeMs
      return (store.newestMs(grp) ?? 0) > since && now() - since > FRESH_MS
    },
    /** Whether one must be left out before anything more is said. */
    hasRevoked(grp: string): boolean {
      return current(grp).newest.devices.some(device => school.known().person(device) == null)
    }
  }

  /** When keys were seen first whose author's clock is ahead of this one: they are a week old a week later all the same. */
  function seenMs(grp: string, g: number): number {
    const key = `ahead ${grp} ${g}`
    const kept = own.get(key)
    if (kept != null) return Number(Buffer.from(kept).toString())
    own.set(key, Buffer.from(String(now())))
    return now()
  }

  /** Of people of a chat those who count and have not gone, as far as this device may let them go. */
  function stillIn(grp: string, users: readonly string[]): string[] {
    const known = school.known()
    const mayChange = known.person(self)?.role !== 'pupil' || known.policy().pupilGroups
    const gone = mayChange ? leaving.gone(grp) : new Set()
    return users.filter(user => known.user(user)?.isDisabled === false && !gone.has(user))
  }
}

/** Changes of a group have a turn of their own: they wait for other nodes, and what is said and read must not. */
const changesOf = (grp: string): string => `changes of ${grp}`
const randomAddress = (): Uint8Array => new Uint8Array(randomBytes(32))
