import { strict as assert } from 'node:assert'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { decodeValue, encodeValue } from '../../sandbox/index.ts'
import type { Effects } from '../../scheduler/coordinator/contract.ts'
import { createCoordinator } from '../../scheduler/coordinator/coordinator.ts'
import { parseSpec } from '../../scheduler/tasks/parse-spec.ts'
import { plan } from '../../scheduler/tasks/registry.ts'
import { runHere } from './programs.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
const heap = (): number => {
  // what was let go of by weak references is collected by a second and third run
  for (let i = 0; i < 3; i++) collect()
  return process.memoryUsage().heapUsed
}

const OFFER = { slots: 4, window: 256, class: 'v8' }
const JOB = {
  program: 'program',
  priority: 'normal' as const,
  retries: 3,
  timeoutMs: 30_000,
  kind: 'range_reduce',
  bound: 10n ** 12n
}

type Lease = Parameters<Effects['lease']>[0]

/** A coordinator with one worker; `leases` is what it has to do. */
function scene(effects: Partial<Effects> = {}) {
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
      end() {},
      ...effects
    },
    { random: () => 0.5 }
  )
  coordinator.offer('worker', OFFER, 0)
  return { coordinator, leases }
}

describe('scheduler: large jobs', () => {
  it('reduces a range of 10^12 items, and keeps nothing of them in memory', async () => {
    const spec = {
      type: 'range_reduce',
      start: 1,
      end: 10 ** 12,
      partial: '(from, to) => to - from + 1',
      operation: 'sum'
    }
    const before = heap()
    const { program, units, input, createReducer } = plan(parseSpec(spec))
    const run = runHere(program)
    const reducer = createReducer()
    let largest = 0
    let isOver = false
    const { coordinator, leases } = scene({
      accept({ first, count, payload }) {
        reducer.add(first, count, payload as Uint8Array)
        return 'stored'
      },
      end: () => {
        isOver = true
      }
    })
    coordinator.submit({ ...JOB, id: 'job', units, mostUnits: 10_000, verification: 'none' }, 0)
    for (let now = 1; !isOver; now++) {
      const { worker, slice, first, count } = leases.shift()!
      const payload = await run(encodeValue(input(first, count)))
      coordinator.answer(worker, [{ slice, answer: { digest: 'right', payload, ms: 20 } }], now)
      if (now % 50 === 0) largest = Math.max(largest, heap() - before)
    }
    assert.equal(decodeValue(await reducer.finish(value => run(encodeValue(value)))), 10 ** 12)
    assert.ok(largest < 20e6, `${largest} bytes`)
  })

  it('holds as much memory for 10,000,000 queued slices as for 1,000', () => {
    const sizes = [1000, 10_000_000].map(units => {
      const before = heap()
      const { coordinator, leases } = scene()
      coordinator.submit({ ...JOB, id: 'job', units, mostUnits: 1, verification: 'none' }, 0)
      for (let now = 1; now < 200; now++) {
        const { worker, slice } = leases.shift()!
        coordinator.answer(worker, [{ slice, answer: { digest: 'right', payload: 1, ms: 200 } }], now)
      }
      const size = heap() - before
      assert.equal(coordinator.progress('job')!.done, 199)
      return size
    })
    // less than a byte per slice, which leaves room for what else the process does meanwhile
    assert.ok(sizes[1]! - sizes[0]! < 10_000_000, `${sizes} bytes`)
  })
})
