import assert from 'node:assert/strict'
import { encode } from '@ipld/dag-cbor'
import { hashOf, NO_HASH, signAs } from '../../../services/messenger/core/codec.ts'
import { MAX_TEXT_CHARS } from '../../../services/messenger/core/constants.ts'
import { type Event, readEvent, signEvent } from '../../../services/messenger/core/event.ts'
import {
  checkFirst,
  checkSuccessor,
  counts,
  type Generation,
  readGeneration,
  signGeneration
} from '../../../services/messenger/core/generation.ts'
import { compareEvents, isTimely, MAX_AHEAD_MS, timeAfter } from '../../../services/messenger/core/order.ts'
import { openRoster } from '../../../services/messenger/core/roster.ts'
import { foundSchool, type Key, keyOf, START_MS } from './devices.ts'

const POLICY = { name: 'PolicyError' }
const MALFORMED = { name: 'MalformedMessageError' }

describe('messenger: roster', () => {
  it('knows who was who at every position, and is the same when it is read again', async () => {
    const { roster, add, state, admin } = await foundSchool()
    const ann = await add('ann', 'teacher')
    const before = roster.head
    state(admin, 'users', { users: [{ ...roster.user('ann')!, role: 'pupil' }] })
    assert.equal(roster.person(ann.id, before)?.role, 'teacher')
    assert.equal(roster.person(ann.id)?.role, 'pupil')
    state(admin, 'revoke', { device: ann.id })
    assert.equal(roster.person(ann.id), undefined)
    assert.equal(roster.person(ann.id, roster.head - 1)?.role, 'pupil')
    const again = openRoster(roster.log[0]!)
    for (const statement of roster.log.slice(1)) again.append(statement)
    assert.deepEqual(again.users(), roster.users())
    assert.deepEqual(again.devices(), roster.devices())
  })

  it('takes statements from admins only, in their order, of its own school, signed', async () => {
    const { roster, add, sign, admin } = await foundSchool()
    const bob = await add('bob', 'pupil')
    const users = { users: [{ ...roster.user('bob')!, role: 'admin' as const }] }
    assert.throws(() => roster.append(sign(bob, 'users', users)), POLICY)
    assert.throws(() => roster.append(sign(admin, 'users', users, roster.head)), MALFORMED)
    assert.throws(() => roster.append(sign(admin, 'users', users, roster.head + 2)), MALFORMED)
    const good = sign(admin, 'users', users)
    const signature = Uint8Array.from(good.signature)
    signature[3]! ^= 1
    assert.throws(() => roster.append({ ...good, signature }), MALFORMED)
    const other = await foundSchool({ editMinutes: 5 })
    assert.throws(() => roster.append(other.sign(admin, 'users', users, roster.head + 1)), MALFORMED)
    assert.equal(roster.user('bob')?.role, 'pupil')
  })

  it('lets one device in by an invitation, and only whom it names', async () => {
    const { roster, add, state, sign, admin, deviceOf } = await foundSchool()
    await add('ann', 'teacher')
    const { key, invite, body } = await deviceOf('ann', 'second')
    assert.throws(() => roster.append(sign(key, 'device', body)), POLICY, 'its invitation is not known')
    state(admin, 'users', { users: [{ ...roster.user('ann')!, invite: invite.id }] })
    const eve = await keyOf('eve')
    assert.throws(() => roster.append(sign(eve, 'device', { ...body, device: eve.id })), POLICY)
    assert.throws(() => roster.append(sign(key, 'device', { ...body, user: 'admin' })), POLICY)
    state(key, 'device', body)
    const third = await deviceOf('ann', 'third')
    const { signature } = signAs(
      invite.signer,
      'vouch',
      encode([roster.school, 'ann', third.key.id, third.body.peer])
    )
    assert.throws(
      () => roster.append(sign(third.key, 'device', { ...third.body, vouch: signature })),
      POLICY,
      'used already'
    )
  })

  it('keeps an admin, and lets people revoke their own devices and no others', async () => {
    const { roster, add, state, sign, admin } = await foundSchool()
    const bob = await add('bob', 'pupil')
    const ann = await add('ann', 'teacher')
    assert.throws(() => roster.append(sign(bob, 'revoke', { device: ann.id })), POLICY)
    assert.throws(() => roster.append(sign(admin, 'revoke', { device: admin.id })), POLICY)
    const pupil = { ...roster.user('admin')!, role: 'pupil' as const }
    assert.throws(() => roster.append(sign(admin, 'users', { users: [pupil] })), POLICY)
    state(bob, 'revoke', { device: bob.id })
    assert.equal(roster.person(bob.id), undefined)
  })
})

