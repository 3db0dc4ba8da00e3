import { fromHex, isEqual, NO_HASH, toHex } from '../core/codec.ts'
import { type Event, type EventOf, type Head, parseEvent, type Read } from '../core/event.ts'
import { counts, cutOf, type Generation, headOf } from '../core/generation.ts'
import { maySilence } from '../core/moderation.ts'
import { isTimely, MAX_AHEAD_MS } from '../core/order.ts'
import type { Roster } from '../core/roster.ts'
import { BrokenChainError, MalformedMessageError, PolicyError } from '../errors.ts'
import { type Claims, type Gone, NO_CLAIMS } from './claims.ts'
import { createGoneRows } from './gone-rows.ts'
import { type DeviceStore, GONE, type KeptGeneration } from './store.ts'

const MINUTE_MS = 60_000
/** Events of a group whose parents are missing: no more are kept. */
const MAX_WAITING = 2_000

/** Rather than of the disk. */
const isRefusal = (error: unknown): error is Error =>
  error instanceof PolicyError || error instanceof BrokenChainError || error instanceof MalformedMessageError

/** Back along a chain: where the next one stands, its hash, where that is known, and what it is older than. */
export interface Way {
  device: string
  at: number
  hash: Uint8Array | undefined
  timeMs: number
}

/** Of an event that somebody changes. */
export interface Changed {
  grp: string
  device: string
  timeMs: number
}

export interface IntakeInit {
  store: DeviceStore
  roster(): Roster
  /** own device */
  self: string
}
export type Intake = ReturnType<typeof createIntake>

