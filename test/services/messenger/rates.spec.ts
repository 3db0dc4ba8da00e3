import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDatabase } from '../../../services/host/index.ts'
import { askPeer } from '../../../services/host/peer-streams.ts'
import { fromHex, hashOf, NO_HASH, type Signed, toHex } from '../../../services/messenger/core/codec.ts'
import { signEvent } from '../../../services/messenger/core/event.ts'
import { readGeneration, signGeneration } from '../../../services/messenger/core/generation.ts'
import { createFloods } from '../../../services/messenger/device/floods.ts'
import { createIntake } from '../../../services/messenger/device/intake.ts'
import { openDeviceStore } from '../../../services/messenger/device/store.ts'
import { createSync, type SyncInit } from '../../../services/messenger/device/sync.ts'
import { MAX_PAGE, putInto } from '../../../services/messenger/mailbox/envelope.ts'
import { BURST, createRates } from '../../../services/messenger/mailbox/rates.ts'
import { messages } from '../../../services/messenger/messages.ts'
import { MIGRATIONS } from '../../../services/messenger/store/schema.ts'
import { foundSchool, START_MS } from './devices.ts'
import { has, openSchool, textsOf, until, whenKnown } from './school.ts'

const PER_MINUTE = 6_000
const STREAMS = 5
const HOUR_MS = 3_600_000

