import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { encodeValue } from '../../sandbox/index.ts'
import { costOf, draw, hasRoom, mayServe, rank } from '../../scheduler/market/match.ts'
import {
  createOfferBook,
  createRelay,
  encodeOffer,
  MAX_OFFERS,
  OFFER_INTERVAL_MS,
  OFFER_TTL_MS,
  RELAY_PER_SECOND,
  utilisation
} from '../../scheduler/market/offer-book.ts'
import { createSchedule } from '../../scheduler/market/offer-gossip.ts'
import type { OfferFields } from '../../scheduler/protocol/compute-messages.ts'
import { createRandom } from '../simulation/random.ts'

const OFFER: OfferFields = {
  class: 'v8-13.6/x64',
  slots: 4,
  free: 2,
  window: 256,
  walled: true,
  ramMb: 512,
  multiplier: 1,
  minPriceMicro: 0,
  tags: []
}
const NOW = 1_800_000_000_000

const offers = fc.record({
  class: fc.string({ maxLength: 64 }),
  slots: fc.nat(4096),
  window: fc.nat(65_536),
  walled: fc.boolean(),
  ramMb: fc.nat(1 << 20),
  multiplier: fc.double({ min: 0.01, max: 100, noNaN: true }),
  minPriceMicro: fc.nat(),
  types: fc.option(fc.array(fc.string({ minLength: 1, maxLength: 32 }), { maxLength: 64 }), {
    nil: undefined
  }),
  tags: fc.array(fc.string({ minLength: 1, maxLength: 32 }), { maxLength: 16 }),
  share: fc.double({ min: 0, max: 1, noNaN: true })
})

describe('scheduler: book of offers', () => {
  it('keeps what was said', () => {
    fc.assert(
      fc.property(offers, ({ share, ...rest }) => {
        const fields: OfferFields = { ...rest, free: Math.floor(rest.slots * share) }
        const data = encodeOffer(fields, NOW)
        fc.pre(data.length <= 4096)
        const book = createOfferBook('me')
        assert.equal(book.receive('a', data, NOW), 'accept')
        const { peer, time, heard, ...kept } = book.get('a', NOW)!
        assert.deepEqual([peer, time, heard], ['a', NOW, NOW])
        assert.deepEqual({ types: undefined, ...kept }, fields)
      })
    )
  })

  it('rejects what is malformed, whatever it is', () => {
    const book = createOfferBook('me')
    const message = (change: object): Uint8Array => encodeValue({ ...OFFER, time: NOW, ...change })
    for (const change of [
      { slots: -1 },
      { slots: 5000 },
      { free: 5 },
      { multiplier: Number.NaN },
      { multiplier: 0 },
      { minPriceMicro: 1.5 },
      { class: 'x'.repeat(65) },
      { tags: Array(17).fill('x') },
      { types: ['x'.repeat(33)] },
      { time: undefined },
      { time: 'now' },
      { class: 'é'.repeat(3000) },
      { more: Array(2000).fill(null) }
    ])
      assert.equal(book.receive('a', message(change), NOW), 'reject', JSON.stringify(change))
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), data => {
        assert.equal(book.receive('a', data, NOW), 'reject')
      })
    )
    assert.equal(book.size, 0)
    assert.equal(book.receive('a', message({ more: 'fields of a later version' }), NOW), 'accept')
  })

  it('refuses what is old, repeated, too frequent or from the future', () => {
    const book = createOfferBook('me')
    const say = (slots: number, time: number, now: number): string =>
      book.receive('a', encodeOffer({ ...OFFER, slots }, time), now)
    assert.equal(say(4, NOW, NOW), 'accept')
    assert.equal(say(5, NOW, NOW + 5000), 'ignore', 'repeated')
    assert.equal(say(5, NOW - 1, NOW + 5000), 'ignore', 'older than what is known')
    assert.equal(say(5, NOW + 1, NOW + 500), 'ignore', 'twice in a second')
    assert.equal(say(5, NOW + 10 * 60_000, NOW + 5000), 'ignore', 'from the future')
    assert.equal(book.get('a', NOW + 5000)?.slots, 4)
    assert.equal(say(5, NOW + 5000, NOW + 5000), 'accept')
    assert.equal(book.get('a', NOW + 5000)?.slots, 5)
    assert.equal(
      book.receive('b', encodeOffer(OFFER, NOW - 10 * 60_000), NOW),
      'ignore',
      'an old message of somebody who is gone'
    )
    assert.equal(book.receive('me', encodeOffer(OFFER, NOW), NOW), 'ignore', 'our own')
    assert.equal(book.size, 1)
  })

  it('forgets who says nothing any more, and lists who lends', () => {
    const book = createOfferBook('me')
    book.receive('a', encodeOffer(OFFER, NOW), NOW)
    book.receive('b', encodeOffer({ ...OFFER, slots: 0, free: 0 }, NOW), NOW)
    book.receive('c', encodeOffer(OFFER, NOW + 9000), NOW + 9000)
    const peers = (now: number): string[] => book.fresh(now).map(offer => offer.peer)
    assert.deepEqual(peers(NOW + 9000), ['a', 'c'])
    assert.deepEqual(peers(NOW + OFFER_TTL_MS + 1), ['c'])
    assert.equal(book.size, 1)
    book.remove('c')
    assert.deepEqual(peers(NOW + OFFER_TTL_MS + 1), [])
  })

  it('never holds more than its size', () => {
    const book = createOfferBook('me')
    for (let i = 0; i < MAX_OFFERS + 1000; i++) {
      book.receive(`peer ${i}`, encodeOffer(OFFER, NOW + i), NOW + i)
      assert.ok(book.size <= MAX_OFFERS)
    }
    assert.equal(book.get('peer 999', NOW + 5000), undefined, 'those heard longest ago gave way')
    assert.ok(book.get('peer 1000', NOW + 5000) != null)
  })

  it('passes on everything where little is said, and no more the more is said', () => {
    const passed = (perSecond: number, seconds: number): number => {
      const relay = createRelay(createRandom(1))
      let count = 0
      for (let i = 0; i < perSecond * seconds; i++) if (relay.take(NOW + (i * 1000) / perSecond)) count++
      return count
    }
    assert.equal(passed(0.5, 1000), 500)
    for (const perSecond of [10, 100, 1000]) {
      const mean = passed(perSecond, 200) / 200
      assert.ok(mean < 1.5 * RELAY_PER_SECOND, `${mean} per second of ${perSecond}`)
      assert.ok(mean > 0.7 * RELAY_PER_SECOND, `${mean} per second of ${perSecond}`)
    }
  })

  it('tells how busy the market is', () => {
    assert.equal(utilisation([]), undefined)
    assert.equal(
      utilisation([
        { slots: 3, free: 1 },
        { slots: 1, free: 0 }
      ]),
      0.75
    )
  })
})

