import { strict as assert } from 'node:assert'
import type { Effects, JobInit, WorkerOffer } from '../../scheduler/coordinator/contract.ts'
import { createCoordinator } from '../../scheduler/coordinator/coordinator.ts'

const OPEN: WorkerOffer = { slots: 2, window: 8 }
const UNITS = 6

type Lease = Parameters<Effects['lease']>[0]

/** Answers all there is to do of a job whose inputs are at `holder`, and gives who did which units. */
function run(holder: WorkerOffer, job: Partial<JobInit> = {}): string[] {
  const leases: Lease[] = []
  const coordinator = createCoordinator(
    {
      lease: lease => void leases.push(lease),
      revoke() {},
      accept: () => 'stored',
      pay() {},
      retract() {},
      wake() {},
      trust() {},
      evidence() {},
      end() {}
    },
    { random: () => 0.5 }
  )
  coordinator.offer('holder', holder, 0)
  coordinator.offer('other', OPEN, 0)
  const homes = Array.from({ length: UNITS }, (_, first) => ({ first, count: 1, holders: ['holder'] }))
  coordinator.submit(
    {
      id: 'job',
      program: 'program',
      kind: 'map',
      units: UNITS,
      mostUnits: 1,
      priority: 'normal',
      retries: 3,
      timeoutMs: 60_000,
      verification: 'none',
      bound: 1_000_000n,
      homes,
      ...job
    },
    0
  )
  const done: string[] = []
  for (let now = 1; leases.length > 0; now++) {
    const { worker, slice, first } = leases.shift()!
    done[first] = worker
    coordinator.answer(worker, [{ slice, answer: { digest: 'right', payload: first, ms: 20 } }], now)
  }
  return done
}

describe('scheduler: units whose inputs are at a worker', () => {
  const others = Array.from({ length: UNITS }, () => 'other')

  it('go to it, and to another that has nothing to do', () => {
    const done = run(OPEN)
    assert.equal(done.filter(worker => worker != null).length, UNITS)
    assert.ok(done.includes('holder'))
  })

  it('go to others, to the last one, where it lends nothing now', () => {
    assert.deepEqual(run({ ...OPEN, slots: 0 }), others)
  })

  it('go to others, to the last one, where it may not see the job', () => {
    assert.deepEqual(run(OPEN, { allowed: new Set(['other']) }), others)
  })
})
