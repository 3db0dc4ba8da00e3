import type { DatabaseSync } from 'node:sqlite'
import { LRUCache } from 'lru-cache'
import { fromHex, hashOf, type Signed, toHex } from '../core/codec.ts'
import { type Event, type EventOf, eventId, type Head, keptAs, parseEvent, type Read } from '../core/event.ts'
import { type Generation, readGeneration } from '../core/generation.ts'
import { MalformedMessageError } from '../errors.ts'
import type { KeptGroup, OwnPackage, Ratchet } from '../groups/mls.ts'
import { inOnePage } from '../mailbox/envelope.ts'
import { createOwn, createStatements, type Sealing, transactLater } from '../store/database.ts'
import type { Gone } from './claims.ts'

export interface KeptGeneration extends Generation {
  signed: Signed
  /** of MLS; where this device is in it */
  state?: Uint8Array
  /** hex */
  address?: string
}
/** A place of a chain. */
export interface Link {
  id: string
  timeMs: number
  kind: string
  isGone: boolean
}
/** The end of a chain. */
export interface End {
  device: string
  seq: number
  id: string
  timeMs: number
}
/** An event in its place; without content where it was deleted. */
export interface Placed {
  id: string
  device: string
  seq: number
  timeMs: number
  bytes: Uint8Array | null
  signature: Uint8Array | null
  /** of an edit, and of what is about another: its id */
  target: string | null
}
/** An event that deletes another, as it was signed. */
export interface Deletion extends Signed {
  id: string
  event: EventOf<'delete'>
}
/** How far an event got: on this disk, at a mailbox. */
export type Mark = 'saved' | 'kept'

/** the words by which an event is found, as what is `about` it has changed them; undefined: it is not */
export type Words = (event: Event, about: readonly Event[]) => string | undefined

/** In place of the kind of an event that was deleted before it came here. */
export const GONE = 'gone'

const KNOWN_GROUPS = 100
const KNOWN_GENERATIONS = 1_000
/** the newest event whose words are found */
const INDEXED = 'indexed'
const INDEXED_AT_ONCE = 200

export type DeviceStore = ReturnType<typeof openDeviceStore>

/**
 * What a device has on its disk of groups. Rows only; what may become one is decided elsewhere. Where its bytes are sealed,
 * words are found in memory, and anew after each start.
 */
