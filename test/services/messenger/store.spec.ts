import { deepEqual, equal, ok, throws } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { openDatabase, transact } from '../../../services/host/index.ts'
import { restoreFrom } from '../../../services/messenger/admin/restore.ts'
import { fromHex, NO_HASH, type Signed, toHex } from '../../../services/messenger/core/codec.ts'
import { type Event, eventId, readSigned, signEvent } from '../../../services/messenger/core/event.ts'
import { readGeneration, signGeneration } from '../../../services/messenger/core/generation.ts'
import { editOf } from '../../../services/messenger/device/edits.ts'
import { createIntake } from '../../../services/messenger/device/intake.ts'
import { openDeviceStore } from '../../../services/messenger/device/store.ts'
import { createView } from '../../../services/messenger/device/view.ts'
import { putInto, readEnvelope } from '../../../services/messenger/mailbox/envelope.ts'
import { openMailStore } from '../../../services/messenger/mailbox/store.ts'
import { MIGRATIONS } from '../../../services/messenger/store/schema.ts'
import { type Key, keyOf, START_MS } from './devices.ts'

describe('messenger: what is kept', () => {
  let folder: string
  let db: DatabaseSync
  let key: Key
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-messenger-store-'))
    db = openDatabase(join(folder, 'new.sqlite'), MIGRATIONS)
    key = await keyOf('admin')
  })
  afterEach(async () => {
    db.close()
    await rm(folder, { recursive: true, force: true })
  })

  /** A store, and what is found in it by a word as it stands. */
  function openSearched() {
    const store = openDeviceStore(db, Date.now, (event, about) => {
      const { body } = editOf(event, about, device => device) ?? event
      return 'text' in body ? body.text : undefined
    })
    function found(word: string): string[] {
      while (store.indexNew());
      return store.find(`"${word}"`, 10).map(({ id }) => id)
    }
    return { store, found }
  }

  function generation(title: string, before?: Signed): Signed {
    const last = before == null ? undefined : readGeneration(before)
    return signGeneration(key.signer, {
      group: last?.group ?? NO_HASH,
      g: last == null ? 0 : last.g + 1,
      prev: last?.hash ?? NO_HASH,
      by: key.id,
      roster: 0,
      timeMs: START_MS,
      title,
      history: 'all',
      users: ['admin'],
      devices: [key.id],
      heads: []
    })
  }

  it('of generations is what the disk has: not what was taken back, and with the keys that came and went', () => {
    const store = openDeviceStore(db, Date.now, () => undefined)
    const first = generation('first')
    const grp = toHex(readGeneration(first).group)
    const keys = (...bytes: number[]) => ({ state: Uint8Array.from(bytes), ratchets: [] })
    const seen = () => store.generations(grp).map(({ title, state }) => [title, state?.[0]])
    store.addGeneration(first, keys(1))
    deepEqual(seen(), [['first', 1]])

    const refused = generation('refused', first)
    const taken = () =>
      transact(db, () => {
        store.addGeneration(refused, keys(2))
        deepEqual(seen(), [
          ['first', 1],
          ['refused', 2]
        ])
        throw new RangeError('the disk is full')
      })
    throws(taken, RangeError)
    const second = generation('second', first)
    transact(db, () => store.addGeneration(second, keys(3)))
    deepEqual(seen(), [
      ['first', 1],
      ['second', 3]
    ])

    // its statement is known before its welcome comes, and then the oldest keys go
    const third = generation('third', second)
    transact(db, () => store.addGeneration(third))
    deepEqual(seen().at(-1), ['third', undefined])
    transact(db, () => {
      store.addGeneration(third, keys(4))
      store.dropStates(grp, 1)
    })
    deepEqual(seen(), [
      ['first', undefined],
      ['second', 3],
      ['third', 4]
    ])
  })

  it('of a chat comes back with its generations, also where somebody has asked for it before', () => {
    const file = join(folder, 'archive.sqlite')
    const archive = openDatabase(file, MIGRATIONS)
    const signed = generation('first')
    const { group } = readGeneration(signed)
    const event = {
      group,
      device: key.id,
      seq: 0,
      prev: NO_HASH,
      after: [],
      roster: 0,
      timeMs: START_MS + 1,
      kind: 'text',
      body: { text: 'hello' }
    } as Event
    const before = openDeviceStore(archive, Date.now, () => undefined)
    before.addGeneration(signed)
    before.add(readSigned(signEvent(key.signer, event)))
    archive.close()

    const store = openDeviceStore(db, Date.now, () => undefined)
    deepEqual(store.generations(toHex(group)), [])
    const intake = createIntake({ store, roster: () => ({ head: 0 }) as never, self: key.id })
    const { events, generations } = restoreFrom({ db, store, school: {}, intake } as never, file, {})
    deepEqual([events, generations], [1, 1])
  })

  it('of an older program stays, is found by its words, and nothing of it is left in a free page', () => {
    db.close()
    const old = openDatabase(join(folder, 'old.sqlite'), MIGRATIONS.slice(0, 3))
    const group = new Uint8Array(32).fill(1)
    const event = (seq: number, text: string) =>
      signEvent(key.signer, {
        group,
        device: key.id,
        seq,
        prev: NO_HASH,
        after: [],
        roster: 0,
        timeMs: START_MS + seq,
        kind: 'text',
        body: { text }
      })
    const texts = ['the canary sings', 'nobody answers', 'deleted soon']
    const ids = texts.map((text, seq) => {
      const { bytes, signature } = event(seq, text)
      const id = eventId({ bytes })
      old
        .prepare(`INSERT INTO event VALUES (?, 'chat', ?, ?, ?, 'text', NULL, ?, ?, 'kept')`)
        .run(id, key.id, seq, START_MS + seq, bytes, signature)
      old.prepare('INSERT INTO search (words, id, grp) VALUES (?, ?, ?)').run(text, id, 'chat')
      return id
    })
    old.close()
    db = openDatabase(join(folder, 'old.sqlite'), MIGRATIONS)
    const { store, found } = openSearched()
    deepEqual(found('canary'), [ids[0]])
    deepEqual(
      store.inOrder('chat').map(({ id }) => id),
      ids
    )
    deepEqual(found('deleted'), [ids[2]])
    store.empty(ids[2]!)
    deepEqual(found('deleted'), [])
    db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    const file = readFileSync(join(folder, 'old.sqlite'))
    deepEqual([file.includes('canary'), file.includes('deleted soon')], [true, false])
  })

  it('of words follows what is edited, comes back or is damaged', async () => {
    const other = await keyOf('somebody else')
    const { store, found } = openSearched()
    const place = { group: new Uint8Array(32).fill(1), device: key.id, after: [], roster: 0 }
    const add = (seq: number, kind: 'text' | 'edit', body: never): string => {
      const event = { ...place, seq, prev: NO_HASH, timeMs: START_MS + seq, kind, body } as Event
      const signed = signEvent(key.signer, event)
      store.add(readSigned(signed))
      return eventId(signed)
    }
    const first = add(0, 'text', { text: 'first' } as never)
    deepEqual(found('first'), [first])
    const full = (): void =>
      transact(db, () => {
        add(1, 'text', { text: 'taken back' } as never)
        throw new Error('the disk is full')
      })
    throws(full, /full/)
    // its number comes again
    add(1, 'edit', { of: fromHex(first), text: 'better' } as never)
    deepEqual([found('first'), found('better')], [[], [first]])
    // what somebody else makes of it is not what people see in its place
    const others = { ...place, device: other.id, seq: 0, prev: NO_HASH, timeMs: START_MS + 9 }
    const edit = { ...others, kind: 'edit', body: { of: fromHex(first), text: 'worse' } } as Event
    store.add(readSigned(signEvent(other.signer, edit)))
    deepEqual([found('better'), found('worse')], [[first], []])
    // its place is here before it is
    const gone = {
      ...place,
      seq: 2,
      prev: NO_HASH,
      timeMs: START_MS + 2,
      kind: 'text',
      body: { text: 'late' }
    } as Event
    const signed = signEvent(key.signer, gone)
    store.addGone(toHex(place.group), [key.id, 2, fromHex(eventId(signed)), START_MS + 2], eventId(signed))
    const last = add(3, 'text', { text: 'last' } as never)
    deepEqual([found('last'), found('late')], [[last], []])
    store.add(readSigned(signed))
    deepEqual(found('late'), [eventId(signed)])

    const harmed = add(4, 'text', { text: 'harmed' } as never)
    db.prepare(`UPDATE event SET bytes = CAST('damaged' AS BLOB) WHERE id = ?`).run(harmed)
    add(5, 'text', { text: 'after' } as never)
    deepEqual([found('harmed').length, found('after').length], [0, 1])
  })

  it('of words is made found in turns: others have theirs while somebody looks for something', async () => {
    const { store } = openSearched()
    const group = new Uint8Array(32).fill(1)
    transact(db, () => {
      for (let seq = 0; seq < 1_000; seq++) {
        const event = {
          ...{ group, device: key.id, seq, prev: NO_HASH, after: [], roster: 0, timeMs: START_MS + seq },
          kind: 'text',
          body: { text: `song ${seq}` }
        } as Event
        store.add(readSigned(signEvent(key.signer, event)))
      }
    })
    const school = { known: () => ({ user: () => undefined, device: () => undefined }) }
    const notes = { hiddenIn: () => () => undefined, names: () => false }
    const view = createView(store, school as never, key.id, () => 0, notes as never, { hasGone: () => false })
    let turns = 0
    let isDone = false
    const others = (): void => {
      turns++
      if (!isDone) setImmediate(others)
    }
    setImmediate(others)
    const found = await view.search('songs', 10)
    isDone = true
    equal(found.length, 10)
    ok(turns > 1, `${turns}`)
  })

  it('of mail is counted once, however often it is put', () => {
    const store = openMailStore(db, Date.now)
    const envelopes = ['a', 'b', 'c'].map(text =>
      readEnvelope(putInto(new Uint8Array(32).fill(1), Buffer.from(text.repeat(1_000))))
    )
    const [a, b, c] = envelopes as [(typeof envelopes)[0], (typeof envelopes)[0], (typeof envelopes)[0]]
    const quota = a.whole.length + b.whole.length
    equal(store.put([a], quota), true)
    equal(store.put([a, b], quota), true)
    equal(store.put([b, a], quota), true)
    equal(store.put([a, c], quota), false)
    deepEqual(store.usage(), { count: 2, bytes: quota })
    equal(store.get(c.id), undefined)
  })
})
