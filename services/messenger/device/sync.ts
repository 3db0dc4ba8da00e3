import { setTimeout as delay } from 'node:timers/promises'
import { ForbiddenError, transact } from '../../host/index.ts'
import { fromHex, isEqual, type Signed, toHex } from '../core/codec.ts'
import { type Event, eventId, type Head, type Read, readSigned } from '../core/event.ts'
import { cutOf, headOf, readGeneration } from '../core/generation.ts'
import { compareEvents } from '../core/order.ts'
import { TooManyMessagesError } from '../errors.ts'
import type { Network } from '../school/network.ts'
import type { School } from '../school/school.ts'
import { createTurns, transactLater } from '../store/database.ts'
import { createClaims, type Gone } from './claims.ts'
import { createGoneRows } from './gone-rows.ts'
import type { Intake, Way } from './intake.ts'
import type { Deletion, DeviceStore, Placed } from './store.ts'

const EVENTS = 16
const GENERATIONS = 4
const GONE = 64
/** given for each place that is gone, where several have deleted it */
const PROOFS = 4
/** asked at once, where something is missing */
const SOON_MS = 2_000
/** what is read meanwhile is told with it */
const RECEIPT_MS = 200
/** so many members are told what no mailbox takes */
const MAX_TOLD = 100
/** who did not answer is not told again for so long; he hears it when members compare what they have */
const SILENT_MS = 30_000
/** so long a member counts as one whom no mailbox gives anything, since he said so; he says it when he compares */
const ALONE_MS = 75_000

export interface Batch {
  generations: Signed[]
  events: Signed[]
  gone: [...Gone][]
  /** the events by which they were deleted */
  deletes?: Signed[] | undefined
}
const NOTHING: Batch = { generations: [], events: [], gone: [] }
export interface Request {
  device?: string | undefined
  of?: string | undefined
  group: Uint8Array
  generations: number
  have: Head[]
  readMs: number
  isAlone?: boolean | undefined
}

export interface GoneRequest {
  /** that asks */
  device?: string | undefined
  group: Uint8Array
  chain: string
  before: number
}

/** `isHere`: it was verified when it came. */
function readAll(
  given: readonly Signed[],
  isHere: (id: string) => boolean,
  refused: (error: Error) => void
): Read[] {
  return given.flatMap(signed => {
    if (isHere(eventId(signed))) return []
    try {
      return [readSigned(signed)]
    } catch (error) {
      refused(error as Error)
      return []
    }
  })
}

export interface SyncInit {
  self: string
  store: DeviceStore
  school: School
  network: Network
  intake: Intake
  signal: AbortSignal
  readMs(grp: string): number
  /** a device of a chat gives more than it may now */
  isFlood(grp: string, device: string): boolean
  /** no mailbox gives anything */
  isAlone(): boolean
  onTaken(grp: string, events: readonly Event[]): void
  onMarks(grp: string): void
  now(): number
  log(message: string, ...args: unknown[]): void
}
export type Sync = ReturnType<typeof createSync>

