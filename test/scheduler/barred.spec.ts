import { strict as assert } from 'node:assert'
import type { Effects, JobInit } from '../../scheduler/coordinator/contract.ts'
import { createCoordinator } from '../../scheduler/coordinator/coordinator.ts'
import { JobHandle } from '../../scheduler/jobs/job-handle.ts'
import { barred, whyWaiting } from '../../scheduler/jobs/why-waiting.ts'
import { openStore } from '../../scheduler/store/job-store.ts'
import { parseSpec } from '../../scheduler/tasks/parse-spec.ts'
import { caught, excludedUntil, NO_TRUST, passed, type Trust } from '../../scheduler/trust/credibility.ts'

const HOUR_MS = 3_600_000
const CAUGHT_AT = 1_000_000
const twice = caught(caught(NO_TRUST, 0), CAUGHT_AT)

type Lease = Parameters<Effects['lease']>[0]

function scene(workers: Record<string, Trust>) {
  const leases: Lease[] = []
  const coordinator = createCoordinator(
    {
      lease: lease => void leases.push(lease),
      revoke: () => {},
      accept: () => 'stored',
      pay: () => {},
      retract: () => {},
      wake() {},
      trust: () => {},
      evidence: () => {},
      end: () => {}
    },
    {
      random: () => 0.5,
      trust: Object.entries(workers).map(([id, trust]): [string, Trust] => [`${id} v8 map`, trust])
    }
  )
  for (const id of Object.keys(workers))
    coordinator.offer(id, { slots: 1, window: 4, class: 'v8' }, CAUGHT_AT)
  const submit = (verification: JobInit['verification'], allowed?: Set<string>, id = 'job'): void =>
    coordinator.submit(
      {
        id,
        program: 'program',
        kind: 'map',
        units: 1,
        mostUnits: 1,
        priority: 'normal',
        retries: 3,
        timeoutMs: 60_000,
        verification,
        allowed,
        bound: 1_000_000n
      },
      CAUGHT_AT
    )
  return { coordinator, leases, submit }
}

const inWords = (kept: Parameters<typeof barred>[0], quorum?: number): string =>
  whyWaiting({
    needs: { type: 'map', ramMb: 256 },
    quorum,
    kept,
    unlinked: () => [],
    linked: new Map(),
    refusal: () => 'no'
  }).message

