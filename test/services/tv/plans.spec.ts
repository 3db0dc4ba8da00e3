import { deepEqual, equal, ok, throws } from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { hoursOf, isWithin } from '../../../services/host/index.ts'
import { type BringInit, createBring, inTurn } from '../../../services/tv/campaigns/bring.ts'
import { type Campaign, campaign as schema } from '../../../services/tv/campaigns/campaign.ts'
import { choose } from '../../../services/tv/campaigns/choose.ts'
import { type Trigger, trigger as triggerSchema } from '../../../services/tv/cards/card.ts'
import { FRESH, replay, step } from '../../../services/tv/cards/trigger.ts'
import { parseCondition } from '../../../services/tv/condition.ts'
import { MIGRATIONS } from '../../../services/tv/schema.ts'

const at = (text: string): number => Date.parse(text)
const within = (text: string, moment: string): boolean => isWithin([hoursOf(text)!], at(moment))

describe('tv: hours of campaigns', () => {
  it('are kept by who fetches files, too', async () => {
    const fetched: string[] = []
    const db = new DatabaseSync(':memory:')
    for (const script of MIGRATIONS) db.exec(script)
    let mayFetch = false
    const campaign = { name: 'a', end: 10, start: 0, targets: [], assets: [{ cid: 'x', bytes: 5 }] }
    const bring = createBring({
      ...{ db, self: 'me', tvs: new Map([['tv-1', {}]]), last: () => undefined, now: () => 1 },
      files: {
        fetch: async (cid: string) => ({ size: fetched.push(cid) * 5 }),
        info: () => ({ pinned: true })
      },
      campaigns: () => [campaign],
      mayFetch: () => mayFetch,
      trouble: (_: string, why?: string) => equal(why, undefined)
    } as unknown as BringInit)
    const { signal } = new AbortController()
    await bring.fetch(signal)
    deepEqual(fetched, [])
    mayFetch = true
    await bring.fetch(signal)
    await bring.fetch(signal)
    deepEqual(fetched, ['x'])
    db.close()
  })

  it('are those of the place, whatever the clock of the node says', () => {
    // 2026-12-01 is a Tuesday; Moscow is three hours ahead of UTC
    ok(within('1-5 07:00-23:00 Europe/Moscow', '2026-12-01T04:00:00Z'))
    ok(!within('1-5 07:00-23:00 Europe/Moscow', '2026-12-01T03:59:59Z'))
    ok(!within('1-5 07:00-23:00 Europe/Moscow', '2026-12-01T20:00:00Z'))
    ok(!within('1,3-7 07:00-23:00 Europe/Moscow', '2026-12-01T12:00:00Z'))
    ok(isWithin([], 0), 'none is always')
    // New York on 2026-03-08: 02:00 becomes 03:00
    ok(within('7 03:00-04:00 America/New_York', '2026-03-08T07:00:00Z'))
    ok(!within('7 03:00-04:00 America/New_York', '2026-03-08T06:59:00Z'))
  })

  it('go over midnight, and belong to the day on which they began', () => {
    const night = '5 22:00-02:00 Europe/Moscow' // from Friday
    ok(within(night, '2026-12-04T19:00:00Z'))
    ok(within(night, '2026-12-04T22:59:00Z'), 'it is Saturday there')
    ok(!within(night, '2026-12-04T23:00:00Z'))
    ok(!within(night, '2026-12-03T22:00:00Z'), 'Friday at one')
    ok(within('7 22:00-02:00 UTC', '2026-12-07T01:00:00Z'), 'from Sunday to Monday')
  })

  it('are nothing else', () => {
    for (const text of [
      '',
      '0 07:00-08:00 UTC',
      '5-1 07:00-08:00 UTC',
      '1 07:00-07:00 UTC',
      '1 25:00-26:00 UTC',
      '1 07:60-08:00 UTC',
      '1 07:00-08:00 Mars/Base',
      '1 07:00-08:00'
    ])
      equal(hoursOf(text), undefined, text)
  })
})

const DAY_MS = 86_400_000
const NOW = at('2026-12-01T12:00:00Z')
const campaignOf = (name: string, more: Partial<Campaign> = {}): Campaign =>
  schema.parse({
    name,
    version: 1,
    by: 'somebody',
    on: '*',
    targets: [],
    assets: [{ cid: 'b'.repeat(59), sha256: '0'.repeat(64), bytes: 1, mime: 'video/mp4', ms: 1000 }],
    start: NOW - DAY_MS,
    end: NOW + DAY_MS,
    ...more
  })