describe('messenger: generations', () => {
  const make = (by: Key, fields: Partial<Generation>) =>
    signGeneration(by.signer, {
      group: NO_HASH,
      g: 0,
      prev: NO_HASH,
      by: by.id,
      roster: 0,
      timeMs: START_MS,
      title: '7b',
      history: 'all',
      users: [],
      devices: [],
      heads: [],
      ...fields
    })

  it('follow policy: pupils meet where a teacher is, and change no groups', async () => {
    const { roster, add } = await foundSchool()
    const [ann, bob, kim] = [
      await add('ann', 'teacher'),
      await add('bob', 'pupil'),
      await add('kim', 'pupil')
    ]
    const at = roster.head
    const of = (keys: Key[]) => ({
      devices: keys.map(({ id }) => id),
      users: keys.map(({ id }) => roster.device(id)?.user ?? 'eve')
    })
    const first = (by: Key, ...devices: Key[]) => readGeneration(make(by, { roster: at, ...of(devices) }))
    assert.throws(() => checkFirst(first(bob, bob, kim), roster), POLICY)
    assert.throws(() => checkFirst(first(bob, bob, kim, ann), roster), POLICY)
    checkFirst(first(bob, bob, ann), roster)
    const all = first(ann, ann, bob, kim)
    checkFirst(all, roster)
    const next = (by: Key, ...devices: Key[]) =>
      readGeneration(make(by, { ...all, g: 1, prev: all.hash, by: by.id, ...of(devices) }))
    checkSuccessor(all, next(ann, ann, bob), roster)
    assert.throws(() => checkSuccessor(all, next(bob, ann, bob), roster), POLICY)
    checkSuccessor(all, next(bob, ann, bob, kim), roster)
    assert.throws(() => checkSuccessor(all, next(bob, bob, kim), roster), POLICY)
    const eve = await keyOf('eve')
    assert.throws(() => checkSuccessor(all, next(eve, eve, ann), roster), POLICY)
  })

  it('count what those who leave wrote up to the heads, and what they write when they are back', async () => {
    const { roster, add } = await foundSchool()
    const [ann, bob] = [await add('ann', 'teacher'), await add('bob', 'pupil')]
    const at = roster.head
    const head = (seq: number): [string, number, Uint8Array] => [bob.id, seq, hashOf(Buffer.from(`${seq}`))]
    const one = readGeneration(make(ann, { roster: at, users: ['ann', 'bob'], devices: [ann.id, bob.id] }))
    const two = { ...one, g: 1, devices: [ann.id], heads: [head(4)] }
    const three = { ...one, g: 2, heads: [head(4)] }
    assert.equal(counts([one], bob.id, 9), true)
    assert.deepEqual(
      [4, 5].map(seq => counts([one, two], bob.id, seq)),
      [true, false]
    )
    assert.deepEqual(
      [4, 5].map(seq => counts([one, two, three], bob.id, seq)),
      [true, true]
    )
    assert.equal(counts([two, three], bob.id, 4), false)
  })
})

describe('messenger: events', () => {
  it('are read as they were signed, and refused when altered, too long or not of their shape', async () => {
    const ann = await keyOf('ann')
    const event: Event = {
      group: hashOf(Buffer.from('group')),
      device: ann.id,
      seq: 0,
      prev: NO_HASH,
      after: [],
      roster: 3,
      timeMs: START_MS,
      kind: 'text',
      body: { text: 'Привет, ёлка' }
    }
    const signed = signEvent(ann.signer, event)
    assert.deepEqual(readEvent(signed), event)
    const bytes = Uint8Array.from(signed.bytes)
    bytes[bytes.length - 1]! ^= 1
    assert.throws(() => readEvent({ ...signed, bytes }), MALFORMED)
    const eve = await keyOf('eve')
    assert.throws(() => readEvent(signEvent(eve.signer, event)), MALFORMED)
    const long = { ...event, body: { text: 'x'.repeat(MAX_TEXT_CHARS + 1) } } as Event
    assert.throws(() => readEvent(signEvent(ann.signer, long)), MALFORMED)
    for (const wrong of [
      { seq: -1 },
      { seq: 0.5 },
      { kind: 'Shout' },
      { kind: 'gone' },
      { kind: 'unknown' },
      { prev: new Uint8Array(3) }
    ])
      assert.throws(() => readEvent(signEvent(ann.signer, { ...event, ...wrong } as Event)), MALFORMED)
  })

  it('of a newer program keep their place: their kind is known, and what they are about', async () => {
    const ann = await keyOf('ann')
    const place = { group: hashOf(Buffer.from('group')), device: ann.id, seq: 0, prev: NO_HASH, after: [] }
    const of = hashOf(Buffer.from('another'))
    const read = (body: unknown): Event =>
      readEvent(signEvent(ann.signer, { ...place, roster: 3, timeMs: START_MS, kind: 'poll', body } as never))
    const shown = { kind: 'unknown', body: { name: 'poll' } }
    const { kind, body } = read({ of, options: [1, 2] })
    assert.deepEqual({ kind, body }, { ...shown, body: { name: 'poll', of } })
    for (const other of [null, 7, { of: 'x' }, { options: [] }]) {
      const { kind, body } = read(other)
      assert.deepEqual({ kind, body }, shown)
    }
  })

  it('have one causal order with clocks at 1970 and ten years ahead', () => {
    const ahead = START_MS + 10 * 365 * 24 * 3_600_000
    const clocks = [0, START_MS, ahead]
    const events: { timeMs: number; id: string; said: number }[] = []
    for (let said = 0; said < 300; said++) {
      const newest = events.at(-1)?.timeMs ?? START_MS
      const timeMs = timeAfter(newest, clocks[said % 3]!)
      assert.ok(isTimely(timeMs, newest), 'others take it')
      events.push({ timeMs, id: ((said * 7919) % 1000).toString(16), said })
    }
    const shown = events.toSorted(compareEvents).map(({ said }) => said)
    assert.deepEqual(
      shown,
      events.map(({ said }) => said)
    )
    assert.equal(isTimely(START_MS + MAX_AHEAD_MS + 1, START_MS), false)
    assert.equal(isTimely(START_MS, START_MS), false)
  })
})
