import { strict as assert } from 'node:assert'
import type { Effects, JobInit, WorkerOffer } from '../../scheduler/coordinator/contract.ts'
import { createCoordinator } from '../../scheduler/coordinator/coordinator.ts'
import { createRates } from '../../scheduler/coordinator/measured-rates.ts'
import { sliceUnits } from '../../scheduler/coordinator/slice-size.ts'
import { createRuns, type RunsComponents, type RunsInit } from '../../scheduler/jobs/running-jobs.ts'

const jobOf = (id: string, more: Partial<JobInit> = {}): JobInit => ({
  id,
  program: 'p',
  units: 1,
  mostUnits: 1,
  priority: 'normal',
  retries: 0,
  timeoutMs: 60_000,
  verification: 'none',
  kind: 'map',
  bound: 1_000_000n,
  ...more
})

describe('scheduler: placement by what workers take', () => {
  it('leases nothing to workers that do not serve the task', () => {
    const leased: string[] = []
    const effects: Partial<Effects> = { lease: ({ worker }) => void leased.push(worker) }
    const coordinator = createCoordinator(effects as Effects, { random: () => 0.5 })
    const serves = { slots: 1, ramMb: 512, tags: [] }
    const offers: [string, WorkerOffer['serves']][] = [
      ['other type', { ...serves, types: ['matrix'] }],
      ['little memory', { ...serves, ramMb: 128 }],
      ['able', { ...serves, types: ['map'] }]
    ]
    for (const [id, serves] of offers) coordinator.offer(id, { slots: 1, window: 10, serves }, 0)
    coordinator.submit(jobOf('job', { units: 10, mostUnits: 10, needs: { type: 'map', ramMb: 256 } }), 0)
    assert.deepEqual(new Set(leased), new Set(['able']))
  })

  it('leases to a worker again that lent nothing when it answered, and says that it took no time', () => {
    const leased: number[] = []
    const effects: Partial<Effects> = {
      lease: ({ slice }) => void leased.push(slice),
      accept: () => 'stored',
      end() {},
      wake() {}
    }
    const coordinator = createCoordinator(effects as Effects, { random: () => 0.5 })
    for (let now = 0; now < 5; now++) {
      coordinator.offer('w', { slots: 1, window: 10 }, now)
      coordinator.submit(jobOf(`job ${now}`), now)
      assert.equal(leased.length, now + 1)
      coordinator.offer('w', { slots: 0, window: 0 }, now)
      const answer = { digest: 'right', payload: 'result', bytes: 9, ms: 0 }
      coordinator.answer('w', [{ slice: leased.at(-1)!, answer }], now)
    }
  })

  it('asks a worker again half a second after it refused, however many slices it had been sent before', () => {
    const leased: number[] = []
    const effects: Partial<Effects> = { lease: ({ slice }) => void leased.push(slice), wake() {} }
    const coordinator = createCoordinator(effects as Effects, { random: () => 0.5 })
    coordinator.offer('w', { slots: 8, window: 64 }, 0)
    coordinator.submit(jobOf('job', { units: 8 }), 0)
    assert.equal(leased.length, 8)
    for (const slice of [...leased]) coordinator.refuse('w', [slice], 1)
    coordinator.tick(500)
    assert.equal(leased.length, 8)
    coordinator.tick(501)
    assert.equal(leased.length, 16)
  })

  it('leases large programs one after the other where they do not have room together, in the order of their jobs', () => {
    const leased: { job: string; slice: number }[] = []
    const effects: Partial<Effects> = {
      lease: lease => void leased.push(lease),
      accept: () => 'stored',
      end() {},
      wake() {}
    }
    const coordinator = createCoordinator(effects as Effects, { random: () => 0.5 })
    coordinator.offer('w', { slots: 2, window: 64 }, 0)
    const large = (program: string): Partial<JobInit> => ({ load: { program, bytes: 20 * 2 ** 20 } })
    coordinator.submit(jobOf('first', large('a')), 0)
    coordinator.submit(jobOf('other', large('b')), 0)
    // it would go beside the first for ever, one slice after the other
    coordinator.submit(jobOf('same', large('a')), 0)
    coordinator.submit(jobOf('small', { load: { program: 'c', bytes: 1000 } }), 0)
    const jobs = (): string[] => leased.map(({ job }) => job)
    assert.deepEqual(jobs(), ['first', 'small'])
    const answer = { digest: 'right', payload: 'result', bytes: 9, ms: 1 }
    coordinator.answer('w', [{ slice: leased[1]!.slice, answer }], 1)
    assert.deepEqual(jobs(), ['first', 'small'])
    coordinator.answer('w', [{ slice: leased[0]!.slice, answer }], 2)
    assert.deepEqual(jobs(), ['first', 'small', 'other'])
    coordinator.answer('w', [{ slice: leased[2]!.slice, answer }], 3)
    assert.deepEqual(jobs(), ['first', 'small', 'other', 'same'])
  })

  it('leases a small job to others while what this node has begun takes longer than it should', () => {
    const leased: { worker: string; slice: number }[] = []
    const effects: Partial<Effects> = {
      lease: lease => void leased.push(lease),
      accept: () => 'stored',
      end() {},
      wake() {}
    }
    const coordinator = createCoordinator(effects as Effects, { random: () => 0.5 })
    for (const id of ['home', 'w']) coordinator.offer(id, { slots: 1, window: 10, own: id === 'home' }, 0)
    const submit = (id: string, now: number): void => coordinator.submit(jobOf(id), now)
    const answer = { digest: 'right', payload: 'result', bytes: 9, ms: 1 }
    submit('measures', 0)
    coordinator.answer('home', [{ slice: leased.at(-1)!.slice, answer }], 1)
    submit('hangs', 2)
    assert.deepEqual(
      leased.map(({ worker }) => worker),
      ['home', 'home']
    )
    submit('small', 5000)
    assert.deepEqual(leased.at(-1)!.worker, 'w')
  })

  it('gives what waits here behind longer work than was thought to a worker that has nothing to do', () => {
    const leased: { worker: string; slice: number; job: string }[] = []
    const revoked: { worker: string; slice: number }[] = []
    const effects: Partial<Effects> = {
      lease: lease => void leased.push(lease),
      revoke: each => void revoked.push(each),
      accept: () => 'stored',
      end() {},
      wake() {}
    }
    const coordinator = createCoordinator(effects as Effects, { random: () => 0.5 })
    coordinator.offer('home', { slots: 1, window: 10, own: true }, 0)
    coordinator.submit(jobOf('measures'), 0)
    const answer = { digest: 'right', payload: 'result', bytes: 9, ms: 1 }
    coordinator.answer('home', [{ slice: leased.at(-1)!.slice, answer }], 1)
    coordinator.submit(jobOf('begun'), 2)
    coordinator.submit(jobOf('waits'), 2)
    coordinator.offer('w', { slots: 1, window: 10 }, 3)
    assert.deepEqual(
      leased.map(({ worker }) => worker),
      ['home', 'home', 'home']
    )
    for (let now = 250; now <= 1000; now += 250) coordinator.tick(now)
    assert.deepEqual(
      revoked.map(({ slice }) => slice),
      [leased[2]!.slice]
    )
    const { worker, job } = leased.at(-1)!
    assert.deepEqual([leased.length, worker, job], [4, 'w', 'waits'])
  })

  it('does not do here what is late elsewhere while its inputs are calculated again', () => {
    const leased: { worker: string; slice: number }[] = []
    const effects: Partial<Effects> = {
      lease: lease => void leased.push(lease),
      accept: () => 'stored',
      end() {},
      wake() {}
    }
    const coordinator = createCoordinator(effects as Effects, { random: () => 0.5 })
    let isWaiting = false
    coordinator.offer('w', { slots: 1, window: 10 }, 0)
    coordinator.submit(jobOf('job', { isWaiting: () => isWaiting }), 0)
    isWaiting = true
    coordinator.offer('home', { slots: 1, window: 10, own: true }, 1)
    const tick = (until: number, from = 0): void => {
      for (let now = from; now <= until; now += 250) {
        coordinator.seen('w', now)
        coordinator.tick(now)
      }
    }
    tick(2000)
    assert.deepEqual(
      leased.map(({ worker }) => worker),
      ['w']
    )
    isWaiting = false
    tick(4000, 2250)
    assert.deepEqual(
      leased.map(({ worker }) => worker),
      ['w', 'home']
    )
  })

  it('does not believe one worker how long a program takes at others', () => {
    const rates = createRates()
    const slice = { units: 10, bytes: 10 }
    for (const worker of ['a', 'b', 'c']) rates.learn('p', worker, { ...slice, ms: 100 })
    for (let i = 0; i < 20; i++) rates.learn('p', 'liar', { ...slice, ms: 1e-3 })
    assert.equal(rates.of('p', 'new')!.rate, 10)
    assert.equal(rates.of('p')!.rate, 10)
    assert.ok(rates.of('p', 'liar')!.rate < 1)
  })

  it('cuts no large slices of what took long before, though the last units took no time', () => {
    const rates = createRates()
    for (let i = 0; i < 100; i++) rates.learn('p', 'w', { units: 1000, bytes: 8, ms: i < 60 ? 1000 : 10 })
    const { rate, cautious, ...known } = rates.of('p', 'w')!
    assert.ok(rate < 0.011 && cautious > 0.1)
    // as the edge of a picture says little of its middle: two workers share a million units evenly, whatever they take
    const units = sliceUnits({ ...known, rate: cautious, left: 1e6, slots: 2, most: 1e6 })
    assert.ok(units <= 1e6 / 32, `${units}`)
    // what is short anyway is not cut finer than workers need to stay busy
    assert.equal(sliceUnits({ ...known, rate: 0.01, left: 8000, slots: 2, most: 1e6 }), 2000)
  })

  it('wakes nobody once the scheduler has stopped: links end after it, and the store is closed', () => {
    const stopping = new AbortController()
    const runs = createRuns(
      { signal: stopping.signal } as RunsInit,
      { store: { trusts: () => [] } } as unknown as RunsComponents
    )
    const timers = (): number => process.getActiveResourcesInfo().filter(each => each === 'Timeout').length
    const before = timers()
    stopping.abort()
    runs.stop()
    const { coordinator } = runs
    for (const id of ['home', 'w'])
      coordinator.offer(id, { slots: 1, window: 1, own: id === 'home' }, Date.now())
    coordinator.refuse('home', [], Date.now())
    coordinator.submit(jobOf('job'), Date.now())
    assert.equal(timers(), before)
  })
})
