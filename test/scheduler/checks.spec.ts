import { strict as assert } from 'node:assert'
import type { Accepted, Effects } from '../../scheduler/coordinator/contract.ts'
import { type Coordinator, createCoordinator } from '../../scheduler/coordinator/coordinator.ts'
import type { Trust } from '../../scheduler/trust/credibility.ts'

const SLICE = 100

type Lease = Parameters<Effects['lease']>[0]

/** The coordinator with this node and workers that have a record, who answer when the test says. */
class Scene {
  readonly coordinator: Coordinator
  readonly leases: Lease[] = []
  readonly accepted: Accepted[] = []
  readonly retracted: { first: number; count: number }[] = []
  readonly paid: Parameters<Effects['pay']>[0][] = []
  readonly wrong: string[] = []
  readonly trusts = new Map<string, Trust>()
  readonly msPerUnit: number
  ended?: string
  now = 0

  constructor({
    workers,
    window = 2,
    rolls = () => 0.5,
    msPerUnit = 1
  }: { workers: Record<string, Trust>; window?: number; rolls?: () => number; msPerUnit?: number }) {
    this.msPerUnit = msPerUnit
    this.coordinator = createCoordinator(
      {
        lease: lease => void this.leases.push(lease),
        revoke: ({ worker, slice }) =>
          void this.take(lease => lease.worker === worker && lease.slice === slice),
        accept: slice => {
          this.accepted.push(slice)
          return 'stored'
        },
        pay: paid => void this.paid.push(paid),
        retract: interval => void this.retracted.push(interval),
        wake() {},
        trust: (key, trust) => void this.trusts.set(key, trust),
        evidence: ({ wrong }) => void this.wrong.push(...wrong.map(vote => vote.worker)),
        end: ({ state }) => {
          this.ended = state
        }
      },
      {
        random: rolls,
        trust: Object.entries(workers).map(([id, trust]): [string, Trust] => [`${id} v8 map`, trust])
      }
    )
    this.coordinator.offer('own', { slots: 1, window: 64, class: 'v8', own: true, lastResort: true }, 0)
    for (const id of Object.keys(workers))
      this.coordinator.offer(id, { slots: 1, window, class: 'v8', group: `home of ${id}` }, 0)
  }

  submit(confidence: number, units = 400, isBlamable = true): void {
    this.coordinator.submit(
      {
        id: 'job',
        program: 'program',
        kind: 'map',
        auditable: true,
        isBlamable: () => isBlamable,
        units,
        mostUnits: SLICE,
        priority: 'normal',
        retries: 3,
        timeoutMs: 30_000,
        verification: { confidence },
        bound: 10n ** 9n
      },
      this.now
    )
  }

  take(which: (lease: Lease) => boolean): Lease | undefined {
    const at = this.leases.findIndex(which)
    return at < 0 ? undefined : this.leases.splice(at, 1)[0]
  }

  /** A worker answers the oldest slice that it has; of its units those in `wrong` are wrong. */
  answer(worker: string, wrong: (unit: number) => boolean = () => false): Lease {
    const lease = this.take(each => each.worker === worker)!
    assert.ok(lease, `${worker} has nothing to do`)
    const { first, count, slice } = lease
    const of = (from: number, units: number): string =>
      Array.from({ length: units }, (_, i) => from + i)
        .filter(wrong)
        .map(unit => `${unit} is wrong`)
        .join()
    this.now += 10
    const answer = { digest: of(first, count), payload: 'bytes', ms: count * this.msPerUnit, part: of }
    this.coordinator.answer(worker, [{ slice, answer }], this.now)
    return lease
  }

  of(worker: string): Lease[] {
    return this.leases.filter(lease => lease.worker === worker)
  }

  /** Everybody answers rightly until a slice of many units is with the worker. */
  warmUp(worker: string): void {
    for (let i = 0; i < 50 && !this.of(worker).some(({ count }) => count > 30); i++) {
      const next = this.leases[0]!
      this.answer(next.worker)
    }
    while (this.of(worker)[0]!.count <= 30) this.answer(worker)
    while (this.of('own').length > 0) this.answer('own')
  }
}

