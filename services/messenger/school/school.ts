import type { DatabaseSync } from 'node:sqlite'
import { decode } from '@ipld/dag-cbor'
import { z } from 'zod'
import { isSignedBy, type Signer } from '../../../ledger/index.ts'
import { transact } from '../../host/index.ts'
import { bytesOf, isEqual, pack, type Signed, signAs, unpack } from '../core/codec.ts'
import { openRoster, type Roster } from '../core/roster.ts'
import {
  type Body,
  FIRST_POLICY,
  type Kind,
  MAX_STATEMENT_BYTES,
  type Statement,
  schoolOf,
  signStatement,
  UNFOUNDED,
  vouchFor
} from '../core/statement.ts'

import { MalformedMessageError, PolicyError, SchoolError } from '../errors.ts'
import { type Decision, MAX_STATEMENTS } from '../messages.ts'
import { type Acceptors, decide, isDecided, type Slot, slotId } from './decide.ts'
import { passFor, readCode, signerOf } from './invitation.ts'
import type { Network } from './network.ts'

const ALL = 1_000_000_000
const MAX_TRIES = 10

export interface Entry {
  statement: Signed
  decision?: Decision
}
export type Pass = { user: string; signature: Uint8Array }

export interface SchoolInit {
  db: DatabaseSync
  network: Network
  now(): number
  /** it has grown */
  onGrown(): void
}
/** The school as a device of this node has it, which signs what it states. */
export type School = ReturnType<ReturnType<typeof createSchool>>

