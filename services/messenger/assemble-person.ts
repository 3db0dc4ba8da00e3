import type { DatabaseSync } from 'node:sqlite'
import { transact } from '../host/index.ts'
import { toHex } from './core/codec.ts'
import type { Event } from './core/event.ts'
import { createChats } from './device/chats.ts'
import { editOf } from './device/edits.ts'
import { createFloods } from './device/floods.ts'
import { createGroups } from './device/groups.ts'
import { createIntake } from './device/intake.ts'
import { createLater } from './device/later.ts'
import { createLeaving } from './device/leaving.ts'
import { createNotes } from './device/notes.ts'
import { createPost } from './device/post.ts'
import { createQuiet } from './device/quiet.ts'
import { openDeviceStore } from './device/store.ts'
import { createSync } from './device/sync.ts'
import { createView } from './device/view.ts'
import { wordsOf } from './device/words.ts'
import { createMls } from './groups/mls.ts'
import type { Mailbox } from './mailbox/serve.ts'
import { createPresence } from './people/presence.ts'
import { signerOf } from './school/invitation.ts'
import type { Network } from './school/network.ts'
import { createPairing } from './school/pairing.ts'
import type { createSchool } from './school/school.ts'
import { createOwn, createStatements, createTurns, type Sealing, transactLater } from './store/database.ts'

export interface PersonInit {
  /** of the key of the device */
  seed: Uint8Array
  /** of this person alone, or of the node where he is its owner */
  db: DatabaseSync
  /** none: who may read the file may read what is in it */
  sealing?: Sealing
  /** mailboxes that this device brings to and gets from; default: all of the school */
  mailboxes?: () => readonly string[]
  school: ReturnType<typeof createSchool>
  network: Network
  mailbox: Mailbox
  perMinute(): number
  /** what is committed is on the disk */
  kept(): Promise<void>
  now(): number
  signal: AbortSignal
  /** his pages */
  tell(topic: string, value: unknown): void
  degraded(what: string, reason: string | undefined): void
  log(message: string, ...args: unknown[]): void
}

export type Person = Awaited<ReturnType<typeof assemblePerson>>

/** A device of one person on this node: his key, what he has of chats, and how it comes and goes. */
export async function assemblePerson(init: PersonInit) {
  const { seed, db, network, mailbox, perMinute, kept, now, signal, tell, degraded, log } = init
  const signer = await signerOf(seed)
  const self = signer.account
  const school = init.school(signer)
  const own = createOwn(db)
  const personOf = (device: string): string => school.roster?.device(device)?.user ?? device
  const store = openDeviceStore(
    db,
    now,
    (event, about) => wordsOf(editOf(event, about, personOf) ?? event),
    init.sealing
  )
  const inTurn = createTurns()
  const pairing = createPairing({
    network,
    school,
    signer,
    now,
    signal,
    changed: () => tell('roster', {})
  })
  const floods = createFloods(perMinute, now)
  const intake = createIntake({ store, roster: school.known, self })
  const readKey = (grp: string): string => `read ${grp}`
  const readMs = (grp: string): number => {
    const value = own.get(readKey(grp))
    return value == null ? 0 : Number(Buffer.from(value).toString())
  }
  function onTaken(grp: string, events: readonly Event[]): void {
    floods.hear(grp, events)
    quiet.hear(grp, events)
    sync.tellAlone(grp, events)
    // a page of the log keeps what it held until it is written over
    for (const { device } of events) presence.spoke(grp, device)
    if (events.some(({ kind }) => kind === 'delete')) db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    for (const { kind, body, device } of events)
      if (kind === 'edit' || (kind === 'delete' && device !== self)) finishDeleting(grp, toHex(body.of))
    tell('chat', { chat: grp })
  }
  /**
   * Edits that whoever deleted the message did not know of: he proves that they went with it when they come, and so does who
   * wrote them; any moderator, where neither does, a while later.
   */
  function finishDeleting(grp: string, message: string, isAny = false): void {
    const deletes = store.deletesOf(message)
    if (deletes.length === 0) return
    const isMine = isAny || deletes.some(({ event }) => event.device === self)
    chats
      .finishRemoving(grp, message, !isMine)
      .catch((error: Error) => log('%s is not all deleted: %s', message, error.message))
  }
  const changed = (grp: string): void => tell('chat', { chat: grp })
  const quiet = createQuiet(db, store, school, self, now)
  const notes = createNotes(store, school, self, quiet, now)
  const leaving = createLeaving(store, school, self)

  const post = createPost({
    device: self,
    store,
    school,
    network,
    mailbox,
    mailboxes: init.mailboxes ?? (() => school.roster?.mailboxes() ?? []),
    signal,
    read: (address, envelopes, also) => chats.read(address, envelopes, also),
    kept,
    onKept: event => tell('kept', { event }),
    onStranded(events) {
      for (const grp of new Set(events.flatMap(id => store.event(id)?.grp ?? []))) sync.tell(grp)
    },
    onAlone() {
      // so that one who has a mailbox tells of what is new
      for (const grp of store.groups()) void sync.one(grp)
    },
    degraded,
    log
  })
  const sync = createSync({
    self,
    store,
    school,
    network,
    intake,
    signal,
    readMs,
    isFlood: floods.isOver,
    isAlone: post.isAlone,
    onTaken,
    onMarks: changed,
    now,
    log
  })
  const presence = createPresence({
    self,
    store,
    school,
    network,
    nodesOf: sync.othersIn,
    now,
    signal,
    changed: grp => tell('presence', { chat: grp })
  })
  const mls = await createMls(self, seed)
  const groups = createGroups({
    self,
    signer,
    mls,
    store,
    own,
    school,
    network,
    intake,
    leaving,
    post,
    inTurn,
    now,
    signal,
    onChanged(grp) {
      changed(grp)
      // what was said before, where newcomers may see it
      sync.one(grp).catch((error: Error) => log('%s: %s', grp, error.message))
    }
  })
  const chats = createChats({
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
    kept,
    onTaken,
    log
  })
  const later = createLater(createStatements(db, init.sealing), {
    say: chats.say,
    sentAs: store.sentAs,
    quiet: quiet.current,
    now,
    changed
  })

  return {
    self,
    signer,
    db,
    own,
    store,
    network,
    school,
    pairing,
    mailbox,
    floods,
    mls,
    intake,
    post,
    sync,
    groups,
    leaving,
    chats,
    presence,
    notes,
    quiet,
    later,
    now,
    view: createView(store, school, self, readMs, notes, leaving),
    readMs,
    /** All chats look different. */
    changedAll(): void {
      tell('roster', {})
      for (const grp of store.groups()) changed(grp)
    },
    setReadMs(grp: string, at: number): void {
      const before = readMs(grp)
      if (at <= before) return
      transactLater(db, () => own.set(readKey(grp), Buffer.from(String(at))))
      for (const device of store.authors(grp, before, at)) void sync.tellSoon(grp, device)
    },
    /** Events that waited for the roster may be taken now. */
    retry(grp: string): void {
      if (store.waitingCount(grp) === 0) return
      const taken = transact(db, () => intake.retry(grp))
      if (taken.length > 0) onTaken(grp, taken)
    },
    /** What nobody has said, and what was deleted by an older program. */
    finishDeleting(): void {
      for (const { grp, target } of store.deletedEdits()) finishDeleting(grp, target, true)
    }
  }
}