export function openDeviceStore(db: DatabaseSync, now: () => number, words: Words, sealing?: Sealing) {
  db.exec('PRAGMA secure_delete = ON; PRAGMA wal_autocheckpoint = 4096')
  const own = createOwn(db)
  if (sealing != null) {
    // stands before the table of this name on the disk
    db.exec(
      `PRAGMA temp_store = MEMORY; CREATE VIRTUAL TABLE temp.search USING fts5 (words, tokenize = 'unicode61')`
    )
    own.set(INDEXED, Buffer.from('0'))
  }
  const { all, one, run, iterate } = createStatements(db, sealing)

  type GenerationRow = {
    g: number
    bytes: Uint8Array
    signature: Uint8Array
    state: Uint8Array | null
    address: string | null
  }
  const generationRows = all<GenerationRow>('SELECT * FROM generation WHERE grp = ? ORDER BY g')
  const addGeneration = run(
    `INSERT INTO generation VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET state = coalesce(excluded.state, state), address = coalesce(excluded.address, address)`
  )
  const dropState = run('UPDATE generation SET state = NULL WHERE grp = ? AND g < ?')
  const saveRatchet = run('INSERT OR REPLACE INTO ratchet VALUES (?, ?, ?, ?)')
  const ratchets = all<Ratchet>('SELECT leaf, bytes FROM ratchet WHERE grp = ? AND g = ?')
  const dropRatchets = run('DELETE FROM ratchet WHERE grp = ? AND g < ?')
  const groupIds = all<{ grp: string }>('SELECT DISTINCT grp FROM generation ORDER BY grp')
  const byAddress = one<{ grp: string; g: number }>('SELECT grp, g FROM generation WHERE address = ?')
  const addresses = all<{ address: string }>(
    'SELECT address FROM generation WHERE address IS NOT NULL AND state IS NOT NULL'
  )

  const ends = all<End>(
    // from one device to the next: a chain may be long
    `WITH RECURSIVE author (device) AS (
       SELECT min(device) FROM event WHERE grp = ?1
       UNION ALL
       SELECT (SELECT min(device) FROM event WHERE grp = ?1 AND device > author.device) FROM author
       WHERE author.device IS NOT NULL
     )
     SELECT event.device, event.seq, event.id, event.timeMs FROM author, event
     WHERE event.grp = ?1 AND event.device = author.device AND event.seq =
       (SELECT max(seq) FROM event WHERE grp = ?1 AND device = author.device)`
  )
  const at = one<{ id: string; timeMs: number; kind: string; isGone: number }>(
    'SELECT id, timeMs, kind, bytes IS NULL AS isGone FROM event WHERE grp = ? AND device = ? AND seq = ?'
  )
  const eventRow = one<{ bytes: Uint8Array | null; signature: Uint8Array | null; mark: Mark; grp: string }>(
    'SELECT bytes, signature, mark, grp FROM event WHERE id = ?'
  )
  const addEvent = one<{ n: number }>(
    `INSERT INTO event (id, grp, device, seq, timeMs, kind, target, bytes, signature, mark)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET bytes = excluded.bytes, signature = excluded.signature, kind = excluded.kind
     RETURNING n`
  )
  const addGone = run(
    `INSERT INTO event (id, grp, device, seq, timeMs, kind, target, mark) VALUES (?, ?, ?, ?, ?, '${GONE}', ?, 'saved')`
  )
  const isPlaced = one<object>('SELECT 1 FROM event WHERE id = ?')
  const page = all<{
    id: string
    timeMs: number
    bytes: Uint8Array | null
    mark: Mark
    device: string
    seq: number
  }>(
    `SELECT id, timeMs, bytes, mark, device, seq FROM event
     WHERE grp = ? AND target IS NULL AND (timeMs, id) < (?, ?) ORDER BY timeMs DESC, id DESC LIMIT ?`
  )
  const about = all<{ bytes: Uint8Array }>(
    'SELECT bytes FROM event WHERE target = ? AND bytes IS NOT NULL ORDER BY timeMs, id'
  )
  const inOrder = all<Placed>(
    'SELECT id, device, seq, timeMs, bytes, signature, target FROM event WHERE grp = ? ORDER BY timeMs, id'
  )
  const beyond = all<Placed>(
    'SELECT id, device, seq, timeMs, bytes, signature, target FROM event WHERE grp = ? AND device = ? AND seq > ?'
  )
  const authors = all<{ device: string }>(
    'SELECT DISTINCT device FROM event WHERE grp = ? AND timeMs > ? AND timeMs <= ? AND target IS NULL'
  )
  const empty = run('UPDATE event SET bytes = NULL, signature = NULL WHERE id = ?')
  // whoever deletes stays: his event is the proof
  const changed = all<Placed & { grp: string; before: string | null }>(
    `SELECT id, grp, device, seq, timeMs, bytes, signature, target, (
       SELECT id FROM event AS other
       WHERE other.grp = event.grp AND other.device = event.device AND other.seq = event.seq - 1
     ) AS before
     FROM event WHERE (id = ?1 AND kind NOT IN ('delete', 'silence', 'leave')) OR (target = ?1 AND kind IN ('edit', '${GONE}'))`
  )
  const deletesOf = all<Signed & { id: string }>(
    `SELECT id, bytes, signature FROM event WHERE target = ? AND kind = 'delete' AND bytes IS NOT NULL`
  )
  const deletedEdits = all<{ grp: string; target: string }>(
    `SELECT DISTINCT grp, target FROM event AS deletes WHERE kind = 'delete' AND EXISTS (
       SELECT 1 FROM event WHERE event.target = deletes.target AND event.kind = 'edit'
     )`
  )
  const dropBeyond = all<{ n: number }>(
    'DELETE FROM event WHERE grp = ? AND device = ? AND seq > ? RETURNING n'
  )
  const setMark = run('UPDATE event SET mark = ? WHERE id = ?')
  const newest = one<{ timeMs: number }>('SELECT max(timeMs) AS timeMs FROM event WHERE grp = ?')
  const unread = one<{ count: number }>(
    `SELECT count(*) AS count FROM event WHERE grp = ? AND target IS NULL AND timeMs > ? AND bytes IS NOT NULL AND device <> ?`
  )

  const addWords = run('INSERT OR REPLACE INTO search (rowid, words) VALUES (?, ?)')
  const dropWords = run('DELETE FROM search WHERE rowid = ?')
  const find = all<{ id: string; grp: string }>(
    `SELECT event.id, event.grp FROM search JOIN event ON event.n = search.rowid
     WHERE search.words MATCH ? ORDER BY search.rank LIMIT ?`
  )
  const hasContent = one<object>('SELECT 1 FROM event WHERE id = ? AND bytes IS NOT NULL')
  const numberOf = one<{ n: number }>('SELECT n FROM event WHERE id = ?')
  const behind = all<{ n: number; id: string; target: string | null }>(
    `SELECT n, id, target FROM event WHERE n > ? AND kind IN ('text', 'file', 'edit') ORDER BY n LIMIT ?`
  )

  const saidAfter = all<{ n: number; id: string }>(
    `SELECT n, id FROM event WHERE n > ? AND kind = 'text' AND device <> ? AND bytes IS NOT NULL ORDER BY n LIMIT ?`
  )

  const firstSince = one<{ n: number | null }>(
    `SELECT min((SELECT min(n) FROM event WHERE grp = chat.grp AND timeMs >= ?)) AS n
     FROM (SELECT DISTINCT grp FROM generation) AS chat`
  )
  const newestPlace = one<{ n: number | null }>('SELECT max(n) AS n FROM event')
  const saidBy = all<{ id: string }>(
    `SELECT id FROM event WHERE grp = ? AND timeMs >= ? AND device = ? AND kind = 'text' AND bytes IS NOT NULL`
  )

  const addWaiting = run('INSERT OR IGNORE INTO waiting VALUES (?, ?, ?, ?)')
  const waitingRows = all<Signed & { id: string }>(
    'SELECT id, bytes, signature FROM waiting WHERE grp = ? LIMIT ?'
  )
  const dropWaiting = run('DELETE FROM waiting WHERE id = ?')
  const waitingCount = one<{ count: number }>('SELECT count(*) AS count FROM waiting WHERE grp = ?')

  const seen = one<{ id: string }>('SELECT id FROM seen WHERE id = ?')
  const addSeen = run('INSERT OR IGNORE INTO seen VALUES (?, ?)')
  const oldSeen = run('DELETE FROM seen WHERE at < ?')

  const sentAs = one<{ id: string }>('SELECT id FROM sent WHERE key = ?')
  const addSent = run('INSERT INTO sent VALUES (?, ?, ?)')
  const oldSent = run('DELETE FROM sent WHERE at < ?')

  const addOut = run('INSERT INTO outbox (mailbox, envelope, event) VALUES (?, ?, ?)')
  const out = iterate<{ n: number; envelope: Uint8Array; event: string | null }>(
    'SELECT n, envelope, event FROM outbox WHERE mailbox = ? ORDER BY n'
  )
  const dropOut = run('DELETE FROM outbox WHERE n = ?')
  const dropMailbox = all<{ mailbox: string }>('SELECT DISTINCT mailbox FROM outbox')
  const forgetOut = run('DELETE FROM outbox WHERE mailbox = ?')
  const outCount = one<{ count: number }>('SELECT count(*) AS count FROM outbox')

  const cursor = one<{ position: number }>(
    'SELECT position FROM cursor WHERE mailbox = ? AND life = ? AND address = ?'
  )
  const setCursor = run('INSERT OR REPLACE INTO cursor VALUES (?, ?, ?, ?)')
  const lifeOf = one<{ life: string }>('SELECT life FROM cursor WHERE mailbox = ? LIMIT 1')

  const addOwnPackage = run('INSERT INTO ownPackage VALUES (?, ?, ?, ?)')
  const ownPackage = one<OwnPackage & { isLast: number }>('SELECT * FROM ownPackage WHERE id = ?')
  const dropOwnPackage = run('DELETE FROM ownPackage WHERE id = ? AND isLast = 0')

  const addWelcome = run('INSERT OR IGNORE INTO welcome VALUES (?, ?, ?)')
  const welcomes = all<{ id: string; bytes: Uint8Array; at: number }>(
    'SELECT id, bytes, at FROM welcome ORDER BY at'
  )
  const dropWelcome = run('DELETE FROM welcome WHERE id = ?')

  const marks = all<{ device: string; have: string; readMs: number }>(
    'SELECT device, have, readMs FROM mark WHERE grp = ?'
  )
  const addMark = run('INSERT OR REPLACE INTO mark VALUES (?, ?, ?, ?)')

  const addBlob = run('INSERT OR IGNORE INTO blob VALUES (?, ?, ?)')
  const blob = one<{ bytes: Uint8Array }>('SELECT bytes FROM blob WHERE id = ?')

  /** as the disk has them; none that a transaction under way could take back */
  const known = new LRUCache<string, readonly KeptGeneration[]>({ max: KNOWN_GROUPS })
  /** of the generations that are on the disk; an address is of one for ever */
  const places = new LRUCache<string, { grp: string; g: number }>({ max: KNOWN_GENERATIONS })
  /** those whose signatures were looked at, by what was signed and by the signature */
  const parsed = new LRUCache<string, Generation>({ max: KNOWN_GENERATIONS })
  function parse(signed: Signed): Generation {
    const key = toHex(hashOf(Buffer.concat([signed.signature, signed.bytes])))
    const there = parsed.get(key)
    if (there != null) return there
    const read = readGeneration(signed)
    parsed.set(key, read)
    return read
  }
  function generations(grp: string): readonly KeptGeneration[] {
    const before = known.get(grp)
    if (before != null) return before
    const read = generationRows(grp).map(({ bytes, signature, state, address }): KeptGeneration => {
      const signed = { bytes, signature }
      return {
        ...parse(signed),
        signed,
        ...(state == null ? {} : { state }),
        ...(address == null ? {} : { address })
      }
    })
    if (!db.isTransaction) known.set(grp, read)
    return read
  }

  let { n: newestNumber } = one<{ n: number }>('SELECT coalesce(max(n), 0) AS n FROM event')()!
  const indexed = (): number => Number(Buffer.from(own.get(INDEXED) ?? new Uint8Array()).toString())
  /** It is found by the words that it has now, and by no others. */
  function index(id: string): void {
    const number = numberOf(id)?.n
    if (number == null) return
    const text = wordsOf(id)
    if (text == null) dropWords(number)
    else addWords(number, text)
  }
  function wordsOf(id: string): string | undefined {
    const bytes = eventRow(id)?.bytes
    const event = bytes == null ? undefined : whole({ bytes })
    if (event == null) return undefined
    return words(
      event,
      about(id).flatMap(row => whole(row) ?? [])
    )
  }
  /** Undefined: damaged on the disk. `verify` tells of it, and what mends it makes it found again. */
  function whole(row: Pick<Signed, 'bytes'>): Event | undefined {
    try {
      return parseEvent(row)
    } catch (error) {
      if (error instanceof MalformedMessageError) return undefined
      throw error
    }
  }

  function indexNew(limit = INDEXED_AT_ONCE): boolean {
    const rows = behind(indexed(), limit)
    const last = rows.at(-1)
    if (last == null) return false
    transactLater(db, () => {
      // an edit is found in the place of what it edits
      for (const { id, target } of rows) index(target ?? id)
      own.set(INDEXED, Buffer.from(String(last.n)))
    })
    return rows.length === limit
  }

  return {
    db,
    groups: (): string[] => groupIds().map(({ grp }) => grp),
    generations,
    /** Others have written generations. */
    reread: (): void => known.clear(),
    addGeneration(signed: Signed, own: Partial<KeptGroup> & { address?: Uint8Array } = {}): void {
      const { group, g } = parse(signed)
      known.delete(toHex(group))
      for (const each of own.ratchets ?? []) saveRatchet(toHex(group), g, each.leaf, each.bytes)
      addGeneration(
        toHex(group),
        g,
        signed.bytes,
        signed.signature,
        own.state ?? null,
        own.address == null ? null : toHex(own.address)
      )
    },
    saveRatchet: (grp: string, g: number, { leaf, bytes }: Ratchet) => saveRatchet(grp, g, leaf, bytes),
    ratchets: (grp: string, g: number) => ratchets(grp, g),
    /** Keys of generations before `g` are not needed any more. */
    dropStates(grp: string, g: number): void {
      known.delete(grp)
      dropState(grp, g)
      dropRatchets(grp, g)
    },
    generationAt(address: string): { grp: string; g: number } | undefined {
      const place = places.get(address) ?? byAddress(address)
      if (place != null && !db.isTransaction) places.set(address, place)
      return place
    },
    addresses: (): string[] => addresses().map(({ address }) => address),

    /** Ends of the chains of a group. */
    ends: (grp: string) => ends(grp),
    heads: (grp: string): Head[] => ends(grp).map(({ device, seq, id }) => [device, seq, fromHex(id)]),
    at(grp: string, device: string, seq: number): Link | undefined {
      const row = at(grp, device, seq)
      return row == null ? undefined : { ...row, isGone: row.isGone === 1 }
    },
    /** Whether it has a place here, with its content or without. */
    isPlaced: (id: string): boolean => isPlaced(id) != null,
    /** Texts of others behind a number. */
    saidAfter,
    /** The number behind which everything is that was said since a time. */
    placeBefore: (sinceMs: number): number => (firstSince(sinceMs)?.n ?? (newestPlace()?.n ?? 0) + 1) - 1,
    /** Texts of a device in a chat since a time. */
    saidBy: (grp: string, device: string, sinceMs: number) => saidBy(grp, sinceMs, device),
    hasEvent: (id: string): boolean => hasContent(id) != null,
    event(id: string): { event: Event; grp: string; mark: Mark } | undefined {
      const row = eventRow(id)
      if (row?.bytes == null) return undefined
      return {
        event: parseEvent({ bytes: row.bytes }),
        grp: row.grp,
        mark: row.mark
      }
    },
    add({ id, bytes, signature, event }: Read, mark: Mark = 'saved'): void {
      const { device, seq, timeMs } = event
      const { kind, target } = keptAs(event)
      const grp = toHex(event.group)
      const { n } = addEvent(id, grp, device, seq, timeMs, kind, target, bytes, signature, mark)!
      // it was here without content, and new ones are looked for behind it
      if (n <= newestNumber) index(target ?? id)
      else newestNumber = n
    },
    /** The place of an event that was deleted before it came here, by one that deletes `of`. */
    addGone(grp: string, [device, seq, hash, timeMs]: Gone, of: string): void {
      const id = toHex(hash)
      addGone(id, grp, device, seq, timeMs, of === id ? null : of)
    },
    /** Takes the content of an event off the disk. */
    empty(id: string): void {
      empty(id)
      index(id)
    },
    /** It and its edits, with what stands before each in its chain: all that goes when it is deleted. */
    changed: (id: string) => changed(id),
    /** Events that delete it. */
    deletesOf: (id: string): Deletion[] =>
      deletesOf(id).flatMap(row => {
        const event = whole(row)
        return event?.kind === 'delete' ? [{ ...row, event }] : []
      }),
    /** Messages that were edited and deleted. */
    deletedEdits: () => deletedEdits(),
    index,
    /**
     * Makes some of what came found by its words, and whether there is more: one event alone costs ten times what one of many
     * does, so they wait for each other, or for who looks for something.
     */
    indexNew,
    dropBeyond(grp: string, device: string, seq: number): void {
      for (const { n } of dropBeyond(grp, device, seq)) dropWords(n)
    },
    page: (grp: string, before: { timeMs: number; id: string }, limit: number) =>
      page(grp, before.timeMs, before.id, limit),
    /** What edits, deletes or answers it, in order. */
    about: (id: string): Event[] => about(id).map(parseEvent),
    inOrder: (grp: string) => inOrder(grp),
    /** What the chain of a device has behind a place. */
    beyond: (grp: string, device: string, seq: number) => beyond(grp, device, seq),
    /** Devices that said something after one time, up to another. */
    authors: (grp: string, after: number, until: number) =>
      authors(grp, after, until).map(({ device }) => device),
    setMark: (id: string, mark: Mark) => setMark(mark, id),
    newestMs: (grp: string): number | undefined => newest(grp)?.timeMs ?? undefined,
    unread: (grp: string, afterMs: number, self: string): number => unread(grp, afterMs, self)!.count,

    /** Of those that were indexed. */
    find: (words: string, limit: number) => find(words, limit),

    wait: (signed: Signed, grp: string): void =>
      void addWaiting(eventId(signed), grp, signed.bytes, signed.signature),
    waiting: (grp: string, limit: number) => waitingRows(grp, limit),
    waitingCount: (grp: string): number => waitingCount(grp)!.count,
    dropWaiting: (id: string) => dropWaiting(id),

    isSeen: (envelope: string): boolean => seen(envelope) != null,
    see: (envelope: string) => addSeen(envelope, now()),
    /** What was written under a key before: whoever had no answer writes again. */
    sentAs: (key: string): string | undefined => sentAs(key)?.id,
    addSent: (key: string, id: string) => addSent(key, id, now()),
    forgetSeen(beforeMs: number): void {
      oldSeen(beforeMs)
      oldSent(beforeMs)
    },

    post: (mailbox: string, envelope: Uint8Array, event?: string) => addOut(mailbox, envelope, event ?? null),
    /** the first that fit into one put */
    out: (mailbox: string) => inOnePage(out(mailbox), ({ envelope }) => envelope.length),
    sent: (n: number) => dropOut(n),
    keepMailboxes(mailboxes: readonly string[]): void {
      for (const { mailbox } of dropMailbox()) if (!mailboxes.includes(mailbox)) forgetOut(mailbox)
    },
    outCount: (): number => outCount()!.count,

    lifeOf: (mailbox: string): string => lifeOf(mailbox)?.life ?? '',
    cursor: (mailbox: string, life: string, address: string): number =>
      cursor(mailbox, life, address)?.position ?? 0,
    setCursor: (mailbox: string, life: string, address: string, position: number) =>
      setCursor(mailbox, life, address, position),

    addPackage: ({ id, publicBytes, privateBytes }: OwnPackage, isLast: boolean) =>
      addOwnPackage(id, publicBytes, privateBytes, isLast ? 1 : 0),
    package: (id: string): OwnPackage | undefined => ownPackage(id),
    dropPackage: (id: string) => dropOwnPackage(id),

    addWelcome: (bytes: Uint8Array) => addWelcome(toHex(hashOf(bytes)), bytes, now()),
    welcomes: () => welcomes(),
    dropWelcome: (id: string) => dropWelcome(id),

    marks: (grp: string) =>
      marks(grp).map(({ device, have, readMs }) => ({
        device,
        have: new Map(JSON.parse(have) as [string, number][]),
        readMs
      })),
    setMarks: (grp: string, device: string, have: readonly Head[], readMs: number) =>
      addMark(grp, device, JSON.stringify(have.map(([each, seq]) => [each, seq])), readMs),

    addBlob: (id: string, bytes: Uint8Array) => addBlob(id, bytes, now()),
    blob: (id: string): Uint8Array | undefined => blob(id)?.bytes
  }
}
