import { strict as assert } from 'node:assert'
import { createCoordinator, SILENT_MS } from '../../scheduler/coordinator/coordinator.ts'

const TICK_MS = 250

/** A job of one slice on one worker; `at` is the time of the last tick. */
function scene() {
  const revoked: string[] = []
  const coordinator = createCoordinator(
    {
      lease: () => {},
      revoke: ({ worker }) => void revoked.push(worker),
      accept: () => 'stored',
      pay: () => {},
      retract: () => {},
      wake() {},
      trust: () => {},
      evidence: () => {},
      end: () => {}
    },
    { random: () => 0.5 }
  )
  coordinator.offer('worker', { slots: 1, window: 1 }, 0)
  coordinator.submit(
    {
      id: 'job',
      program: 'program',
      kind: 'map',
      units: 1,
      mostUnits: 1,
      priority: 'normal',
      retries: 3,
      timeoutMs: 60_000,
      verification: 'none',
      bound: 1000n
    },
    0
  )
  let at = 0
  return {
    revoked,
    coordinator,
    tickUntil(end: number) {
      for (at += TICK_MS; at <= end; at += TICK_MS) coordinator.tick(at)
    },
    sleepUntil(end: number) {
      at = end
      coordinator.tick(at)
    }
  }
}

describe('scheduler: silence', () => {
  it('takes slices from a worker that says nothing', () => {
    const { revoked, tickUntil } = scene()
    tickUntil(SILENT_MS)
    assert.deepEqual(revoked, [])
    tickUntil(SILENT_MS + 2 * TICK_MS)
    assert.deepEqual(revoked, ['worker'])
  })

  it('is not held against workers when this node itself was stopped', () => {
    const { revoked, coordinator, tickUntil, sleepUntil } = scene()
    tickUntil(1000)
    sleepUntil(31_000)
    assert.deepEqual(revoked, [])
    // they are heard as soon as this node reads again; who is not is silent from then on
    coordinator.seen('worker', 31_010)
    tickUntil(31_000 + SILENT_MS)
    assert.deepEqual(revoked, [])
    tickUntil(31_010 + SILENT_MS + 2 * TICK_MS)
    assert.deepEqual(revoked, ['worker'])
  })
})