const proven = (checks = 20): Trust => ({ checks, streak: checks, compared: checks, wrong: 0 })

describe('scheduler: audits', () => {
  it('has units of an answer calculated again by this node, drawn after it came, and accepts it when they agree', () => {
    const scene = new Scene({ workers: { w: proven() } })
    scene.submit(0.999)
    scene.warmUp('w')
    const known = scene.accepted.length
    const { first, count } = scene.answer('w')
    assert.equal(scene.accepted.length, known, 'not before the audit')
    const audits = scene.of('own')
    assert.ok(audits.length >= 1)
    for (const audit of audits) {
      assert.equal(audit.count, 1)
      assert.ok(audit.first >= first && audit.first < first + count)
    }
    for (const _ of audits) scene.answer('own')
    assert.equal(scene.accepted.length, known + 1)
    const { paid, assurance } = scene.accepted.at(-1)!
    assert.deepEqual(
      paid.map(({ worker }) => worker),
      ['w']
    )
    assert.equal(assurance.answers, 1)
    assert.equal(assurance.audited, audits.length)
    assert.ok(assurance.credibility >= 0.999)
  })

  it('audits no answer that took less time than the audit would', () => {
    const scene = new Scene({ workers: { w: proven() }, msPerUnit: 0.01 })
    scene.submit(0.99)
    scene.warmUp('w')
    const known = scene.accepted.length
    const { count } = scene.answer('w')
    assert.ok(count > 30)
    assert.deepEqual(scene.of('own'), [])
    assert.equal(scene.accepted.length, known + 1)
    assert.equal(scene.accepted.at(-1)!.assurance.audited, 0)
  })

  it('calculates all of a slice when an audit differs; the cheat is caught and its other results are taken back', () => {
    const scene = new Scene({ workers: { w: proven() } })
    scene.submit(0.99)
    scene.warmUp('w')
    const before = scene.accepted.filter(({ paid }) => paid.some(({ worker }) => worker === 'w'))
    assert.ok(before.length > 0)
    const { first, count } = scene.answer('w', () => true)
    scene.answer('own')
    assert.deepEqual(scene.wrong, [], 'not on the word of one item')
    assert.deepEqual(
      scene.of('own').map(lease => [lease.first, lease.count]),
      [[first, count]]
    )
    scene.answer('own')
    assert.deepEqual(scene.wrong, ['w'])
    assert.deepEqual(
      scene.accepted.at(-1)!.paid.map(({ worker }) => worker),
      ['own']
    )
    assert.equal(scene.trusts.get('w v8 map')!.checks, 0)
    assert.deepEqual(
      scene.retracted.map(({ first }) => first),
      before.map(({ first }) => first)
    )
  })

  it('holds nothing against anybody where the program may keep something: no evidence, no loss of trust', () => {
    const scene = new Scene({ workers: { w: proven() } })
    scene.submit(0.99, 400, false)
    scene.warmUp('w')
    scene.answer('w', () => true)
    scene.answer('own')
    scene.answer('own')
    assert.deepEqual(
      scene.accepted.at(-1)!.paid.map(({ worker }) => worker),
      ['own'],
      "the owner's own answer counts"
    )
    assert.deepEqual(scene.wrong, [])
    assert.deepEqual(scene.retracted, [])
    assert.ok((scene.trusts.get('w v8 map') ?? proven()).checks >= proven().checks)
  })

  it('catches also who leaves before the audit, and takes back what it gave', () => {
    const scene = new Scene({ workers: { w: proven(), v: proven() } })
    scene.submit(0.99)
    scene.warmUp('w')
    scene.answer('w', () => true)
    scene.coordinator.gone('w', scene.now)
    while (scene.wrong.length === 0) scene.answer('own')
    assert.deepEqual(scene.wrong, ['w'])
    assert.equal(scene.trusts.get('w v8 map')!.wrong, 1)
    assert.ok(scene.retracted.length > 0)
  })

  it('lets somebody else answer all of it when this node cannot audit', () => {
    const scene = new Scene({ workers: { w: proven(), v: proven() } })
    scene.submit(0.99)
    scene.warmUp('w')
    const { first } = scene.answer('w')
    const audit = scene.take(lease => lease.worker === 'own')!
    const failure = { name: 'timeout' as const, message: 'too slow' }
    scene.coordinator.answer('own', [{ slice: audit.slice, answer: { failure, ms: 1 } }], scene.now)
    for (let i = 0; i < 20 && !scene.accepted.some(slice => slice.first === first); i++)
      scene.answer(scene.leases.find(lease => lease.worker === 'v')?.worker ?? scene.leases[0]!.worker)
    const { paid, assurance } = scene.accepted.find(slice => slice.first === first)!
    assert.equal(assurance.answers, 2)
    assert.deepEqual(new Set(paid.map(({ worker }) => worker)), new Set(['w', 'v']))
  })

  it('audits nobody without a record: a new name needs a second one', () => {
    const none = { checks: 0, streak: 0, compared: 0, wrong: 0 }
    const scene = new Scene({ workers: { w: none, v: none } })
    scene.submit(0.9)
    for (let i = 0; i < 500 && scene.ended == null; i++) scene.answer(scene.leases[0]!.worker)
    const first = scene.accepted.slice(0, 10)
    assert.ok(first.every(({ assurance }) => assurance.answers === 2 && assurance.audited === 0))
  })
})