describe('tv: which campaign', () => {
  const chosen = (
    campaigns: Campaign[],
    ready: string[],
    { last, now = NOW }: { last?: Campaign; now?: number } = {}
  ) => {
    const found = choose({ campaigns, last, now, isReady: ({ name }) => ready.includes(name) })
    return found && [found.campaign.name, found.instead]
  }

  it('is the first by priority, then by the later start, of those that are complete and in time', () => {
    const a = campaignOf('a')
    const later = campaignOf('later', { start: NOW - 1 })
    const first = campaignOf('first', { priority: 90 })
    const over = campaignOf('over', { end: NOW, priority: 99 })
    const closed = campaignOf('closed', { schedule: ['1 07:00-08:00 UTC'], priority: 99 })
    const all = [a, later, first, over, closed]
    deepEqual(chosen(all, ['a', 'later', 'first', 'over', 'closed']), ['first', undefined])
    deepEqual(chosen(all, ['a', 'later']), ['later', undefined])
    deepEqual(chosen(all, ['a']), ['a', undefined])
    equal(chosen([over, closed], ['over', 'closed'], { last: over }), undefined)
  })

  it('is the last complete one where nothing of now is complete, or the clock was never set', () => {
    const last = campaignOf('last', { end: NOW - DAY_MS / 2 })
    const a = campaignOf('a')
    deepEqual(chosen([a, last], ['last'], { last }), ['last', 'not ready'])
    equal(chosen([a, last], [], { last }), undefined)
    deepEqual(chosen([a, last], ['a', 'last'], { last, now: 5_000 }), ['last', 'no clock'])
    equal(chosen([a], ['a'], { now: 5_000 }), undefined)
  })

  it('is fetched by each node from elsewhere on: together they have all early', () => {
    const assets = [...'abcdefgh']
    const agents = ['n3', 'n1', 'n2', 'n4']
    const orders = agents.map(each => inTurn(assets, agents, each))
    for (const order of orders) deepEqual([...order].sort(), assets)
    // after a quarter of it each
    deepEqual([...new Set(orders.flatMap(order => order.slice(0, 2)))].sort(), assets)
    deepEqual(inTurn([], agents, 'n1'), [])
    deepEqual(inTurn(assets, [], 'n1'), assets)
  })
})

describe('tv: triggers', () => {
  const triggerOf = (more: object): Trigger =>
    triggerSchema.parse({ when: 'volume>10', do: [{ operation: 'sound.mute' }], ...more })

  it('act once while it is so, after it was so long enough, and not again before their time', () => {
    const trigger = triggerOf({ for: 5, cooldown: 60 })
    const isSo = parseCondition(trigger.when)
    let memory = FRESH
    const acted: number[] = []
    const look = (seconds: number, volume: number, isCaused = false): void => {
      const found = step(trigger, isSo, memory, { volume }, seconds * 1000, isCaused)
      memory = found.memory
      if (found.acts) acted.push(seconds)
    }
    for (let s = 100; s < 110; s++) look(s, 12)
    deepEqual(acted, [105])
    look(110, 3)
    for (let s = 111; s < 180; s++) look(s, 12)
    deepEqual(acted, [105, 165])
    // less than five seconds each time
    for (let s = 300; s < 400; s++) look(s, s % 4 === 0 ? 0 : 12)
    deepEqual(acted, [105, 165])
  })

  it('act in their hours, also on what was so before they begin', () => {
    const night = triggerOf({ when: 'volume>3', hours: ['1-7 22:00-07:00 Europe/Moscow'], cooldown: 10 })
    // the first minute is 21:59 in Moscow; somebody makes it loud again twice, and in the morning
    const start = Date.parse('2026-12-01T18:59:00Z')
    const loud = [0, 120, 600, 10 * 3600].map(seconds => ({
      at: start + seconds * 1000,
      values: { volume: 9 }
    }))
    const quiet = [90, 300, 700].map(seconds => ({ at: start + seconds * 1000, values: { volume: 3 } }))
    const samples = [...loud, ...quiet].sort((a, b) => a.at - b.at)
    const acted = replay(night, samples, start + 11 * 3_600_000).map(at => (at - start) / 1000)
    deepEqual(acted, [60, 120, 600])
    throws(() => triggerOf({ hours: ['at night'] }), /write it like/)
  })

  it('start no other', () => {
    const trigger = triggerOf({})
    const isSo = parseCondition(trigger.when)
    let found = step(trigger, isSo, FRESH, { volume: 12 }, 1000, true)
    equal(found.acts, false)
    found = step(trigger, isSo, found.memory, { volume: 12 }, 900_000)
    equal(found.acts, false, 'it was made so')
    found = step(trigger, isSo, found.memory, { volume: 1 }, 901_000)
    equal(step(trigger, isSo, found.memory, { volume: 12 }, 902_000).acts, true)
  })

  it('would have acted, by the log, as often as they did: as looking every second finds', () => {
    const samples = fc.array(
      fc.record({ gap: fc.integer({ min: 1, max: 90 }), volume: fc.integer({ min: 0, max: 20 }) }),
      {
        maxLength: 40
      }
    )
    fc.assert(
      fc.property(
        samples,
        fc.integer({ min: 0, max: 40 }),
        fc.integer({ min: 10, max: 200 }),
        // of an hour that begins at 0:16:40 of a Thursday
        fc.constantFrom([], ['4 00:18-00:25 UTC', '1-7 00:30-00:31 UTC'], ['5 00:00-24:00 UTC']),
        (steps, seconds, cooldown, hours) => {
          const trigger = triggerOf({ for: seconds, cooldown, hours })
          let now = 1_000_000
          const measured = steps.map(({ gap, volume }) => {
            now += gap * 1000
            return { at: now, values: { volume } }
          })
          const end = now + 60_000
          const isSo = parseCondition(trigger.when)
          const acted: number[] = []
          let memory = FRESH
          for (let t = measured[0]?.at ?? end; t < end; t += 1000) {
            const values = measured.findLast(sample => sample.at <= t)!.values
            const found = step(trigger, isSo, memory, values, t)
            memory = found.memory
            if (found.acts) acted.push(t)
          }
          deepEqual(replay(trigger, measured, end), acted)
        }
      )
    )
  })
})
