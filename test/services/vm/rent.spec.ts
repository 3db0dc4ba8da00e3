import assert from 'node:assert/strict'
import fc from 'fast-check'
import { type Candidate, place } from '../../../services/vm/core/place.ts'
import { costOf, stageOf } from '../../../services/vm/core/rent.ts'
import { createRent } from '../../../services/vm/machines/rent.ts'
import { ownMachine } from '../../../services/vm/store/records.ts'
import { openMachines } from './machines-host.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const NOW = Date.parse('2026-03-01T12:00Z')

describe('rent of machines', () => {
  it('is by GB and hour; parts of a micro-credit count whole', () => {
    const prices = { ramGbHour: 1_000_000, diskGbHour: 10_000 }
    assert.equal(costOf({ ramMb: 2048, diskGb: 50 }, prices, HOUR), 2_500_000)
    assert.equal(costOf({ ramMb: 512, diskGb: 0 }, prices, 60_000), 8_334)
    assert.equal(costOf({ ramMb: 0, diskGb: 0 }, prices, HOUR), 0)
    assert.equal(costOf({ ramMb: 16, diskGb: 1 }, prices, 0), 0)
  })

  it('that is owed is told for a day, then machines stand still, end, and go after a week', () => {
    assert.equal(stageOf(undefined, NOW), 'fine')
    const after = (ms: number) => stageOf(NOW, NOW + ms)
    assert.deepEqual([0, DAY - 1, DAY, 2 * DAY - 1, 2 * DAY, 7 * DAY - 1, 7 * DAY].map(after), [
      'notice',
      'notice',
      'pause',
      'pause',
      'stop',
      'stop',
      'trash'
    ])
  })

  it('is booked once, metered, and followed by what was said', async () => {
    let now = NOW
    const entry = { time: NOW, type: 'transfer' as const, to: 'host', job: undefined }
    const history = [
      { ...entry, seq: 1, from: 'tenant', amount: 2_000_000n, memo: 'vm 1' },
      { ...entry, seq: 2, from: 'tenant', amount: 9_000_000n, memo: 'a present' },
      { ...entry, seq: 1, from: 'other', amount: 5n, memo: 'vm' }
    ]
    const host = await openMachines({ now: () => now })
    try {
      const ledger = { history: () => history }
      const prices = { ramGbHour: 0, diskGbHour: 1_000_000 }
      const rent = createRent(host.context, host, { ledger, self: 'host', prices: () => prices })
      for (const owner of ['tenant', 'host', 'poor']) await host.registry.auth(owner, 'm1', '64', '1')
      for (const owner of ['tenant', 'host']) await host.registry.addDisk(owner, 'd1', 'm1', '60')
      await rent.needPaid('tenant')
      await rent.needPaid('host')
      await assert.rejects(rent.needPaid('poor'), { name: 'QuotaError' })
      now += 60_000
      await rent.tick()
      assert.deepEqual(
        [await rent.statement('tenant'), (await rent.statement('host')).used],
        [{ paid: 2_000_000, used: 1_000_000, left: 1_000_000, stage: 'fine', emptySince: undefined }, 0]
      )
      now += 60_000
      await rent.tick()
      assert.equal((await rent.statement('tenant')).stage, 'notice')
      const kinds = async () => (await host.registry.events('tenant', 'm1', 0)).map(({ kind }) => kind)
      assert.equal((await kinds()).filter(kind => kind === 'unpaid').length, 1)
      now += DAY
      // a night in which the node slept is not charged
      await rent.tick()
      assert.equal((await rent.statement('tenant')).used, 4_000_000)
      assert.equal((await rent.statement('tenant')).stage, 'pause')
      const states = () =>
        Promise.all(['tenant', 'host'].map(async owner => (await host.registry.show(owner, 'm1')).state))
      assert.deepEqual(await states(), ['unpaid', 'stopped'])
      history.push({ ...entry, seq: 7, from: 'tenant', amount: 90_000_000n, memo: 'vm 2' })
      await rent.tick()
      assert.equal((await rent.statement('tenant')).stage, 'fine')
      assert.deepEqual(await states(), ['stopped', 'stopped'])
      history.length = 0
      now += 7 * DAY
      await host.database.query('UPDATE accounts SET used_micro = paid_micro, empty_since = $1', NOW)
      // one that is held keeps the others from nothing
      await host.registry.auth('tenant', 'held', '16', '1')
      const held = (await ownMachine(host.database, 'tenant', 'held'))!
      const left = async () => (await host.registry.list('tenant')).map(({ id }) => id)
      await host.context.hold('tenant', held, 'update', async () => {
        await rent.tick()
        assert.deepEqual(await left(), ['held'])
      })
      await rent.tick()
      assert.deepEqual(await left(), [])
      assert.equal((await host.registry.list('host')).length, 1)
      await host.registry.restore('tenant', 'm1')
    } finally {
      await host.end()
    }
  })
})

describe('the place of a machine', () => {
  const host = (peer: string, change: Partial<Candidate> = {}): Candidate => ({
    ...{ peer, freeMb: 4096, accelerator: 'kvm', ramGbHour: 0, diskGbHour: 0, reputation: 0.5 },
    ...change
  })
  const order = (hosts: Candidate[], ramMb = 1024, mostAnHour = 1e9) =>
    place(hosts, { ramMb, diskGb: 10, mostAnHour }).map(({ peer }) => peer)

  it('is where it fits and costs no more than it may', () => {
    assert.deepEqual(order([host('small', { freeMb: 1024 }), host('large')]), ['large'])
    assert.deepEqual(
      order([host('dear', { ramGbHour: 5_000 }), host('cheap', { ramGbHour: 900 })], 1024, 1_000),
      ['cheap']
    )
    assert.deepEqual(
      order([host('dear', { diskGbHour: 101 }), host('cheap', { diskGbHour: 100 })], 1024, 1_000),
      ['cheap']
    )
  })

  it('is, other things being equal, where it is cheaper, better known, roomier, behind KVM', () => {
    assert.deepEqual(order([host('a', { ramGbHour: 2 }), host('b', { ramGbHour: 1 })]), ['b', 'a'])
    assert.deepEqual(order([host('a', { reputation: 0 }), host('b', { reputation: 1 })]), ['b', 'a'])
    assert.deepEqual(order([host('a', { freeMb: 2048 }), host('b', { freeMb: 8192 })]), ['b', 'a'])
    assert.deepEqual(order([host('a', { accelerator: 'tcg' }), host('b')]), ['b', 'a'])
  })

  it('is the same whatever order the hosts were found in', () => {
    const candidate = fc.record({
      peer: fc.uuid(),
      freeMb: fc.integer({ min: 0, max: 100_000 }),
      accelerator: fc.constantFrom('kvm', 'tcg'),
      ramGbHour: fc.integer({ min: 0, max: 1_000_000 }),
      diskGbHour: fc.integer({ min: 0, max: 1_000_000 }),
      reputation: fc.double({ min: 0, max: 1, noNaN: true })
    })
    fc.assert(
      fc.property(fc.uniqueArray(candidate, { selector: ({ peer }) => peer }), hosts => {
        assert.deepEqual(order(hosts.toReversed()), order(hosts))
      })
    )
  })
})
