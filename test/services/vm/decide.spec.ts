import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { Desired } from '../../../services/vm/contract.ts'
import {
  type Course,
  decide,
  mayStartAt,
  type Observed,
  POWER_DOWN_MS,
  stateOf
} from '../../../services/vm/core/decide.ts'

const off: Observed = { isAlive: false, qmp: 'absent' }
const on = (qmp: string): Observed => ({ isAlive: true, qmp })
const idle: Course = {
  operation: undefined,
  stopAskedAt: undefined,
  crashes: [],
  isUnpaid: false,
  isCorrupt: false
}
const NOW = 1_000_000_000

describe('what to do with a machine', () => {
  it('waits 1, 2, 4, 8 s after each crash, then gives up until ten minutes are over', () => {
    const crashes: number[] = []
    for (const waited of [1_000, 2_000, 4_000, 8_000]) {
      crashes.push(NOW)
      assert.equal(mayStartAt(crashes, NOW), NOW + waited)
      const course = { ...idle, crashes }
      assert.equal(decide('running', off, course, NOW + waited - 1), 'nothing')
      assert.equal(decide('running', off, course, NOW + waited), 'start')
    }
    crashes.push(NOW)
    const course = { ...idle, crashes }
    assert.equal(stateOf('running', off, course, NOW + 1), 'crashed')
    assert.equal(decide('running', off, course, NOW + 599_999), 'nothing')
    assert.equal(decide('running', off, course, NOW + 600_001), 'start')
  })

  it('lets a guest that a full disk has stopped go on, unless it is wanted paused', () => {
    assert.equal(stateOf('running', on('io-error'), idle, NOW), 'io-error')
    assert.equal(decide('running', on('io-error'), idle, NOW), 'resume')
    assert.equal(decide('paused', on('io-error'), idle, NOW), 'nothing')
  })

  it('says of what stands still or is off, and of nothing else, that it is unpaid', () => {
    const unpaid = { ...idle, isUnpaid: true }
    const states = [off, on('paused'), on('running')].map(seen => stateOf('stopped', seen, unpaid, NOW))
    assert.deepEqual(states, ['unpaid', 'unpaid', 'stopping'])
    assert.equal(stateOf('removed', off, unpaid, NOW), 'removed')
  })

  it('asks a guest to power down, then ends QEMU, then kills it', () => {
    assert.equal(decide('stopped', on('running'), idle, NOW), 'power-down')
    const asked = (ms: number) => decide('stopped', on('running'), { ...idle, stopAskedAt: NOW - ms }, NOW)
    assert.deepEqual(
      [asked(1), asked(POWER_DOWN_MS), asked(POWER_DOWN_MS + 3_000)],
      ['nothing', 'quit', 'kill']
    )
  })

  it('never starts what is wanted off, never ends what is wanted on, touches nothing that is held', () => {
    const observed = fc.record({
      isAlive: fc.boolean(),
      qmp: fc.constantFrom('absent', 'silent', 'running', 'paused', 'io-error', 'prelaunch', 'shutdown')
    })
    const course = fc.record({
      operation: fc.constantFrom<Course['operation']>(undefined, 'start', 'stop', 'move', 'other'),
      stopAskedAt: fc.option(fc.integer({ min: 0, max: NOW }), { nil: undefined }),
      crashes: fc.array(fc.integer({ min: 0, max: NOW }), { maxLength: 8 }),
      isUnpaid: fc.boolean(),
      isCorrupt: fc.boolean()
    })
    const desired = fc.constantFrom<Desired>('running', 'paused', 'stopped', 'removed')
    fc.assert(
      fc.property(desired, observed, course, (wanted, seen, held) => {
        const step = decide(wanted, seen, held, NOW)
        if (held.operation !== undefined) assert.equal(step, 'nothing')
        if (wanted === 'stopped' || wanted === 'removed') assert.ok(!['start', 'resume'].includes(step))
        else assert.ok(!['power-down', 'quit', 'kill'].includes(step))
        if (!seen.isAlive) assert.ok(['start', 'nothing'].includes(step))
        if (held.isUnpaid || held.isCorrupt) assert.notEqual(step, 'start')
      })
    )
  })
})
