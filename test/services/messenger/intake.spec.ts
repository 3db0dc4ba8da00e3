import { deepEqual, equal } from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { openDatabase, transact } from '../../../services/host/index.ts'
import { hashOf, NO_HASH, toHex } from '../../../services/messenger/core/codec.ts'
import {
  type Event,
  type EventBody,
  type EventKind,
  type Head,
  MAX_PLACES,
  type Read,
  readSigned,
  signEvent
} from '../../../services/messenger/core/event.ts'
import { readGeneration, signGeneration } from '../../../services/messenger/core/generation.ts'
import type { Roster } from '../../../services/messenger/core/roster.ts'
import {
  type Claims,
  createClaims,
  type Gone,
  MAX_CLAIMS
} from '../../../services/messenger/device/claims.ts'
import { deletionsOf, leftBehind } from '../../../services/messenger/device/deletions.ts'
import { createIntake } from '../../../services/messenger/device/intake.ts'
import { openDeviceStore } from '../../../services/messenger/device/store.ts'
import { type Batch, createSync } from '../../../services/messenger/device/sync.ts'
import { MIGRATIONS } from '../../../services/messenger/store/schema.ts'
import { foundSchool, type Key, START_MS } from './devices.ts'

describe('messenger: what a member says was deleted', () => {
  let folder: string
  let db: DatabaseSync
  const others: DatabaseSync[] = []
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-messenger-intake-'))
    db = openDatabase(join(folder, 'new.sqlite'), MIGRATIONS)
  })
  afterEach(async () => {
    for (const each of [db, ...others.splice(0)]) each.close()
    await rm(folder, { recursive: true, force: true })
  })

  /** A chat of a teacher and two pupils as the admin, who came to it, has it: nothing was said yet. */
  async function openChat() {
    const { roster, admin, add } = await foundSchool()
    const [ann, bob, eve] = [
      await add('ann', 'teacher'),
      await add('bob', 'pupil'),
      await add('eve', 'pupil')
    ]
    const generation = signGeneration(ann.signer, {
      group: NO_HASH,
      g: 0,
      prev: NO_HASH,
      by: ann.id,
      roster: roster.head,
      timeMs: START_MS,
      title: 'chat',
      history: 'all',
      users: ['admin', 'ann', 'bob', 'eve'],
      devices: [admin.id, ann.id, bob.id, eve.id],
      heads: []
    })
    const { group } = readGeneration(generation)
    const grp = toHex(group)
    const refuse = (error: Error): void => {
      throw error
    }
    /** What a device has, on a disk of its own. */
    function disk(self: Key, of: DatabaseSync) {
      const store = openDeviceStore(of, Date.now, () => undefined)
      store.addGeneration(generation)
      const intake = createIntake({ store, roster: () => roster, self: self.id })
      const take = (given: Read[], claims?: Claims): Event[] =>
        transact(of, () => intake.take(grp, given, () => undefined, claims))
      const places = () => store.inOrder(grp).map(({ device, seq, bytes }) => [device, seq, bytes != null])
      return { store, intake, take, places }
    }
    function another(self: Key) {
      const made = openDatabase(join(folder, `other-${others.length}.sqlite`), MIGRATIONS)
      others.push(made)
      return disk(self, made)
    }
    const { store, intake, places } = disk(admin, db)
    const chains = new Map<Key, Read[]>()
    /** What one says next, after these of others. */
    function say<K extends EventKind>(by: Key, kind: K, body: EventBody<K>, after: Read[] = []): Read {
      const chain = chains.get(by) ?? []
      chains.set(by, chain)
      const last = chain.at(-1)
      const times = [...after, ...chain].map(({ event }) => event.timeMs)
      const signed = signEvent(by.signer, {
        group,
        device: by.id,
        seq: chain.length,
        prev: last == null ? NO_HASH : hashOf(last.bytes),
        after: after.map(({ bytes, event }): Head => [event.device, event.seq, hashOf(bytes)]),
        roster: roster.head,
        timeMs: Math.max(START_MS, ...times) + 1,
        kind,
        body
      } as Event)
      chain.push(readSigned(signed))
      return chain.at(-1)!
    }
    const text = (by: Key, words: string, after?: Read[]): Read => say(by, 'text', { text: words }, after)
    /** Deletes a message of which this is all, in its place. */
    function remove(by: Key, read: Read, places = [placeOf(read)], after = [read]): Read {
      return say(by, 'delete', { of: hashOf(read.bytes), places }, after)
    }
    function give(given: Read[], gone: Gone[] = [], deletes: Read[] = []): Event[] {
      const claims = createClaims()
      for (const each of gone) claims.add(each)
      for (const { event } of [...deletes, ...given]) claims.hear(event)
      return transact(db, () => [...intake.take(grp, given, refuse, claims), ...intake.retry(grp, claims)])
    }
    return { roster, admin, ann, bob, eve, grp, group, store, say, text, remove, give, places, another }
  }
  const partsOf = (roster: Roster) => ({
    school: { roster, known: () => roster },
    signal: new AbortController().signal,
    readMs: () => 0,
    isFlood: () => false,
    isAlone: () => false,
    onTaken: () => undefined,
    onMarks: () => undefined,
    now: Date.now,
    log: () => undefined
  })
  const gone = ({ bytes, event }: Read, hash = hashOf(bytes), timeMs = event.timeMs): Gone => [
    event.device,
    event.seq,
    hash,
    timeMs
  ]
  const placeOf = ({ bytes, event }: Read): NonNullable<EventBody<'delete'>['places']>[number] => [
    event.device,
    event.seq,
    hashOf(bytes),
    event.prev,
    event.timeMs
  ]

  it('takes no place from an author who has not written on behind it', async () => {
    const { ann, bob, text, remove, give, places } = await openChat()
    const [first, second] = [text(ann, 'first'), text(ann, 'second')]
    give([first])
    // of events that never were: who may delete them says so
    const made: Gone[] = [
      [ann.id, 1, new Uint8Array(32).fill(7), START_MS + 2],
      [bob.id, 0, new Uint8Array(32).fill(8), 8e15]
    ]
    const prev = hashOf(first.bytes)
    const deletes = made.map(([device, seq, id, timeMs]) =>
      remove(ann, first, [[device, seq, id, prev, timeMs]])
    )
    give([], made, deletes)
    deepEqual(places(), [[ann.id, 0, true]])
    // nor is her message held up by it
    equal(give([second], made, deletes).length, 1)
    equal(give([text(bob, 'hello', [second])], made, deletes).length, 1)
    deepEqual(places(), [
      [ann.id, 0, true],
      [ann.id, 1, true],
      [bob.id, 0, true]
    ])
  })

  it('is proved by who deleted it and by what its author wrote next; else nobody skips what was said', async () => {
    const { ann, bob, eve, group, text, say, remove, give, places, store } = await openChat()
    const [first, second, third, last] = ['first', 'second', 'third', 'last'].map(words =>
      text(bob, words)
    ) as [Read, Read, Read, Read]
    const answer = text(ann, 'answer', [third])
    give([first])
    const claims = [gone(second), gone(third)]
    const [own, teachers] = [remove(bob, second), remove(ann, third)]
    const deletes = [own, teachers]
    const nothing = (given: Read[], is: Gone[], by: Read[]): void => {
      deepEqual(give(given, is, by), [])
      deepEqual(places(), [[bob.id, 0, true]])
    }
    nothing([last], claims, [])
    nothing([last], claims, [own])
    nothing([last], [gone(third)], deletes)
    // another pupil may delete nothing of it, whatever he signs
    nothing([last], claims, [remove(eve, second), remove(eve, third)])
    // what was deleted stood elsewhere, at another time, or behind something else
    const [device, seq, id, prev, timeMs] = placeOf(third)
    const other = new Uint8Array(32).fill(7)
    for (const wrong of [
      [eve.id, seq, id, prev, timeMs],
      [device, seq + 1, id, prev, timeMs],
      [device, seq, id, prev, timeMs + 1],
      [device, seq, id, other, timeMs]
    ] as const)
      nothing([last], claims, [own, remove(ann, third, [[...wrong]])])
    // wrong hash, time after what follows, and the hash of a message that is here
    for (const wrong of [
      gone(third, other),
      gone(third, id, last.event.timeMs),
      gone(third, hashOf(first.bytes))
    ])
      nothing([last], [gone(second), wrong], deletes)
    nothing([last], [gone(second, hashOf(first.bytes)), gone(third)], [...deletes, remove(ann, first)])
    nothing([last], [gone(second, id), gone(third)], deletes)
    equal(
      store.hasEvent(toHex(hashOf(first.bytes))),
      true,
      'nobody takes the content of another message away'
    )
    // of another chat
    const elsewhere = readSigned(
      signEvent(ann.signer, { ...teachers.event, group: group.map(each => each ^ 1) })
    )
    nothing([last], claims, [own, elsewhere])
    deepEqual(
      give([last], claims, deletes).map(({ seq: at }) => at),
      [3]
    )
    deepEqual(places(), [
      [bob.id, 0, true],
      [bob.id, 1, false],
      [bob.id, 2, false],
      [bob.id, 3, true]
    ])
    // whoever has it still gives it back
    equal(give([third, answer]).length, 2)
    // who wrote what follows, and that it was deleted, is here by now
    equal(give([own]).length, 1)
    equal(give([say(bob, 'react', { of: hashOf(answer.bytes), with: '👍' })]).length, 1)
  })

  it('of an older program names no places: that it was deleted is proof enough', async () => {
    const { bob, text, say, give, places } = await openChat()
    const [first, second, last] = [text(bob, 'first'), text(bob, 'second'), text(bob, 'last')]
    const [one, two] = [first, second].map(({ bytes }) => say(bob, 'delete', { of: hashOf(bytes) }))
    deepEqual(give([last], [gone(first), gone(second)], [one!]), [])
    equal(give([last, one!, two!], [gone(first), gone(second)]).length, 3)
    deepEqual(
      places().map(([, , isThere]) => isThere),
      [false, false, true, true, true]
    )
  })

  it('holds up nobody else, where its author has written nothing since', async () => {
    const { ann, bob, text, remove, give, places } = await openChat()
    const [first, second] = [text(bob, 'first'), text(bob, 'deleted by another')]
    const deleted = remove(ann, second)
    const next = text(ann, 'next')
    give([first])
    // as they come from a mailbox
    deepEqual(give([deleted, next]), [])
    equal(give([], [gone(second)], [deleted]).length, 2)
    deepEqual(places(), [
      [bob.id, 0, true],
      [ann.id, 0, true],
      [ann.id, 1, true]
    ])
    const later = text(bob, 'later', [next])
    deepEqual(give([later]), [])
    // the one who deleted it is here
    deepEqual(
      give([], [gone(second)]).map(({ seq }) => seq),
      [2]
    )
    deepEqual(
      places()
        .filter(([device]) => device === bob.id)
        .map(([, seq, is]) => [seq, is]),
      [
        [0, true],
        [1, false],
        [2, true]
      ]
    )
  })

  it('goes with its edits, also with those that come later; each is named, in as many events as it takes', async () => {
    const { ann, bob, eve, text, say, give, places, another } = await openChat()
    const first = text(bob, 'first')
    const of = hashOf(first.bytes)
    const edits = Array.from({ length: MAX_PLACES }, (_, i) => say(bob, 'edit', { of, text: `edit ${i}` }))
    const strange = say(eve, 'react', { of, with: '👍' }, [first])
    give([first, ...edits.slice(0, -1), strange])
    const hers = another(ann)
    hers.take([first, ...edits.slice(0, -1)])
    const bodies = deletionsOf(hers.store, toHex(of), hers.store.deletesOf(toHex(of)))
    deepEqual(
      bodies.map(({ places: named = [] }) => named.length),
      [MAX_PLACES]
    )
    const deletes = bodies.map(body => say(ann, 'delete', body))
    // one that she did not know of, and one of somebody else comes after she has deleted it
    give(deletes)
    give(edits.slice(-1))
    deepEqual(
      new Set(places().flatMap(([device, , isThere]) => (isThere ? [device] : []))),
      new Set([ann.id, eve.id])
    )
    hers.take([...deletes, ...edits.slice(-1)])
    const rest = deletionsOf(hers.store, toHex(of), hers.store.deletesOf(toHex(of)))
    deepEqual(
      rest.map(({ places: named = [] }) => named.map(([, seq]) => seq)),
      [[MAX_PLACES]]
    )
    const last = say(ann, 'delete', rest[0]!)
    // who comes later follows all of it
    const next = text(bob, 'next', [last])
    const later = another(bob)
    const claims = createClaims()
    for (const each of [first, ...edits]) claims.add(gone(each))
    for (const { event } of deletes) claims.hear(event)
    equal(later.take([next], claims).length, 0)
    claims.hear(last.event)
    equal(later.take([...deletes, last], claims).length, 3)
    equal(later.places().filter(([, , isThere]) => !isThere).length, 1 + MAX_PLACES)
  })

  it('is told by its author, or by a moderator, where who deleted it did not know of an edit', async () => {
    const { admin, ann, bob, eve, text, say, remove, another } = await openChat()
    const first = text(bob, 'first')
    const of = hashOf(first.bytes)
    const deleted = remove(ann, first)
    const edit = say(bob, 'edit', { of, text: 'not yet deleted here' })
    const next = text(bob, 'next', [deleted])
    const disks = new Map([admin, bob, eve].map(key => [key, another(key)]))
    for (const { take } of disks.values()) take([first, deleted, edit, next])
    function left(key: Key, isOwn: boolean, nowMs = START_MS + 1_000) {
      const { store, intake } = disks.get(key)!
      return leftBehind(store, intake, key.id, toHex(of), { isOwn, nowMs })
    }
    const all = [{ of, places: [placeOf(edit)] }]
    deepEqual(left(bob, true), all)
    deepEqual(left(admin, false), all)
    // only what one wrote, or may delete, and as long as he may: others would not take it
    deepEqual(left(admin, true), [])
    deepEqual(left(eve, false), [])
    deepEqual(left(bob, true, START_MS + 1e10), [])

    const later = another(eve)
    const claims = createClaims()
    for (const each of [first, edit]) claims.add(gone(each))
    claims.hear(deleted.event)
    equal(later.take([next, deleted], claims).length, 1)
    const named = say(bob, 'delete', left(bob, true)[0]!)
    claims.hear(named.event)
    equal(later.take([next, named], claims).length, 2)
    deepEqual(
      later.places().filter(([device]) => device === bob.id),
      [0, 1, 2, 3].map(seq => [bob.id, seq, seq > 1])
    )
    // once
    for (const { take } of disks.values()) take([named])
    deepEqual(left(bob, true), [])
    deepEqual(left(admin, false), [])
  })

  it('is passed back over, however much was deleted in a row', async () => {
    const { roster, admin, ann, bob, grp, store, text, remove, places, another } = await openChat()
    const deleted = Array.from({ length: MAX_CLAIMS + 100 }, (_, i) => text(bob, `${i}`))
    const last = text(bob, 'last')
    const honest = another(ann)
    honest.take([...deleted, last, ...deleted.map(each => remove(ann, each))])
    const giver = createSync({ ...partsOf(roster), ...honest, self: ann.id, network: {} } as never)
    const network = {
      open(_: string, kind: 'sync' | 'gone', request: never) {
        const given: unknown[] = []
        const send = async (batch: unknown) => void given.push(structuredClone(batch))
        const peer = roster.device(admin.id)!.peer
        const answered =
          kind === 'sync' ? giver.answer(request, peer, send) : giver.giveGone(request, peer, send)
        async function* items() {
          await answered
          yield* given
        }
        return { items: items(), answer: answered }
      }
    }
    const intake = createIntake({ store, roster: () => roster, self: admin.id })
    await createSync({ ...partsOf(roster), store, intake, self: admin.id, network } as never).one(grp)
    const ofBob = places().filter(([device]) => device === bob.id)
    deepEqual(
      ofBob.map(([, seq, isThere]) => [seq, isThere]),
      Array.from({ length: deleted.length + 1 }, (_, seq) => [seq, seq === deleted.length])
    )
    equal(store.waitingCount(grp), 0)
  })

  it('gives a liar nothing: what he hides comes from who tells the truth, what was deleted from nobody', async () => {
    const { roster, admin, ann, bob, eve, grp, store, text, remove, say, places, another } = await openChat()
    const honest = another(ann)
    const hidden = ['hidden', 'hidden too'].map(words => text(bob, words))
    const canary = text(bob, 'the canary sings')
    const last = text(bob, 'last')
    const all = [
      ...hidden,
      canary,
      last,
      remove(bob, canary, [placeOf(canary)], []),
      say(eve, 'text', { text: 'eve' })
    ]
    honest.take(all)
    const peerOf = (key: Key): string => roster.device(key.id)!.peer
    type Answer = (request: never, send: (batch: Batch) => Promise<void>) => Promise<unknown>
    const from = new Map<string, Answer>()
    const parts = partsOf(roster)
    let answers: string | undefined
    const network = {
      open(peer: string, _: string, request: never) {
        const given: Batch[] = []
        if (peer !== answers) throw new RangeError('it is off')
        const answered = from.get(peer)!(request, async batch => void given.push(structuredClone(batch)))
        async function* items() {
          await answered
          yield* given
        }
        return { items: items(), answer: answered }
      }
    }
    const giver = createSync({ ...parts, ...honest, self: ann.id, network } as never)
    from.set(peerOf(ann), (request, send) => giver.answer(request, peerOf(admin), send))
    // says of everything of the other that it was deleted, with what he can sign and what he knows of others
    const lies = hidden.map(each => remove(eve, each, [placeOf(each)], []))
    from.set(peerOf(eve), (request, send) =>
      giver.answer(request, peerOf(admin), async batch => {
        const isHidden = (bytes: Uint8Array): boolean =>
          hidden.some(each => toHex(each.bytes) === toHex(bytes))
        await send({
          ...batch,
          events: batch.events.filter(({ bytes }) => !isHidden(bytes)),
          gone: [...batch.gone, ...hidden.map(each => [...gone(each)] as Batch['gone'][number])],
          deletes: [...(batch.deletes ?? []), ...lies]
        })
      })
    )
    const own = { store, intake: createIntake({ store, roster: () => roster, self: admin.id }) }
    async function askOnly(key: Key): Promise<void> {
      answers = peerOf(key)
      const asker = createSync({ ...parts, ...own, self: admin.id, network } as never)
      await asker.one(grp)
    }
    await askOnly(eve)
    deepEqual(
      places().filter(([device]) => device === bob.id),
      []
    )
    await askOnly(ann)
    deepEqual(
      places()
        .filter(([device]) => device === bob.id)
        .map(([, seq, isThere]) => [seq, isThere]),
      [
        [0, true],
        [1, true],
        [2, false],
        [3, true],
        [4, true]
      ]
    )
    const [waiting] = db.prepare('SELECT count(*) AS count FROM waiting').all() as [{ count: number }]
    equal(waiting.count, 0)
  })
})