/** Members give each other what they lack of a group: whatever was lost on the way, and what was before one came. */
export function createSync(init: SyncInit) {
  const { self, store, school, network, intake, signal, log } = init
  const askedAt = new Map<string, number>()
  const toldSoon = new Set<string>()
  const silentAt = new Map<string, number>()
  const aloneAt = new Map<string, number>()
  const inTurn = createTurns()
  const goneRows = createGoneRows(store.db)
  /** what waits for its turn */
  const next = new Map<string, Promise<void>>()

  /** Behind what is under way of its key; whoever comes before it begins waits for the same. */
  function onceMore(key: string, work: () => Promise<void>): Promise<void> {
    const there = next.get(key)
    if (there != null) return there
    const mine = inTurn(key, () => {
      next.delete(key)
      return work()
    })
    next.set(key, mine)
    return mine
  }

  /** A device on a node that is in the group now: the one that it says, if it does. */
  function memberOn(peer: string, grp: string, device?: string): string | undefined {
    const members = store.generations(grp).at(-1)?.devices ?? []
    const isThere = (id: string): boolean =>
      (device ?? id) === id && id !== self && school.known().device(id)?.peer === peer
    return members.find(id => isThere(id) && school.known().person(id) != null)
  }

  async function answer(
    { device: asks, group, generations, have, readMs, isAlone }: Request,
    peer: string,
    send: (batch: Batch) => Promise<void>
  ): Promise<{ device: string; have: Head[]; readMs: number }> {
    const grp = toHex(group)
    const device = memberOn(peer, grp, asks)
    if (device == null) throw new ForbiddenError('this chat is not for your node')
    noteMarks(grp, device, have, readMs)
    if (isAlone === true) aloneAt.set(device, init.now())
    else aloneAt.delete(device)
    const known = store.generations(grp)
    const mine = known.map(({ signed }) => signed)
    // who was there from the beginning, or may see all, gets what was before
    if (generations < mine.length && known[0]!.g === 0)
      for (let at = 0; at < mine.length; at += GENERATIONS)
        await send({ ...NOTHING, generations: mine.slice(at, at + GENERATIONS) })
    const cut = cutOf(known, device, school.known())
    const proved = new Set<string>()
    let [events, gone, deletes]: [Signed[], Batch['gone'], Signed[]] = [[], [], []]
    const lacking = store
      .heads(grp)
      .flatMap(([of]) => store.beyond(grp, of, Math.max(headOf(have, of), headOf(cut, of))))
    for (const row of lacking.sort(compareEvents)) {
      if (row.bytes != null) events.push({ bytes: row.bytes, signature: row.signature! })
      else {
        gone.push([row.device, row.seq, fromHex(row.id), row.timeMs])
        for (const { id, bytes, signature } of proofsOf(row)) {
          if (!proved.has(id)) deletes.push({ bytes, signature })
          proved.add(id)
        }
      }
      if (events.length + deletes.length < EVENTS && gone.length < GONE) continue
      await send({ ...NOTHING, events, gone, deletes })
      ;[events, gone, deletes] = [[], [], []]
    }
    if (events.length + gone.length > 0) await send({ ...NOTHING, events, gone, deletes })
    return { device: self, have: store.heads(grp), readMs: init.readMs(grp) }
  }

  /** The events by which what stood there was deleted. */
  function proofsOf({ id, target }: Placed): Deletion[] {
    const deletes = [id, ...(target == null ? [] : [target])].flatMap(each => store.deletesOf(each))
    const isNamed = ({ of, places = [] }: Deletion['event']['body']): boolean =>
      toHex(of) === id || places.some(([, , hash]) => toHex(hash) === id)
    return deletes.filter(({ event }) => isNamed(event.body)).slice(0, PROOFS)
  }

  /** Of places that a member has no proof of: back from there, as far as it goes. @throws {ForbiddenError} */
  async function giveGone(
    { device, group, chain, before }: GoneRequest,
    peer: string,
    send: (batch: Pick<Batch, 'gone'> & { deletes: Signed[] }) => Promise<void>
  ): Promise<void> {
    const grp = toHex(group)
    const member = memberOn(peer, grp, device)
    if (member == null) throw new ForbiddenError('this chat is not for your node')
    const end = headOf(cutOf(store.generations(grp), member, school.known()), chain)
    for (const page of goneRows.before(grp, chain, before)) {
      let [gone, deletes]: [Batch['gone'], Map<string, Signed>] = [[], new Map()]
      for (const row of page.filter(({ seq }) => seq > end)) {
        gone.push([row.device, row.seq, fromHex(row.id), row.timeMs])
        for (const { id, bytes, signature } of proofsOf(row)) deletes.set(id, { bytes, signature })
        if (deletes.size < EVENTS) continue
        await send({ gone, deletes: [...deletes.values()] })
        ;[gone, deletes] = [[], new Map()]
      }
      if (gone.length > 0) await send({ gone, deletes: [...deletes.values()] })
    }
  }

  /** More was deleted in a row than is believed at once: back from what waits behind it, page by page. */
  async function passGaps(grp: string, peer: string, of: string): Promise<void> {
    const refused = ({ message }: Error): void => log('%s proves nothing: %s', peer, message)
    for (const gap of intake.gaps(grp)) {
      const request = {
        school: school.known().school,
        device: self,
        of,
        group: fromHex(grp),
        chain: gap.device,
        before: gap.at + 1
      }
      const { items } = network.open(peer, 'gone', request, { signal })
      let way: Way | undefined = gap
      for await (const { gone, deletes } of items) {
        const claims = createClaims()
        for (const { event } of readAll(deletes, () => false, refused)) claims.hear(event)
        const from: Way = way
        way = transactLater(store.db, () => intake.passBack(grp, from, gone, claims, from === gap))
        if (way == null) break
      }
    }
  }

  function noteMarks(grp: string, device: string, have: readonly Head[], readMs: number): void {
    transactLater(store.db, () => store.setMarks(grp, device, have, readMs))
    init.onMarks(grp)
  }

  /** Older generations, as far as each is the one before the next, which is known. */
  function takeGenerations(grp: string, given: readonly Signed[]): void {
    for (const signed of given.toReversed()) {
      const generation = readGeneration(signed)
      const known = store.generations(grp)
      const next = known.find(({ g }) => g === generation.g + 1)
      if (toHex(generation.group) !== grp || known.some(({ g }) => g === generation.g)) continue
      if (next == null || !isEqual(next.prev, generation.hash)) continue
      store.addGeneration(signed)
    }
  }

  async function ask(grp: string, peer: string, of?: string): Promise<void> {
    const asked = memberOn(peer, grp, of)
    if (asked == null) return
    const request = {
      school: school.known().school,
      device: self,
      of: asked,
      group: fromHex(grp),
      generations: store.generations(grp).length,
      have: store.heads(grp),
      readMs: init.readMs(grp),
      ...(init.isAlone() ? { isAlone: true } : {})
    }
    const { items, answer } = network.open(peer, 'sync', request, { signal })
    const older: Signed[] = []
    const claims = createClaims()
    for await (const { generations, events, gone, deletes = [] } of items) {
      older.push(...generations)
      if (generations.length > 0) continue
      if (init.isFlood(grp, asked)) throw new TooManyMessagesError('the rest comes when it is asked again', 1)
      const taken: Event[] = []
      transactLater(store.db, () => {
        takeGenerations(grp, older)
        const refused = ({ message }: Error): void =>
          log('%s gave an event that is refused: %s', peer, message)
        const read = readAll(events, store.hasEvent, refused)
        for (const each of gone) claims.add(each)
        for (const { event } of [...readAll(deletes, () => false, refused), ...read]) claims.hear(event)
        taken.push(...intake.take(grp, read, refused, claims), ...intake.retry(grp, claims))
      })
      if (taken.length > 0) init.onTaken(grp, taken)
    }
    if (older.length > 0) transact(store.db, () => takeGenerations(grp, older))
    const { device, have, readMs } = await answer
    // another of that node, where the one that was asked is not open
    const told = memberOn(peer, grp, device)
    if (told != null) noteMarks(grp, told, have, readMs)
    if (!claims.isCut()) return
    await inTurn('gaps', () => passGaps(grp, peer, asked))
    const taken = transactLater(store.db, () => intake.retry(grp, claims))
    if (taken.length > 0) init.onTaken(grp, taken)
  }

  /** Nodes of other members, each once, in any order. */
  function othersIn(grp: string): string[] {
    const newest = store.generations(grp).at(-1)
    const peers = (newest?.devices ?? [])
      .filter(device => device !== self && school.known().person(device) != null)
      .map(device => school.known().device(device)!.peer)
    return [...new Set(peers)].sort(() => Math.random() - 0.5)
  }

  async function tell(grp: string, peer: string): Promise<void> {
    try {
      const request = { school: school.known().school, device: self, group: fromHex(grp) }
      const { device: told, have, readMs } = await network.ask(peer, 'fresh', request, { signal })
      silentAt.delete(peer)
      const device = memberOn(peer, grp, told)
      if (device != null) noteMarks(grp, device, have, readMs)
    } catch (error) {
      silentAt.set(peer, init.now())
      log('%s does not ask for what is new: %s', peer, (error as Error).message)
    }
  }

  return {
    answer,
    giveGone,
    othersIn,
    /**
     * A member has something new that no mailbox takes: it is asked for. What is here then.
     *
     * @throws {ForbiddenError} he is no member
     */
    async hear(
      grp: string,
      peer: string,
      device?: string
    ): Promise<{ device: string; have: Head[]; readMs: number }> {
      if (memberOn(peer, grp, device) == null) throw new ForbiddenError('this chat is not for your node')
      await onceMore(`ask ${grp} ${device ?? peer}`, () => ask(grp, peer, device))
      return { device: self, have: store.heads(grp), readMs: init.readMs(grp) }
    },
    /** Members that answer ask for what is new here, straight away. */
    tell(grp: string): void {
      const peers = othersIn(grp).filter(peer => init.now() - (silentAt.get(peer) ?? 0) >= SILENT_MS)
      log('%s goes straight to its members', grp)
      for (const peer of peers.slice(0, MAX_TOLD)) void onceMore(`tell ${grp} ${peer}`, () => tell(grp, peer))
    },
    /** Whom no mailbox gives anything hears of these from who has a mailbox. */
    tellAlone(grp: string, events: readonly Event[]): void {
      if (aloneAt.size === 0 || init.isAlone()) return
      for (const device of store.generations(grp).at(-1)?.devices ?? []) {
        const isNew = events.some(event => event.device !== device)
        const peer = school.known().device(device)?.peer
        if (!isNew || peer == null || init.now() - (aloneAt.get(device) ?? 0) > ALONE_MS) continue
        void onceMore(`tell ${grp} ${peer}`, () => tell(grp, peer))
      }
    },
    /** Asks one member of the group that answers. */
    async one(grp: string): Promise<void> {
      for (const peer of othersIn(grp).slice(0, 3)) {
        try {
          await ask(grp, peer)
          return
        } catch (error) {
          log('%s gives nothing of a chat: %s', peer, (error as Error).message)
        }
      }
    },
    /** Lets the node of a member know at once how far one has read; where it does not answer, it hears it later. */
    async tellSoon(grp: string, device: string): Promise<void> {
      const peer = school.known().device(device)?.peer
      const key = `${grp} ${device}`
      if (device === self || peer == null || toldSoon.has(key)) return
      toldSoon.add(key)
      try {
        await delay(RECEIPT_MS, undefined, { signal })
        toldSoon.delete(key)
        await ask(grp, peer, device)
      } catch (error) {
        log('%s does not hear what was read: %s', peer, (error as Error).message)
      }
    },
    /** Something is missing: asks soon, not again and again. */
    async soon(grp: string): Promise<void> {
      if (init.now() - (askedAt.get(grp) ?? 0) < SOON_MS) return
      askedAt.set(grp, init.now())
      await this.one(grp)
    }
  }
}
