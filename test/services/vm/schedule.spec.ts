import assert from 'node:assert/strict'
import type { Snapshot } from '../../../services/vm/contract.ts'
import { expired, isDue, parsePattern } from '../../../services/vm/core/schedule.ts'
import { type MachinesHost, OWNER, openMachines } from './machines-host.ts'

const at = (text: string) => Date.parse(`${text}Z`)
const snapshot = (name: string, time: number, isScheduled: boolean): Snapshot => ({
  ...{ uuid: name, machine: 'm', name, at: time, isScheduled, disks: [] }
})

describe('snapshots by the clock', () => {
  it('are due once when their moment has come, however many were missed', () => {
    const daily = { pattern: '0 3 * * *', keep: 7, since: at('2026-03-01T12:00') }
    assert.equal(isDue(daily, undefined, at('2026-03-02T02:59')), false)
    assert.equal(isDue(daily, undefined, at('2026-03-02T03:00')), true)
    assert.equal(isDue(daily, at('2026-03-02T03:00'), at('2026-03-02T23:59')), false)
    assert.equal(isDue(daily, at('2026-03-02T03:00'), at('2026-03-09T03:00')), true)
    assert.equal(isDue(daily, at('2026-03-09T03:01'), at('2026-03-09T03:02')), false)
  })

  it('let only what they made go, the oldest first', () => {
    const all = [
      snapshot('mine', 1, false),
      snapshot('auto-1', 2, true),
      snapshot('auto-2', 3, true),
      snapshot('auto-3', 4, true)
    ]
    assert.deepEqual(
      expired(all, { pattern: '', keep: 2, since: 0 }).map(({ name }) => name),
      ['auto-1']
    )
  })

  it('refuse what is no pattern, or comes every second', () => {
    assert.equal(parsePattern(' */5 * * * * '), '*/5 * * * *')
    for (const text of [
      '',
      'often',
      '* * * * * *',
      '60 * * * *',
      '0 0 30 2 *',
      `0 0 * * ${' '.repeat(200)}1`
    ])
      assert.throws(() => parsePattern(text), { name: 'UsageError' }, text)
  })

  it('are taken and let go; what somebody made himself stays', async () => {
    let now = at('2026-03-01T12:00')
    const host: MachinesHost = await openMachines({ now: () => now })
    try {
      await host.registry.auth(OWNER, 's1', '64', '1')
      await host.registry.addDisk(OWNER, 'd1', 's1', '1')
      await host.snapshots.take(OWNER, 's1', 'mine')
      await host.schedules.set(OWNER, 's1', '0 * * * *', 2)
      const names = async () => (await host.snapshots.list(OWNER, 's1')).map(({ name }) => name)
      await host.schedules.tick()
      assert.deepEqual(await names(), ['mine'])
      now = at('2026-03-01T15:30')
      await host.schedules.tick()
      await host.schedules.tick()
      assert.deepEqual(await names(), ['mine', 'auto-20260301T153000'])
      // it does not run: nothing can have changed
      now = at('2026-03-01T16:30')
      await host.schedules.tick()
      assert.equal((await names()).length, 2)
      await host.schedules.set(OWNER, 's1', 'off', 1)
      await assert.rejects(host.schedules.set(OWNER, 's1', '0 * * * *', 0), { name: 'UsageError' })
    } finally {
      await host.end()
    }
  })
})
