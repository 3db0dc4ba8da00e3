import type { HostOf } from '../host/index.ts'
import { transact } from '../host/index.ts'
import { createKeptCopies } from './admin/kept-copies.ts'
import { toHex } from './core/codec.ts'
import { MESSAGES_PER_MINUTE } from './core/constants.ts'
import type { Event } from './core/event.ts'
import type { declaration } from './declaration.ts'
import { createChats } from './device/chats.ts'
import { editOf } from './device/edits.ts'
import { createFloods } from './device/floods.ts'
import { createGroups } from './device/groups.ts'
import { createIntake } from './device/intake.ts'
import { createPost } from './device/post.ts'
import { openDeviceStore } from './device/store.ts'
import { createSync } from './device/sync.ts'
import { createView } from './device/view.ts'
import { wordsOf } from './device/words.ts'
import { createMls } from './groups/mls.ts'
import { openDeviceKey } from './keys.ts'
import { createMirror } from './mailbox/mirror.ts'
import { createRates } from './mailbox/rates.ts'
import { createMailbox } from './mailbox/serve.ts'
import { openMailStore } from './mailbox/store.ts'
import { createPresence } from './people/presence.ts'
import { signerOf } from './school/invitation.ts'
import { createNetwork, type Handlers } from './school/network.ts'
import { createPairing } from './school/pairing.ts'
import { createSchool } from './school/school.ts'
import { createDisk, createOwn, createTurns, transactLater } from './store/database.ts'
import { MIGRATIONS } from './store/schema.ts'

const MB = 1_000_000

export type Messenger = Awaited<ReturnType<typeof assemble>>

/** The parts of the service, put together. `handlers`: what this node answers others. */
export async function assemble(
  host: HostOf<typeof declaration>,
  handlers: () => Handlers,
  tell: HostOf<typeof declaration>['tell']
) {
  const { signal, now, log } = host
  const seed = await openDeviceKey(host.folder)
  const signer = await signerOf(seed)
  const self = signer.account
  const db = host.database(MIGRATIONS)
  const own = createOwn(db)
  const personOf = (device: string): string => school.roster?.device(device)?.user ?? device
  const store = openDeviceStore(db, now, (event, about) => wordsOf(editOf(event, about, personOf) ?? event))
  const network = createNetwork(host.peers as never, host.isSigned, handlers, signal)
  const inTurn = createTurns()
  const kept = createDisk(db)
  const grown = new Set<() => void>()

  const school = createSchool({
    db,
    network,
    signer,
    now,
    onGrown() {
      for (const listener of grown) listener()
    }
  })
  const pairing = createPairing({
    network,
    school,
    signer,
    now,
    signal,
    changed: () => tell('roster', {})
  })
  const mailbox = createMailbox({
    store: openMailStore(db, now),
    self: network.self,
    roster: school.known,
    sign: host.sign,
    catchUp: school.pull,
    statementIn: school.statementIn,
    quotaBytes: () => host.config.mailMb * MB,
    kept,
    signal
  })
  const perMinute = (): number => school.known().policy().messagesPerMinute ?? MESSAGES_PER_MINUTE
  const floods = createFloods(perMinute, now)
  const intake = createIntake({ store, roster: school.known, self })
  const readKey = (grp: string): string => `read ${grp}`
  const readMs = (grp: string): number => {
    const value = own.get(readKey(grp))
    return value == null ? 0 : Number(Buffer.from(value).toString())
  }
  function onTaken(grp: string, events: readonly Event[]): void {
    floods.hear(grp, events)
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

  const post = createPost({
    device: self,
    store,
    school,
    network,
    mailbox,
    signal,
    read: (address, envelopes, also) => chats.read(address, envelopes, also),
    kept,
    onKept: event => tell('kept', { event }),
    onStranded(events) {
      for (const grp of new Set(events.flatMap(id => store.event(id)?.grp ?? []))) sync.tell(grp)
    },
    degraded: host.degraded,
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
    school,
    network,
    intake,
    post,
    inTurn,
    now,
    signal,
    onChanged(grp) {
      changed(grp)
      // what was said before, where newcomers may see it
      void sync.one(grp)
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
    sync,
    inTurn,
    now,
    kept,
    onTaken,
    log
  })
  const mirror = createMirror(network, school, mailbox, store, signal)

  return {
    self,
    signer,
    db,
    store,
    network,
    school,
    pairing,
    mailbox,
    /** of what nodes bring to this mailbox */
    rates: createRates(perMinute),
    floods,
    mls,
    intake,
    post,
    sync,
    groups,
    chats,
    mirror,
    presence,
    keptCopies: createKeptCopies(host.folder, () => host.config.copiesMb * MB),
    view: createView(store, school, self, readMs),
    readMs,
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
    },
    /** Hears when the roster has grown. */
    onGrown: (listener: () => void): void => void grown.add(listener),
    /** The device on a node of the school. */
    deviceOn: (peer: string): string | undefined =>
      school.roster?.devices().find(each => each.peer === peer && school.known().person(each.id) != null)?.id
  }
}
