import { deepEqual, equal } from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { openDatabase } from '../../../services/host/index.ts'
import { hashOf, NO_HASH, toHex } from '../../../services/messenger/core/codec.ts'
import {
  type Event,
  eventId,
  type Head,
  type Read,
  readSigned,
  signEvent
} from '../../../services/messenger/core/event.ts'
import { readGeneration, signGeneration } from '../../../services/messenger/core/generation.ts'
import { createIntake, type Gone, placeOf } from '../../../services/messenger/device/intake.ts'
import { openDeviceStore } from '../../../services/messenger/device/store.ts'
import { MIGRATIONS } from '../../../services/messenger/store/schema.ts'
import { foundSchool, type Key, START_MS } from './devices.ts'

describe('messenger: what a member says was deleted', () => {
  let folder: string
  let db: DatabaseSync
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-messenger-intake-'))
    db = openDatabase(join(folder, 'new.sqlite'), MIGRATIONS)
  })
  afterEach(async () => {
    db.close()
    await rm(folder, { recursive: true, force: true })
  })

  /** A chat of two teachers as one who came to it has it: nothing was said yet. */
  async function openChat() {
    const { roster, admin, add } = await foundSchool()
    const [ann, bob] = [await add('ann', 'teacher'), await add('bob', 'teacher')]
    const store = openDeviceStore(db, Date.now, () => undefined)
    const generation = signGeneration(ann.signer, {
      group: NO_HASH,
      g: 0,
      prev: NO_HASH,
      by: ann.id,
      roster: roster.head,
      timeMs: START_MS,
      title: 'chat',
      history: 'all',
      users: ['admin', 'ann', 'bob'],
      devices: [admin.id, ann.id, bob.id],
      heads: []
    })
    store.addGeneration(generation)
    const { group } = readGeneration(generation)
    const grp = toHex(group)
    const intake = createIntake({ store, roster: () => roster, self: admin.id })
    const chains = new Map<Key, Read[]>()
    /** What one says next, after these of others. */
    function say(by: Key, kind: 'text' | 'delete', body: object, after: Read[] = []): Read {
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
    const claimsOf = (gone: readonly Gone[]) => new Map(gone.map(each => [placeOf(each[0], each[1]), each]))
    const give = (given: Read[], ...gone: Gone[]): Event[] => {
      const refuse = (error: Error): void => {
        throw error
      }
      const claims = claimsOf(gone)
      return [...intake.take(grp, given, refuse, claims), ...intake.retry(grp, claims)]
    }
    const places = () => store.inOrder(grp).map(({ device, seq, bytes }) => [device, seq, bytes != null])
    return { ann, bob, store, say, text, give, places }
  }
  const gone = ({ bytes, event }: Read, hash = hashOf(bytes), timeMs = event.timeMs): Gone => [
    event.device,
    event.seq,
    hash,
    timeMs
  ]

  it('takes no place from an author who has not written on behind it', async () => {
    const { ann, bob, text, give, places } = await openChat()
    const [first, second] = [text(ann, 'first'), text(ann, 'second')]
    give([first])
    const made: Gone[] = [
      [ann.id, 1, new Uint8Array(32).fill(7), START_MS + 2],
      [bob.id, 0, new Uint8Array(32).fill(8), 8e15]
    ]
    give([], ...made)
    deepEqual(places(), [[ann.id, 0, true]])
    // nor is her message held up by it
    equal(give([second], ...made).length, 1)
    equal(give([text(bob, 'hello', [second])], ...made).length, 1)
    deepEqual(places(), [
      [ann.id, 0, true],
      [ann.id, 1, true],
      [bob.id, 0, true]
    ])
  })

  it('is proved by what its author wrote next; all before that goes with it', async () => {
    const { ann, bob, text, give, places, store } = await openChat()
    const [first, second, third, last] = ['first', 'second', 'third', 'last'].map(words => text(ann, words))
    const answer = text(bob, 'answer', [third!])
    give([first!])
    // one of two is missing
    deepEqual(give([last!], gone(third!)), [])
    deepEqual(places(), [[ann.id, 0, true]])
    // wrong hash, time after what follows, and the hash of a message that is here
    for (const wrong of [
      gone(third!, new Uint8Array(32).fill(7)),
      gone(third!, hashOf(third!.bytes), last!.event.timeMs),
      gone(third!, hashOf(first!.bytes))
    ])
      deepEqual(give([last!], gone(second!), wrong), [])
    deepEqual(give([last!], gone(second!, hashOf(first!.bytes)), gone(third!)), [])
    deepEqual(give([last!], gone(second!, hashOf(third!.bytes)), gone(third!)), [])
    equal(store.hasEvent(eventId(first!)), true, 'nobody takes the content of another message away')
    deepEqual(
      give([last!], gone(second!), gone(third!)).map(({ seq }) => seq),
      [3]
    )
    deepEqual(places(), [
      [ann.id, 0, true],
      [ann.id, 1, false],
      [ann.id, 2, false],
      [ann.id, 3, true]
    ])
    // whoever has it still gives it back
    equal(give([third!, answer]).length, 2)
  })

  it('holds up nobody else, where its author has written nothing since', async () => {
    const { ann, bob, text, say, give, places } = await openChat()
    const [first, second] = [text(ann, 'first'), text(ann, 'deleted by another')]
    const deleted = say(bob, 'delete', { of: hashOf(second.bytes) }, [second])
    const next = text(bob, 'next')
    give([first])
    // as they come from a mailbox
    deepEqual(give([deleted, next]), [])
    equal(give([], gone(second)).length, 2)
    deepEqual(places(), [
      [ann.id, 0, true],
      [bob.id, 0, true],
      [bob.id, 1, true]
    ])
    const later = text(ann, 'later', [next])
    deepEqual(give([later]), [])
    deepEqual(
      give([], gone(second)).map(({ seq }) => seq),
      [2]
    )
    deepEqual(
      places()
        .filter(([device]) => device === ann.id)
        .map(([, seq, is]) => [seq, is]),
      [
        [0, true],
        [1, false],
        [2, true]
      ]
    )
  })
})