describe('scheduler: who gets nothing of a job', () => {
  it('is excluded for a time, longer each time, and compared from the beginning when it is over', () => {
    assert.equal(excludedUntil(caught(NO_TRUST, CAUGHT_AT), CAUGHT_AT), undefined)
    assert.equal(excludedUntil(twice, CAUGHT_AT), CAUGHT_AT + HOUR_MS)
    assert.equal(excludedUntil(twice, CAUGHT_AT + HOUR_MS), undefined)
    assert.equal(excludedUntil(caught(twice, CAUGHT_AT), CAUGHT_AT), CAUGHT_AT + 2 * HOUR_MS)
    const often = Array.from({ length: 50 }).reduce<Trust>(trust => caught(trust, CAUGHT_AT), NO_TRUST)
    assert.equal(excludedUntil(often, CAUGHT_AT), CAUGHT_AT + 30 * 24 * HOUR_MS)
    // a rate that honest hardware has
    const honest = Array.from({ length: 500 }).reduce<Trust>(passed, twice)
    assert.equal(excludedUntil(honest, CAUGHT_AT), undefined)
  })

  it('is named in the report, with the reason and the end of it, and gets work after that', () => {
    const { coordinator, leases, submit } = scene({ liar: twice })
    submit('none')
    assert.equal(leases.length, 0)
    const kept = coordinator.waits('job')!
    const until = CAUGHT_AT + HOUR_MS
    assert.deepEqual(kept, [{ worker: 'liar', own: false, by: 'excluded', until }])
    assert.deepEqual(
      barred(kept, () => undefined),
      [{ worker: 'liar', reason: 'its answers were wrong too often', until }]
    )
    assert.match(inWords(kept), /1 worker is excluded for wrong answers/)
    coordinator.tick(until + 1)
    assert.equal(leases[0]?.worker, 'liar')
    assert.equal(coordinator.waits('job'), undefined)
  })

  it('is named also while others are at work', () => {
    const { coordinator, leases, submit } = scene({ liar: twice, honest: NO_TRUST })
    submit('none')
    assert.deepEqual(
      leases.map(({ worker }) => worker),
      ['honest']
    )
    assert.equal(coordinator.waits('job'), undefined)
    const named = (job: string): string[] =>
      barred(coordinator.kept(job), () => undefined).map(({ worker }) => worker)
    assert.deepEqual(named('job'), ['liar'])
    // and while it waits for them
    for (const id of ['second', 'third', 'fourth', 'fifth']) submit('none', undefined, id)
    assert.equal(coordinator.waits('fifth')?.[0]?.by, 'busy')
    assert.deepEqual(named('fifth'), ['liar'])
  })

  it('is found behind many who are only busy', () => {
    const busy = Array.from({ length: 100 }, (_, i) => ({ worker: `w${i}`, own: false, by: 'busy' as const }))
    const out = barred([...busy, { worker: 'liar', own: false, by: 'excluded' }], () => undefined)
    assert.deepEqual(
      out.map(({ worker }) => worker),
      ['liar']
    )
  })

  it('is looked for when somebody asks for the report; what a job waits for, ten times a second at most', () => {
    let looks = 0
    const handle = new JobHandle({
      id: 'job',
      type: 'map',
      specs: [parseSpec({ type: 'map', items: [1], fn: 'x => x' })],
      bound: 1n,
      submitted: 0,
      state: 'queued',
      total: 1,
      load: () => undefined,
      hurry: () => {},
      cancel: () => {},
      waiting: () => {
        looks++
        return { message: 'nobody is here', unmet: [] }
      },
      barred: () => assert.fail('nobody asked')
    })
    // a message of a worker every millisecond
    for (let now = 1000; now < 2000; now++)
      if (handle.wantsProgress(now)) handle.progressed(now, { workers: 0, retries: 0 })
    assert.equal(looks, 10)
  })

  it('is told where a quorum needs more workers than there are, or privacy leaves nobody', () => {
    const both = scene({ a: NO_TRUST, b: NO_TRUST })
    both.submit({ quorum: 3 })
    for (const { worker, slice } of [...both.leases])
      both.coordinator.answer(
        worker,
        [{ slice, answer: { digest: 'x', payload: 'x', ms: 1 } }],
        CAUGHT_AT + 10
      )
    for (const { worker, slice } of both.leases.slice(1))
      both.coordinator.answer(
        worker,
        [{ slice, answer: { digest: 'x', payload: 'x', ms: 1 } }],
        CAUGHT_AT + 20
      )
    assert.match(inWords(both.coordinator.waits('job')!, 3), /quorum:3 needs 3 workers of different owners/)
    const one = scene({ a: NO_TRUST })
    one.submit('none', new Set(['somebody else']))
    assert.match(inWords(one.coordinator.waits('job')!), /privacy\.workers names nobody who is here/)
  })

  it('is asked again while it refuses, with its reason', () => {
    const { coordinator, leases, submit } = scene({ a: NO_TRUST })
    submit('none')
    assert.equal(coordinator.waits('job'), undefined)
    coordinator.refuse('a', [leases[0]!.slice], CAUGHT_AT + 10)
    const kept = coordinator.waits('job')!
    assert.deepEqual(
      barred(kept, () => 'quiet hours'),
      [{ worker: 'a', reason: 'quiet hours', until: CAUGHT_AT + 510 }]
    )
    assert.match(inWords(kept), /1 refused \(no\)/)
    // while it is asked again, nothing is at work yet
    coordinator.tick(CAUGHT_AT + 600)
    assert.equal(leases.length, 2)
    assert.ok(coordinator.waits('job') != null)
  })

  it('gets back what versions took from it that did not say when', () => {
    const store = openStore(':memory:')
    store.db.exec(
      "INSERT INTO trust (key, checks, streak, compared, wrong) VALUES ('old v8 map', 0, 0, 9, 2)"
    )
    store.setTrust('new v8 map', twice)
    store.setTrust('good v8 map', passed(NO_TRUST))
    assert.deepEqual(
      new Map(store.trusts()),
      new Map([
        ['good v8 map', passed(NO_TRUST)],
        ['new v8 map', twice]
      ])
    )
    store.close()
  })
})