/** The roster of this node's school, on its disk, and how it grows; for each device of the node, by its key. */
export function createSchool({ db, network, now, onGrown }: SchoolInit) {
  const { self } = network
  const insert = db.prepare('INSERT INTO statement VALUES (?, ?, ?, ?)')
  const rows = db.prepare('SELECT bytes, signature, decision FROM statement WHERE n >= ? ORDER BY n LIMIT ?')
  let log: Log | undefined
  let pass: Pass | undefined

  for (const entry of entries(0, ALL)) {
    if (log == null) log = beginLog(entry.statement)
    else append(log, entry)
  }

  function entries(from: number, limit: number): Entry[] {
    return (
      rows.all(from, limit) as { bytes: Uint8Array; signature: Uint8Array; decision: Uint8Array | null }[]
    ).map(({ bytes, signature, decision }) => ({
      statement: { bytes, signature },
      ...(decision == null ? {} : { decision: decode(decision) as Decision })
    }))
  }
  /** @throws {SchoolError} */
  function known(): Log {
    if (log == null)
      throw new SchoolError(
        'this node belongs to no school: artel messenger found NAME founds one, artel messenger join CODE joins one'
      )
    return log
  }
  const keep = ({ statement, decision }: Entry, n: number): void =>
    void insert.run(n, statement.bytes, statement.signature, decision == null ? null : pack(decision))
  /** Appends what was decided. */
  function take(entry: Entry, into: Log): void {
    const { roster } = into
    const { statement, decision } = entry
    const at = roster.head
    const isRight =
      decision != null &&
      isDecided(
        slotId(roster.school, { at }),
        roster.mailboxes(),
        { value: packSigned(statement), decision },
        network.isSigned
      )
    if (!isRight) throw new MalformedMessageError(`statement ${at + 1} was not decided`)
    append(into, entry)
    if (into !== log) return
    keep(entry, at + 1)
    onGrown()
  }

  const passed = () => (pass == null ? {} : { pass })
  const acceptorsOf = ({ school, mailboxes }: Roster, slot: Slot): Acceptors => ({
    peers: mailboxes(slot.at),
    prepare: (peer, [round, name]) =>
      network.ask(peer, 'prepare', { school, slot, ballot: [round, name], ...passed() }),
    accept: (peer, [round, name], value) =>
      network.ask(peer, 'accept', { school, slot, ballot: [round, name], value, ...passed() })
  })

  /** What the slot holds; `value` goes in where it holds nothing. @throws {NoMajorityError} */
  const settle = (slot: Slot, signal: AbortSignal, value?: Uint8Array, { roster } = known()) =>
    decide(slotId(roster.school, slot), acceptorsOf(roster, slot), network.isSigned, signal, value)

  /** Brings a statement of a device into the roster. */
  async function state<K extends Kind>(
    signer: Signer,
    kind: K,
    body: Body<K>,
    signal: AbortSignal,
    into = known()
  ): Promise<void> {
    const { roster } = into
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const at = roster.head
      const mine = signStatement(signer, {
        school: roster.school,
        n: at + 1,
        by: signer.account,
        timeMs: now(),
        kind,
        body
      } as Statement)
      roster.check(mine)
      const { value, decision } = (await settle({ at }, signal, packSigned(mine), into))!
      // somebody else may have brought it here meanwhile
      if (roster.head === at) take({ statement: statementIn(value), decision }, into)
      if (isEqual(roster.log[at + 1]!.bytes, mine.bytes)) return
      // an earlier try of its own, that nobody told it of
      if (kind === 'device' && roster.device((body as Body<'device'>).device) != null) return
    }
    throw new PolicyError('others changed the roster at the same time again and again; try again')
  }

  /** What this peer has more of the roster than is here. */
  async function pull(peer: string, signal: AbortSignal, into = known()): Promise<void> {
    const { roster } = into
    for (;;) {
      const from = roster.head + 1
      const { statements } = await network.ask(
        peer,
        'roster',
        { school: roster.school, from, ...passed() },
        { signal }
      )
      // others may have brought some of them meanwhile
      for (const [i, entry] of statements.entries()) if (from + i === roster.head + 1) take(entry, into)
      if (statements.length < MAX_STATEMENTS) return
    }
  }

  /** The roster of a school that this node is not in yet. */
  async function read(school: Uint8Array, peers: readonly string[], signal: AbortSignal): Promise<Log> {
    const faults: string[] = []
    for await (const peer of network.others(peers)) {
      try {
        const { statements } = await network.ask(peer, 'roster', { school, from: 0, ...passed() }, { signal })
        const founding = statements[0]?.statement
        if (founding == null || !isEqual(schoolOf(founding), school))
          throw new MalformedMessageError('it is of another school')
        const found = beginLog(founding)
        await pull(peer, signal, found)
        return found
      } catch (error) {
        faults.push(`${peer}: ${(error as Error).message}`)
      }
    }
    throw new SchoolError(`no node of the school can be asked: ${faults.join('; ') || 'none was found'}`)
  }

  function settleIn(found: Log): void {
    checkAlone()
    transact(db, () => found.entries.forEach(keep))
    log = found
    onGrown()
  }

  /** @throws {SchoolError} */
  function checkAlone(): void {
    if (log != null) throw new SchoolError(`this node belongs to ${log.roster.name} already`)
  }

  return (signer: Signer) => ({
    /** @throws {SchoolError} this device is in a school */
    checkNew(): void {
      if (log?.roster.device(signer.account) != null) checkAlone()
    },
    /** undefined: of no school */
    get roster(): Roster | undefined {
      return log?.roster
    },
    known: (): Roster => known().roster,
    checkAlone,
    state: <K extends Kind>(kind: K, body: Body<K>, signal: AbortSignal) => state(signer, kind, body, signal),
    settle: (slot: Slot, signal: AbortSignal, value?: Uint8Array) => settle(slot, signal, value),
    pull: (peer: string, signal: AbortSignal) => pull(peer, signal),
    /** Takes the next statement where it was decided and nobody brought it. @throws {NoMajorityError} */
    async learn(signal: AbortSignal): Promise<void> {
      const into = known()
      const at = into.roster.head
      const decided = await settle({ at }, signal)
      if (decided == null || into.roster.head !== at) return
      take({ statement: statementIn(decided.value), decision: decided.decision }, into)
    },
    /** Takes what somebody carried here, where it is the next one. @throws {MalformedMessageError} it was not decided */
    bring(n: number, entry: Entry): boolean {
      const into = known()
      if (n !== into.roster.head + 1) return false
      take(entry, into)
      return true
    },
    entries: (from: number) => entries(from, MAX_STATEMENTS),
    statementIn,

    /** Whether a node may be answered: it is in the roster, or has an invitation or a recovery code that nobody used. */
    admits(peer: string, given?: Pass): boolean {
      if (log == null) return false
      const { roster } = log
      if (peer === self || roster.isPeer(peer)) return true
      if (given == null) return false
      const { user, signature } = given
      return roster
        .openKeys(user)
        .some(key => isSignedBy(key, 'artel/messenger/pass', passFor(roster.school, peer), signature))
    },

    /** @throws {SchoolError} it belongs to one */
    found(name: string, user: { id: string; name: string }, device: string): void {
      checkAlone()
      const founding = signStatement(signer, {
        school: UNFOUNDED,
        n: 0,
        by: signer.account,
        timeMs: now(),
        kind: 'found',
        body: {
          name,
          user: { ...user, role: 'admin', classes: [], isDisabled: false },
          device: { user: user.id, device: signer.account, peer: self, name: device },
          mailboxes: [self],
          policy: FIRST_POLICY
        }
      })
      const begun = beginLog(founding)
      keep({ statement: founding }, 0)
      log = begun
      onGrown()
    },

    /**
     * Brings this device, of another person of a node that is in the school, in by his invitation.
     *
     * @throws {PolicyError} it was used, or withdrawn, or the node is no mailbox
     * @throws {NoMajorityError} too few mailboxes answer
     */
    async comeIn(code: string, name: string, signal: AbortSignal): Promise<void> {
      const { user, seed } = readCode(code)
      const { roster } = known()
      if (roster.device(signer.account) != null) return
      const invite = await signerOf(seed)
      const { signature: vouch } = signAs(
        invite,
        'vouch',
        vouchFor(roster.school, user, signer.account, self)
      )
      await state(signer, 'device', { user, device: signer.account, peer: self, name, vouch }, signal)
    },

    /**
     * Brings this device in by the code of an invitation.
     *
     * @throws {SchoolError} it belongs to a school, or no node of the school answers
     * @throws {PolicyError} the invitation was used, or withdrawn
     */
    async join(code: string, device: string, signal: AbortSignal): Promise<void> {
      checkAlone()
      const { school, user, seed, peers } = readCode(code)
      const invite = await signerOf(seed)
      pass = { user, signature: signAs(invite, 'pass', passFor(school, self)).signature }
      try {
        const found = await read(school, peers, signal)
        const { signature: vouch } = signAs(invite, 'vouch', vouchFor(school, user, signer.account, self))
        const body = { user, device: signer.account, peer: self, name: device, vouch }
        if (found.roster.device(signer.account) == null) await state(signer, 'device', body, signal, found)
        settleIn(found)
      } finally {
        pass = undefined
      }
    },

    /**
     * Comes in where another device of this person let it in.
     *
     * @throws {SchoolError} the node belongs to another school, or that device's node does not answer
     * @throws {PolicyError} the roster says nothing of it
     */
    async enter(
      { school, user, peer }: { school: Uint8Array; user: string; peer: string },
      signal: AbortSignal
    ) {
      if (log != null && !isEqual(log.roster.school, school)) checkAlone()
      // a further device of a node that is in it
      if (log != null) await pull(peer, signal)
      const found = log ?? (await read(school, [peer], signal))
      if (found.roster.person(signer.account)?.id !== user)
        throw new PolicyError(`the roster of ${found.roster.name} does not name this device`)
      if (log == null) settleIn(found)
    }
  })
}

const pair = z.tuple([bytesOf(1, MAX_STATEMENT_BYTES), bytesOf(64)])
const packSigned = ({ bytes, signature }: Signed): Uint8Array => pack([bytes, signature])
function statementIn(value: Uint8Array): Signed {
  const [bytes, signature] = unpack(
    pair,
    value,
    MAX_STATEMENT_BYTES + 1024,
    'the value of a place of the roster'
  )
  return { bytes, signature }
}

/** A roster, and how each of its places was decided. */
interface Log {
  roster: Roster
  entries: Entry[]
}
const beginLog = (statement: Signed): Log => ({ roster: openRoster(statement), entries: [{ statement }] })
function append({ roster, entries }: Log, entry: Entry): void {
  roster.append(entry.statement)
  entries.push(entry)
}
