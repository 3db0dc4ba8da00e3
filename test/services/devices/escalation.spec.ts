import { deepEqual, equal, ok } from 'node:assert/strict'
import type { Alert } from '../../../services/devices/alerts/store.ts'
import { earlier } from '../../../services/devices/alerts/tell.ts'
import { AGENT, teller, URL_LAST, URL_ONE, world } from './alert-world.ts'

const MINUTE_MS = 60_000

describe('devices: receivers of alerts', () => {
  it('hear of what nobody has acknowledged in its time, others than those who heard first, once', async () => {
    const it = world([{ reading: 'load', above: 10, escalateMinutes: 15 }])
    const { posted, round } = teller('a', [], it)
    for (const device of ['host:1', 'host:2', 'host:3']) it.value(11, { device })
    const keyOf = (device: string): string =>
      it.store.list(undefined, 9).find(each => each.device === device)!.key
    it.later(2_000)
    await round()
    it.store.acknowledge(keyOf('host:2'), 'ann', undefined, it.now())
    it.later(15 * MINUTE_MS - 1)
    await round()
    equal(posted.length, 1, 'there is time left')
    it.later(1)
    for (let i = 0; i < 3; i++) await round()
    deepEqual(
      posted.slice(1).map(({ url, type, keys }) => [url, type, keys.toSorted()]),
      [[URL_LAST, 'alert.escalated', [keyOf('host:1'), keyOf('host:3')].toSorted()]]
    )
    ok(
      it.store
        .list(undefined, 9)
        .every(({ device, escalatedAt }) => (escalatedAt != null) === (device !== 'host:2'))
    )
    it.value(1)
    it.value(1, { device: 'host:2' })
    it.later(2_000)
    await round()
    deepEqual(
      posted
        .slice(2)
        .map(({ url, type }) => [url, type])
        .toSorted(),
      [URL_ONE, URL_LAST].toSorted().map(url => [url, 'alert.resolved']),
      'who was called hears that it is over'
    )
  })

  it('hear no more of it once somebody looks after it, at whichever node, also while they are away', async () => {
    const it = world([{ reading: 'load', above: 10, escalateMinutes: 1 }])
    it.value(11)
    const [{ key }] = it.store.list(undefined, 9) as [Alert]
    let isAway = true
    it.isDown = url => isAway && url === URL_LAST
    const { posted, round } = teller('a', [], it)
    it.later(2_000 + MINUTE_MS)
    await round()
    equal(it.store.messages([]).length, 1, 'it waits for its receiver')
    it.store.acknowledge(key, 'ann', undefined, it.now())
    isAway = false
    it.later(10 * MINUTE_MS)
    for (let i = 0; i < 3; i++) await round()
    deepEqual([posted.length, it.store.messages([])], [1, []])

    // another node keeps the same log, and nobody has told it there
    const other = world([{ reading: 'load', above: 10, escalateMinutes: 1 }])
    other.value(11)
    const two = teller('b', ['a', 'b'], other, async (_, keys, step) => it.store.areTold(keys, step))
    other.later(2_000 + MINUTE_MS + 31_000)
    for (let i = 0; i < 3; i++) await two.round()
    deepEqual(
      two.posted.filter(({ type }) => type === 'alert.escalated'),
      []
    )
  })

  describe('of two nodes, which tell by turns', () => {
    const both = ['a', 'b']
    const later = both.find(self => earlier(self, both, { rule: 'r', agent: AGENT }).length === 1)!
    const first = both.find(self => self !== later)!

    /** Both have the same log and can ask each other while both run; both count one time. */
    function pair() {
      const there = new Set(both)
      const worlds = both.map(() => world([{ reading: 'load', above: 10, escalateMinutes: 1 }]))
      const nodes = both.map((self, i) =>
        teller(self, both, worlds[i]!, async (peer, keys, step) => {
          if (!there.has(peer)) throw new Error('unreachable')
          return worlds[both.indexOf(peer)]!.store.areTold(keys, step)
        })
      )
      return {
        there,
        value: (load: number) => worlds.forEach(each => void each.value(load)),
        async later(ms: number): Promise<void> {
          for (const each of worlds) each.later(ms)
          for (let round = 0; round < 3; round++)
            for (const [i, self] of both.entries()) if (there.has(self)) await nodes[i]!.round()
        },
        /** What one receiver has heard, of whom. */
        heard: (at: string) =>
          both.flatMap((self, i) =>
            nodes[i]!.posted.filter(({ url }) => url === at).map(({ type }) => `${type} of ${self}`)
          )
      }
    }
    const nameOf = (entry: string) =>
      entry.replace(` of ${first}`, ' of first').replace(` of ${later}`, ' of later')

    for (const [title, isBackFor, tells] of [
      ['hear the end from the first, which was away and has learned of it', 'before the end', 'first'],
      ['hear the end from the second, where the first is back after it', 'after the end', 'later'],
      ['hear the end from the second, where the first stays away', 'never', 'later']
    ] as const) {
      it(title, async () => {
        const it = pair()
        it.value(11)
        await it.later(2_000)
        it.there.delete(first)
        // the second one waits half a minute for the first
        await it.later(MINUTE_MS + 40_000)
        deepEqual(it.heard(URL_LAST).map(nameOf), ['alert.escalated of later'])
        if (isBackFor === 'before the end') {
          it.there.add(first)
          await it.later(1_000)
        }
        it.value(1)
        await it.later(2_000)
        if (isBackFor === 'after the end') it.there.add(first)
        await it.later(40_000)
        await it.later(40_000)
        const ends = ['alert.escalated of later', `alert.resolved of ${tells}`]
        deepEqual(it.heard(URL_LAST).map(nameOf).toSorted(), ends)
        equal(it.heard(URL_ONE).filter(each => each.startsWith('alert.resolved')).length, 1)
      })
    }

    it('hear the end from the first, where the second, which told the escalation, is gone', async () => {
      const it = pair()
      it.value(11)
      await it.later(2_000)
      it.there.delete(first)
      await it.later(MINUTE_MS + 40_000)
      it.there.add(first)
      await it.later(1_000)
      it.there.delete(later)
      it.value(1)
      await it.later(2_000)
      it.there.add(later)
      await it.later(40_000)
      deepEqual(it.heard(URL_LAST).map(nameOf).toSorted(), [
        'alert.escalated of later',
        'alert.resolved of first'
      ])
    })
  })

  it('hear the end also where another receiver had not taken it yet', async () => {
    const it = world([{ reading: 'load', above: 10, escalateMinutes: 1 }])
    const other = 'https://other.example/'
    it.isDown = url => url === other
    const { posted, round } = teller('a', [], it, undefined, [URL_LAST, other])
    it.value(11)
    it.later(2_000)
    await round()
    it.later(MINUTE_MS)
    await round()
    it.value(1)
    it.later(2_000)
    await round()
    await round()
    deepEqual(
      posted.filter(({ url }) => url === URL_LAST).map(({ type }) => type),
      ['alert.escalated', 'alert.resolved']
    )
  })
})