describe('scheduler: canaries', () => {
  /** A scene in which each slice is compared, or a canary comes, as the test says. */
  function scene() {
    let roll = 0.5
    const made = new Scene({
      workers: { v: proven(), w: proven(), x: proven() },
      window: 64,
      rolls: () => roll
    })
    const rolls = (next: number): void => {
      roll = next
    }
    // 0: below every chance, so everything is compared and, as soon as a result is known, a canary comes with each slice
    rolls(0)
    made.submit(0.99, 4000)
    let canary: Lease | undefined
    for (let i = 0; i < 200 && canary == null; i++) {
      const known = new Map(made.accepted.map(({ first, paid }) => [first, paid.map(({ worker }) => worker)]))
      canary = made.leases.find(({ first, worker }) => known.has(first) && worker !== 'own')
      if (canary != null)
        assert.ok(!known.get(canary.first)!.includes(canary.worker), 'who knows it gets it again')
      else made.answer(made.leases[0]!.worker)
    }
    assert.ok(canary, 'no canary came')
    rolls(0.9)
    while (made.of(canary.worker)[0] !== canary) made.answer(canary.worker)
    return { made, canary }
  }

  it('pay who gives the known result, and count as a check', () => {
    const { made, canary } = scene()
    const before = made.trusts.get(`${canary.worker} v8 map`) ?? proven()
    const known = made.accepted.length
    made.answer(canary.worker)
    assert.deepEqual(
      made.paid.map(({ worker, first, count }) => ({ worker, first, count })),
      [{ worker: canary.worker, first: canary.first, count: canary.count }]
    )
    assert.equal(made.trusts.get(`${canary.worker} v8 map`)!.streak, before.streak + 1)
    assert.equal(made.accepted.length, known, 'nothing is accepted twice')
  })

  it('catch who gives another, and this node decides that it was not the others', () => {
    const { made, canary } = scene()
    made.answer(canary.worker, () => true)
    assert.deepEqual(made.paid, [])
    for (let i = 0; i < 50 && made.wrong.length === 0; i++) made.answer('own')
    assert.deepEqual(made.wrong, [canary.worker])
    assert.equal(made.trusts.get(`${canary.worker} v8 map`)!.wrong, 1)
    // the job ends with the right results all the same
    for (let i = 0; i < 500 && made.ended == null; i++) {
      made.answer(made.leases[0]!.worker)
      made.coordinator.tick(made.now)
    }
    assert.equal(made.ended, 'completed')
  })
})