describe('scheduler: when an offer is published', () => {
  it('says it in intervals, says changes early, and says once that it lends nothing any more', () => {
    const schedule = createSchedule(() => 0.5)
    const due = (fields: Partial<OfferFields>, seconds: number): boolean =>
      schedule.isDue({ ...OFFER, ...fields }, NOW + seconds * 1000)
    assert.equal(due({ slots: 0, free: 0 }, 0), false, 'lent nothing before')
    assert.equal(due({}, 1), true)
    assert.equal(due({ free: 1 }, 4), false, 'still free')
    assert.equal(due({ free: 0 }, 5), true, 'none is free')
    assert.equal(due({ multiplier: 2 }, 6), false, 'too soon')
    assert.equal(due({ multiplier: 2 }, 7), true)
    assert.equal(due({ multiplier: 2 }, 16), false)
    assert.equal(due({ multiplier: 2 }, 7 + OFFER_INTERVAL_MS / 1000), true)
    assert.equal(due({ slots: 0, free: 0 }, 60), true)
    assert.equal(due({ slots: 0, free: 0 }, 120), false)
  })
})

describe('scheduler: ranking', () => {
  const idle = { slots: 2, window: 100, outstanding: 0, outstandingMs: 0 }

  it('prefers who is done earlier, and the cheaper of two alike', () => {
    const nat = fc.nat(10_000)
    fc.assert(
      fc.property(nat, nat, fc.double({ min: 0.1, max: 10, noNaN: true }), (a, b, cost) => {
        const [less, more] = [Math.min(a, b), Math.max(a, b)]
        assert.ok(
          rank({ ...idle, outstandingMs: less, cost }) <= rank({ ...idle, outstandingMs: more, cost })
        )
        assert.ok(
          rank({ ...idle, outstandingMs: a, cost }) <= rank({ ...idle, outstandingMs: a, cost: cost * 2 })
        )
      })
    )
    assert.ok(rank({ ...idle, outstandingMs: 800 }) > rank({ ...idle, cost: 2 }), 'dearer, but much earlier')
    assert.ok(hasRoom(idle))
  })

  it('lets price, standing and a relay count', () => {
    assert.equal(costOf({ multiplier: 2 }), 2)
    assert.equal(costOf({ multiplier: 1, level: 'terrible' }), 1.5)
    assert.equal(costOf({ multiplier: 1, level: 'excellent' }), 0.8)
    assert.ok(costOf({ multiplier: 1, relayed: true }) > 1)
  })

  it('knows who can serve a task', () => {
    const needs = { type: 'matrix', ramMb: 400, tags: ['gpu'] }
    assert.equal(mayServe(needs, { ...OFFER, tags: ['gpu', 'arm64'] }), true)
    assert.equal(mayServe(needs, { ...OFFER, tags: ['arm64'] }), false)
    assert.equal(mayServe(needs, { ...OFFER, tags: ['gpu'], ramMb: 256 }), false)
    assert.equal(mayServe(needs, { ...OFFER, tags: ['gpu'], types: ['map'] }), false)
    assert.equal(mayServe(needs, { ...OFFER, tags: ['gpu'], slots: 0 }), false)
  })

  it('draws cheap and free workers more often, and nobody twice', () => {
    const random = createRandom(1)
    const all = Array.from({ length: 300 }, (_, id) => ({
      id,
      free: 2,
      cost: id < 100 ? 1 : id < 200 ? 2 : 1
    }))
    for (const offer of all.slice(200)) offer.free = 0
    const drawn = [0, 0, 0]
    for (let i = 0; i < 200; i++) {
      const some = draw(all, 50, random)
      assert.equal(new Set(some).size, 50)
      for (const { id } of some) drawn[Math.floor(id / 100)]!++
    }
    const [cheap, dear, busy] = drawn as [number, number, number]
    // weights 2, 2/8 and 0.01: among the first drawn cheap ones are eight times as likely
    assert.ok(cheap > 3 * dear && dear > 5 * busy, `${drawn}`)
    assert.equal(draw(all, 1000, random).length, 300)
  })
})