/** Decides whether an event becomes part of a group here. Everything runs inside the caller's transaction. */
export function createIntake({ store, roster, self }: IntakeInit) {
  const passed = createGoneRows(store.db)
  const cuts = new WeakMap<readonly KeptGeneration[], readonly Head[]>()

  /** What of the chain of a device is not for this one. */
  function ownCut(generations: readonly KeptGeneration[]): readonly Head[] {
    const cut = cuts.get(generations) ?? cutOf(generations, self, roster())
    cuts.set(generations, cut)
    return cut
  }

  /** Whether this place of a chain must be here before what follows. */
  function isExpected(
    generations: readonly KeptGeneration[],
    cut: readonly Head[],
    device: string,
    seq: number
  ): boolean {
    return seq > headOf(cut, device) && counts(generations, device, seq)
  }

  /** @throws {PolicyError} {BrokenChainError} */
  function checkPolicy(event: Event, generation: Generation): void {
    const people = roster()
    const author = people.person(event.device, event.roster)
    if (author == null) throw new PolicyError('the device of a message does not count')
    const policy = people.policy(event.roster)
    if (event.kind === 'file' && author.role === 'pupil' && !policy.pupilFiles)
      throw new PolicyError('pupils send no files in this school')
    if (event.kind === 'text' && event.body.confirm === true && author.role === 'pupil')
      throw new PolicyError('pupils ask nobody to confirm what he has read')
    if (event.kind === 'silence' && !maySilence(event, people))
      throw new PolicyError(`${author.name} may not silence ${event.body.user}`)
    // whether others can go on without him is not the same at all who hear it
    if (event.kind === 'leave' && author.role === 'pupil' && !policy.pupilGroups)
      throw new PolicyError('pupils leave no chats in this school; ask who is no pupil to take you out')
    if (event.kind === 'close' && author.role === 'pupil') throw new PolicyError('pupils close no reports')
    if (event.kind !== 'edit' && event.kind !== 'delete') return
    const target = store.event(toHex(event.body.of))
    if (target == null) return
    checkChange(event, { grp: target.grp, ...target.event }, generation)
    if (event.kind === 'edit' && target.event.kind !== 'text')
      throw new PolicyError('only text can be edited')
  }

  /** @throws {PolicyError} its author may not change what stands there */
  function checkChange(
    event: EventOf<'edit'> | EventOf<'delete'>,
    of: Changed,
    generation: Generation
  ): void {
    const people = roster()
    const author = people.person(event.device, event.roster)
    if (author == null) throw new PolicyError('the device of a message does not count')
    const { editMinutes } = people.policy(event.roster)
    if (of.grp !== toHex(event.group)) throw new PolicyError('a message of another group is not changed')
    const isOwn = people.device(of.device)?.user === author.id
    const isModerator = author.role !== 'pupil' && generation.users.includes(author.id)
    if (!isOwn && !(event.kind === 'delete' && isModerator))
      throw new PolicyError(`${author.name} may not ${event.kind} what somebody else wrote`)
    if (isOwn && !isModerator && event.timeMs - of.timeMs > editMinutes * MINUTE_MS)
      throw new PolicyError(`a message can be changed for ${editMinutes} minutes`)
  }

  /**
   * `known`: it is here; `waits`: what it follows is not here, or nobody told yet who its author is.
   *
   * @throws {PolicyError} it never can be
   * @throws {BrokenChainError} its author signed something else in its place, or its time is out of bounds
   */
  function judge(
    { id, event }: Read,
    generations: readonly KeptGeneration[],
    claims: Claims
  ): 'new' | 'known' | 'waits' {
    const grp = toHex(event.group)
    const { device, seq } = event
    const there = store.at(grp, device, seq)
    if (there != null) {
      if (there.id !== id) throw new BrokenChainError(`${device} signed two events with the number ${seq}`)
      if (!there.isGone) return 'known'
    }
    if (event.roster > roster().head) return 'waits'
    const cut = ownCut(generations)
    if (!counts(generations, device, seq)) {
      const isKnown = generations.some(({ devices }) => devices.includes(device))
      if (isKnown) throw new PolicyError('a device writes that was removed')
      return 'waits'
    }
    if (seq <= headOf(cut, device)) return 'known'
    // nothing that is known here comes before it: its time is bounded by that of the group alone
    let newest: number | undefined
    let isWhole = there == null
    const parents: Head[] = [...event.after]
    if (seq > 0) parents.push([device, seq - 1, event.prev])
    else if (!isEqual(event.prev, NO_HASH))
      throw new BrokenChainError('a chain begins with nothing before it')
    for (const [from, at, hash] of parents) {
      const parent = store.at(grp, from, at)
      if (parent == null) {
        const isOwnCut = from === device && at === headOf(cut, device)
        if (isOwnCut) {
          const [, , head] = cut.find(([each]) => each === device)!
          if (!isEqual(head, hash)) throw new BrokenChainError('a chain does not go on where it was cut')
        } else if (isExpected(generations, cut, from, at)) {
          const claim = claims.at(from, at)
          // others need not wait for what nobody has; its author's chain does, until he proves its place
          if (from === device || claim == null || !isEqual(claim[2], hash)) return 'waits'
          if (proofOf(grp, claim, generations, claims) == null) return 'waits'
        }
        isWhole = false
        continue
      }
      if (parent.id !== toHex(hash)) {
        if (from === device) throw new BrokenChainError(`event ${seq} of ${device} does not follow ${at}`)
        continue
      }
      // its time is only what somebody says
      if (parent.kind === GONE) isWhole = false
      else newest = Math.max(newest ?? 0, parent.timeMs)
    }
    const generation = generations.findLast(({ devices }) => devices.includes(device))!
    const isRight =
      newest != null && isWhole
        ? isTimely(event.timeMs, newest)
        : event.timeMs > (newest ?? -1) &&
          event.timeMs <= Math.max(newest ?? 0, generation.timeMs) + MAX_AHEAD_MS
    if (!isRight)
      throw new BrokenChainError('the time of an event is not after what it follows, or too far ahead')
    checkPolicy(event, generation)
    return 'new'
  }

  /** Takes it in, and off the disk again where somebody who may has deleted it. */
  function put(read: Read): void {
    store.add(read)
    settle(read)
  }

  /** Takes off the disk what it deletes, and itself where it is deleted. An edit goes with what it edits. */
  function settle({ id, event }: Pick<Read, 'id' | 'event'>): void {
    const { kind, device, timeMs, body } = event
    const grp = toHex(event.group)
    if (kind === 'delete') {
      for (const each of store.changed(toHex(event.body.of)))
        if (mayDelete(event, each, store.generations(each.grp))) store.empty(each.id)
      return
    }
    const deletes = [id, ...(kind === 'edit' ? [toHex(body.of)] : [])].flatMap(each => store.deletesOf(each))
    const isDeleted = deletes.some(each =>
      mayDelete(each.event, { grp, device, timeMs }, store.generations(grp))
    )
    // who is silenced stays so until it is lifted, and who has gone until he is let in
    if (isDeleted && kind !== 'silence' && kind !== 'leave') store.empty(id)
  }

  function mayDelete(event: EventOf<'delete'>, of: Changed, generations: readonly KeptGeneration[]): boolean {
    const generation = generations.findLast(({ devices }) => devices.includes(event.device))
    if (generation == null) return false
    try {
      checkChange(event, of, generation)
      return true
    } catch {
      // its author may not
      return false
    }
  }

  /**
   * The signed event of somebody who may that deletes what is said to be gone: the message that it deletes, and what stood
   * before what is gone, where it says so.
   */
  function proofOf(
    grp: string,
    [device, seq, hash, timeMs]: Gone,
    generations: readonly KeptGeneration[],
    claims: Claims
  ): { of: string; prev: Uint8Array | undefined } | undefined {
    const id = toHex(hash)
    for (const event of [...claims.deletes(id), ...store.deletesOf(id).map(each => each.event)]) {
      if (event.roster > roster().head || !counts(generations, event.device, event.seq)) continue
      if (!mayDelete(event, { grp, device, timeMs }, generations)) continue
      const { of, places = [] } = event.body
      const place = places.find(each => isEqual(each[2], hash))
      if (place == null ? places.length > 0 : place[0] !== device || place[1] !== seq || place[4] !== timeMs)
        continue
      return { of: toHex(of), prev: place?.[3] }
    }
    return undefined
  }

  return {
    cutOf: ownCut,
    settle,
    /** Whether a device may delete what stands there, at that time and by that place of the roster. */
    mayRemove(of: Changed, device: string, timeMs: number, at = roster().head): boolean {
      const event = { kind: 'delete', group: fromHex(of.grp), device, timeMs, roster: at }
      return mayDelete(event as EventOf<'delete'>, of, store.generations(of.grp))
    },
    /**
     * Own and foreign ones alike; keeps those that wait. What it took.
     *
     * @param refused hears why one is not taken
     * @param claims what whoever gives them says is gone, and proves to be
     */
    take(
      grp: string,
      given: readonly Read[],
      refused: (error: Error) => void,
      claims: Claims = NO_CLAIMS
    ): Event[] {
      const generations = store.generations(grp)
      const taken: Event[] = []
      for (const read of given) {
        const { event } = read
        try {
          if (toHex(event.group) !== grp) throw new PolicyError('a message of another chat')
          takeGone(grp, event, generations, claims)
          const verdict = judge(read, generations, claims)
          if (verdict === 'waits' && store.waitingCount(grp) < MAX_WAITING) store.wait(read, grp)
          if (verdict !== 'new') continue
          put(read)
          taken.push(event)
        } catch (error) {
          if (!isRefusal(error)) throw error
          refused(error)
        }
      }
      return taken.length === 0 ? taken : [...taken, ...retry(grp, generations, claims)]
    },
    /** Where chains are not here whose next event waits: back from there somebody may prove that all was deleted. */
    gaps(grp: string): Way[] {
      const generations = store.generations(grp)
      const first = new Map<string, Event>()
      for (const { bytes } of store.waiting(grp, MAX_WAITING)) {
        const event = parseEvent({ bytes })
        if (event.seq < (first.get(event.device)?.seq ?? Number.POSITIVE_INFINITY))
          first.set(event.device, event)
      }
      return [...first.values()]
        .map(({ device, seq, prev, timeMs }): Way => ({ device, at: seq - 1, hash: prev, timeMs }))
        .filter(way => !isAtEnd(grp, way, generations))
    },
    /**
     * Goes back over what a member says is gone, as far as it is proved, and notes it; when that joins what is here, it becomes
     * part of the chain. One chain at a time. Where to go on; undefined: it is through, or not proved.
     *
     * @param from of `gaps`, or where it went on to
     */
    passBack(
      grp: string,
      from: Way,
      gone: readonly Gone[],
      claims: Claims,
      isFirst: boolean
    ): Way | undefined {
      const generations = store.generations(grp)
      if (isFirst) passed.clear()
      let way = from
      for (const claim of gone) {
        const step = stepBack(grp, way, claim, generations, claims)
        if (step == null || !passed.note(claim, step.of)) return undefined
        way = step.way
        if (!isAtEnd(grp, way, generations)) continue
        if (isJoined(grp, way)) passed.join(grp)
        return undefined
      }
      return way
    },
    /** Takes those that waited and need not any more. */
    retry: (grp: string, claims: Claims = NO_CLAIMS) => retry(grp, store.generations(grp), claims),

    /** A generation came: what does not count any more goes. */
    prune(grp: string): void {
      const generations = store.generations(grp)
      for (const [device, seq] of store.heads(grp)) {
        if (counts(generations, device, seq)) continue
        const ends = generations.flatMap(({ heads }) =>
          heads.filter(([each]) => each === device).map(([, at]) => at)
        )
        store.dropBeyond(grp, device, Math.max(-1, ...ends))
      }
    }
  }

  /**
   * A signed event proves what its author wrote before it, and who deletes that proves what stood before that. Where all of a
   * chain that is not here was deleted, it goes on behind it.
   */
  function takeGone(
    grp: string,
    { device, seq, prev, timeMs }: Event,
    generations: readonly KeptGeneration[],
    claims: Claims
  ): void {
    if (claims === NO_CLAIMS) return
    const run: { claim: Gone; of: string }[] = []
    const ids = new Set<string>()
    let way: Way = { device, at: seq - 1, hash: prev, timeMs }
    while (!isAtEnd(grp, way, generations)) {
      const claim = claims.at(device, way.at)
      const step = claim && stepBack(grp, way, claim, generations, claims)
      if (claim == null || step == null || ids.has(toHex(claim[2]))) return
      ids.add(toHex(claim[2]))
      run.push({ claim, of: step.of })
      way = step.way
    }
    if (isJoined(grp, way)) for (const { claim, of } of run.toReversed()) store.addGone(grp, claim, of)
  }

  /** Whether there is nothing more to prove: what stands there is here, or is not for this device. */
  function isAtEnd(grp: string, { device, at }: Way, generations: readonly KeptGeneration[]): boolean {
    return !isExpected(generations, ownCut(generations), device, at) || store.at(grp, device, at) != null
  }

  /** Whether what was proved follows from what is here. */
  function isJoined(grp: string, { device, at, hash, timeMs }: Way): boolean {
    const there = store.at(grp, device, at)
    return there == null || (there.timeMs < timeMs && (hash == null || there.id === toHex(hash)))
  }

  /** What is claimed, if it is proved to stand there. */
  function stepBack(
    grp: string,
    { device, at, hash, timeMs }: Way,
    claim: Gone,
    generations: readonly KeptGeneration[],
    claims: Claims
  ): { of: string; way: Way } | undefined {
    if (claim[0] !== device || claim[1] !== at || claim[3] >= timeMs) return undefined
    if (hash != null && !isEqual(claim[2], hash)) return undefined
    // one that has another place is not gone from this one
    if (store.isPlaced(toHex(claim[2]))) return undefined
    const proof = proofOf(grp, claim, generations, claims)
    return proof && { of: proof.of, way: { device, at: at - 1, hash: proof.prev, timeMs: claim[3] } }
  }

  function retry(grp: string, generations: readonly KeptGeneration[], claims: Claims): Event[] {
    const taken: Event[] = []
    for (let isMoving = store.waitingCount(grp) > 0; isMoving; ) {
      isMoving = false
      for (const { id, bytes, signature } of store.waiting(grp, MAX_WAITING)) {
        try {
          // its signature was looked at when it came
          const event = parseEvent({ bytes })
          const read = { id, bytes, signature, event }
          takeGone(grp, event, generations, claims)
          const verdict = judge(read, generations, claims)
          if (verdict === 'waits') continue
          if (verdict === 'new') {
            put(read)
            taken.push(event)
            isMoving = true
          }
        } catch (error) {
          if (!isRefusal(error)) throw error
          // it can never be taken; it goes
        }
        store.dropWaiting(id)
      }
    }
    return taken
  }
}
