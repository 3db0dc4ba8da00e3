import { deepEqual, equal, ok } from 'node:assert/strict'
import type { Alert } from '../../../services/devices/alerts/store.ts'
import { teller, URL_LAST, URL_ONE, world } from './alert-world.ts'

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
})