describe('messenger: rates', function () {
  this.timeout(600_000)

  it('a burst at once, then the rate, of each by itself', () => {
    const { take } = createRates(() => 200)
    assert.equal(take('eve', BURST, 0), 0)
    assert.equal(take('eve', 1, 0), 300)
    assert.equal(take('ann', 64, 0), 0)
    // what was refused did not count
    assert.equal(take('eve', 1, 300), 0)
    assert.equal(take('eve', 64, 300), 64 * 300)
    assert.equal(take('eve', 1, 599), 1)
    // nobody saves more than a burst
    assert.equal(take('eve', BURST, 10 * HOUR_MS), 0)
    assert.equal(take('eve', 1, 10 * HOUR_MS), 300)
  })

  it('what was written over hours is no flood where it comes at once; what says so of times to come is', () => {
    const now = 100 * HOUR_MS
    const { hear, isOver, list } = createFloods(
      () => 200,
      () => now
    )
    const written = (device: string, count: number, from: number, eachMs: number) =>
      Array.from({ length: count }, (_, i) => ({ device, timeMs: from + i * eachMs }))
    hear('7b', written('ann', 12_000, now - HOUR_MS, 300))
    hear('7c', written('ann', 12_000, now - HOUR_MS, 300))
    hear('7b', written('bob', BURST, now - 1, 0))
    assert.deepEqual(list(), [])
    assert.equal(isOver('7b', 'ann'), false)
    hear('7b', written('eve', BURST + 1, now, 0))
    hear('7b', written('kim', BURST + 1, now, HOUR_MS))
    assert.deepEqual(list().sort(), ['eve', 'kim'])
    assert.equal(isOver('7b', 'eve'), true)
    assert.equal(isOver('7b', 'ann'), false)
  })

  /** How many events of eve there are after she was asked once, of as many as she gives, one each `eachMs`. */
  async function givenByEve(count: number, eachMs: number, nowMs: number) {
    await using ended = new AsyncDisposableStack()
    const folder = await mkdtemp(join(tmpdir(), 'artel-messenger-rates-'))
    ended.defer(() => rm(folder, { recursive: true, force: true }))
    const db = openDatabase(join(folder, 'new.sqlite'), MIGRATIONS)
    ended.defer(() => db.close())
    const { roster, admin, add } = await foundSchool()
    const eve = await add('eve', 'teacher')
    const generation = signGeneration(eve.signer, {
      group: NO_HASH,
      g: 0,
      prev: NO_HASH,
      by: eve.id,
      roster: roster.head,
      timeMs: START_MS,
      title: 'chat',
      history: 'all',
      users: ['admin', 'eve'],
      devices: [admin.id, eve.id],
      heads: []
    })
    const { group } = readGeneration(generation)
    const grp = toHex(group)
    const now = () => nowMs
    const store = openDeviceStore(db, now, () => undefined)
    store.addGeneration(generation)
    const floods = createFloods(() => 200, now)

    async function* batches() {
      let prev: Uint8Array = NO_HASH
      let events: Signed[] = []
      for (let seq = 0; seq < count; seq++) {
        const timeMs = START_MS + 1 + seq * eachMs
        const place = { group, device: eve.id, seq, prev, after: [], roster: roster.head, timeMs }
        const signed = signEvent(eve.signer, { ...place, kind: 'text', body: { text: `${seq}` } })
        prev = hashOf(signed.bytes)
        events.push(signed)
        if (events.length < 16 && seq < count - 1) continue
        yield { generations: [], events, gone: [] }
        events = []
      }
    }
    const answer = Promise.resolve({ have: [], readMs: 0 })
    const sync = createSync({
      self: admin.id,
      store,
      school: { roster, known: () => roster },
      network: { open: () => ({ items: batches(), answer }) },
      intake: createIntake({ store, roster: () => roster, self: admin.id }),
      signal: new AbortController().signal,
      readMs: () => 0,
      isFlood: floods.isOver,
      isAlone: () => false,
      onTaken: floods.hear,
      onMarks: () => undefined,
      now,
      log: () => undefined
    } as unknown as SyncInit)
    await sync.one(grp)
    const [[, last]] = store.heads(grp) as [[string, number, Uint8Array]]
    return { given: last + 1, isTold: floods.list().length > 0 }
  }

  it('of what its author gives, history comes as fast as it can and a flood stops', async () => {
    // over an hour
    const count = BURST + 200
    assert.deepEqual(await givenByEve(count, 3_000, START_MS + HOUR_MS), { given: count, isTold: false })
    const { given } = await givenByEve(count, 1, START_MS)
    assert.ok(given > 0 && given <= BURST + 16, String(given))
  })

  it('a client that pushes without end is slowed to the rate, told of, and hides nothing of the others', async () => {
    await using school = await openSchool()
    const { desk } = school
    await desk.call('setPolicy', { messagesPerMinute: PER_MINUTE })
    const ann = await school.join('ann', 'teacher')
    const bob = await school.join('bob', 'teacher')
    const eve = await school.join('eve', 'teacher')
    await until('ann knows all', async () => {
      const { items } = await ann.call('users')
      return ['bob', 'eve'].every(id => items.some((each: any) => each.id === id && each.devices.length > 0))
    })
    const { id: group } = await whenKnown(ann, 'createGroup', { title: '7b', users: ['bob', 'eve'] })
    for (const node of [bob, eve]) await until('everybody is in the chat', () => has(node, group))

    // the program that eve runs beside her node, with its key
    const stop = new AbortController()
    const init = {
      network: eve.libp2p,
      protocol: '/artel/test/messenger/1',
      messages,
      signal: stop.signal
    }
    const name = fromHex((await desk.call('status')).school.id)
    const begunAt = performance.now()
    let kept = 0
    let isOver = false
    async function flood(): Promise<void> {
      const { items, send } = askPeer(init, desk.id, 'put', { school: name })
      const answers = items[Symbol.asyncIterator]()
      while (!isOver) {
        await send(Array.from({ length: MAX_PAGE }, () => putInto(randomBytes(32), randomBytes(512))))
        const { value } = await answers.next()
        assert.equal(value, 'kept')
        kept += MAX_PAGE
      }
    }
    const floods = Promise.all(Array.from({ length: STREAMS }, flood))
    try {
      await Promise.race([floods, until('it is beyond a burst', () => kept >= BURST)])
      const texts = Array.from({ length: 5 }, (_, i) => `ann ${i}`)
      for (const text of texts) await ann.call('send', { group, text })
      // what eve wrote by hand waits for its turn, and comes
      await eve.call('send', { group, text: 'eve' })
      await until('bob has what ann said', async () => (await textsOf(bob, group)).length === 6)
      assert.deepEqual(new Set(await textsOf(bob, group)), new Set([...texts, 'eve']))
      isOver = true
      await floods
      const mostKept = BURST + ((performance.now() - begunAt) * PER_MINUTE) / 60_000
      assert.ok(kept <= mostKept, `${kept} were kept, and ${mostKept} may be`)
      const finding = (await desk.call('diagnose')).items.find((each: any) => each.name === 'rates')
      assert.equal(finding.state, 'warn')
      assert.match(finding.detail, /: eve \(/)
      assert.doesNotMatch(finding.detail, /ann|bob/)
    } finally {
      isOver = true
      stop.abort()
      await floods.catch(() => undefined)
    }
  })
})
