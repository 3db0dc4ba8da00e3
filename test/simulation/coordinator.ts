import type { Failure } from '../../sandbox/index.ts'
import type { Answer } from '../../scheduler/coordinator/contract.ts'
import { createCoordinator } from '../../scheduler/coordinator/coordinator.ts'
import {
  BEHAVIOURS,
  type Behaviour,
  FAILURES,
  type Job,
  type Lease,
  type Worker
} from './coordinator-world.ts'
import { createRandom } from './random.ts'

/**
 * The node's own coordinator against workers that are slow, hung, silent, flapping, refusing, failing, lying, malformed
 * or starved of what others keep, on a virtual clock. What must hold:
 * - liveness: every job ends, because one honest worker is always there, this node itself where it lends
 * - safety: nothing is leased, revoked, accepted or paid but what the protocol allows (see `check`)
 */

const OWN = 'own'
const TICK_MS = 250
const HEARTBEAT_MS = 1000
// A job that has not ended by then never will: longer than every time limit in the coordinator, many times over.
const PATIENCE_MS = 4 * 3_600_000

export interface Run {
  jobs: number
  states: Record<string, number>
  leases: number
  /** units that were found right when this node calculated them again */
  audits: number
  /** right answers to slices that were accepted before */
  canaries: number
  /** slices that were accepted without a result */
  skipped: number
  virtualMs: number
}

/** Runs one scenario. Throws an error that says what was violated; the same seed gives the same run. */
export function simulate(seed: number): Run {
  const random = createRandom(seed)
  const chance = (p: number): boolean => random() < p
  const upTo = (n: number): number => Math.floor(random() * (n + 1))
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T

  let now = 0
  let leases = 0
  let canaries = 0
  let audits = 0
  let skipped = 0
  // a heap would be faster; a sorted insertion is enough for some thousand events
  const events: { at: number; run: () => void }[] = []
  const later = (ms: number, run: () => void): void => {
    const at = now + ms
    let low = 0
    let high = events.length
    while (low < high) {
      const mid = (low + high) >> 1
      if ((events[mid] as { at: number }).at <= at) high = mid
      else low = mid + 1
    }
    events.splice(low, 0, { at, run })
  }

  const workers = new Map<string, Worker>()
  const jobs = new Map<string, Job>()
  const trail: string[] = []
  const note = (text: string): void => {
    trail.push(`${now} ${text}`)
    if (trail.length > 30) trail.shift()
  }
  const check = (holds: boolean, rule: string): void => {
    if (!holds) throw new Error(`seed ${seed}, at ${now} ms: ${rule}\n  ${trail.join('\n  ')}`)
  }

  // who has a record gets audits and canaries from the beginning, whatever it does now
  const record = { checks: 20, streak: 20, compared: 20, wrong: 0 }
  const trust = Array.from({ length: 8 }, (_, i) => `w${i} v8 ${pick(['map', 'range_reduce'])}`)
    .filter(() => chance(0.6))
    .map((key): [string, typeof record] => [key, record])

  // ---- what the coordinator decides ----

  const coordinator = createCoordinator(
    {
      lease({ worker: id, job: jobId, slice, first, count, expectedMs }) {
        note(`lease ${slice} of ${jobId} [${first}, +${count}) to ${id}`)
        leases++
        const worker = workers.get(id)
        const job = jobs.get(jobId) as Job
        check(worker?.connected === true, 'a slice is leased to a worker that is not there')
        check(job.ended == null, 'a slice is leased of a job that has ended')
        check(count >= 1 && first >= 0 && first + count <= job.units, 'a slice lies outside its job')
        check(count <= job.mostUnits, `a slice of ${count} units, ${job.mostUnits} fit into a message`)
        check(Number.isFinite(expectedMs) && expectedMs >= 0, 'the expected time is no number')
        check(!worker!.held.has(slice), 'a slice is leased twice to one worker')
        check(worker!.held.size < worker!.window, 'more slices are leased than the worker’s window')
        check(
          id === OWN || job.allowed?.has(id) !== false,
          'a slice is leased to a worker that may not see it'
        )
        // a canary is the whole of what was accepted, for somebody new
        const before = job.accepted.get(first)
        const isCanary = before?.count === count && !before.workers.has(id)
        check(
          isCanary || !job.done.slice(first, first + count).includes(true),
          'units are leased that were accepted'
        )
        check(
          !(count === 1 && !isCanary && job.failedBy.get(first)?.has(id)),
          'a worker gets a slice again that it failed'
        )
        const lease = { job: jobId, slice, first, count }
        worker!.held.set(slice, lease)
        arrive(worker!, () => begin(worker!, lease))
      },
      revoke({ worker: id, slice }) {
        note(`revoke ${slice} from ${id}`)
        const worker = workers.get(id)
        check(worker?.held.has(slice) === true, 'a slice is revoked from a worker that does not hold it')
        worker!.held.delete(slice)
        arrive(worker!, () => {
          worker!.queue = worker!.queue.filter(lease => lease.slice !== slice)
          worker!.running.delete(slice)
          work(worker!)
        })
      },
      accept({ job: jobId, first, count, payload, paid, assurance: { audited, credibility } }) {
        note(`accept ${jobId} [${first}, +${count}) of ${paid.map(each => each.worker)}`)
        const job = jobs.get(jobId) as Job
        check(job.ended == null, 'a slice is accepted for a job that has ended')
        if (payload === 'malformed') return 'malformed'
        check(typeof payload === 'string', 'a slice is accepted without a result')
        check(!job.done.slice(first, first + count).includes(true), 'a unit is accepted twice')
        check((payload === 'unavailable') === (paid.length === 0), 'nobody is paid for an accepted slice')
        check(payload !== 'unavailable' || job.lost != null, 'a slice is skipped whose inputs are here')
        if (payload === 'unavailable') skipped++
        check(new Set(paid.map(each => each.worker)).size === paid.length, 'a worker is paid twice')
        check(
          paid.every(({ price }) => price >= 0n),
          'a price is negative'
        )
        const sum = paid.reduce((total, { price }) => total + price, 0n)
        job.spent += sum
        audits += audited
        check(job.spent <= job.bound, `${job.spent} is paid, the bound is ${job.bound}`)
        check(credibility >= job.confidence, `accepted at ${credibility}, ${job.confidence} was asked for`)
        const payees = new Set(paid.map(({ worker }) => worker))
        job.accepted.set(first, { count, paid: sum, workers: payees })
        job.done.fill(true, first, first + count)
        return 'stored'
      },
      pay({ job: jobId, first, count, worker, price }) {
        note(`pay ${worker} for ${jobId} [${first}, +${count}) again`)
        const job = jobs.get(jobId) as Job
        const accepted = job.accepted.get(first)
        check(job.ended == null, 'somebody is paid after the end of a job')
        check(accepted?.count === count, 'somebody is paid for a slice that is not accepted')
        check(!accepted!.workers.has(worker), 'a worker is paid twice')
        accepted!.workers.add(worker)
        accepted!.paid += price
        job.spent += price
        check(job.spent <= job.bound, `${job.spent} is paid, the bound is ${job.bound}`)
        canaries++
      },
      retract({ job: jobId, first, count }) {
        note(`retract ${jobId} [${first}, +${count})`)
        const job = jobs.get(jobId) as Job
        const accepted = job.accepted.get(first)
        check(job.ended == null, 'a slice is retracted after the end of its job')
        check(accepted?.count === count, 'a slice is retracted that was not accepted')
        job.spent -= accepted!.paid
        job.accepted.delete(first)
        job.done.fill(false, first, first + count)
      },
      trust() {},
      wake: inMs => later(inMs, () => coordinator.tick(now)),
      evidence({ accepted, wrong }) {
        const right = accepted.some(vote => vote.digest === 'right')
        for (const { worker } of wrong)
          check(
            !right || ['lying', 'malformed', 'confused', 'failing'].includes(workers.get(worker)!.behaviour),
            `${worker} is ${workers.get(worker)!.behaviour} and was found wrong`
          )
      },
      end({ job: jobId, state }) {
        note(`end ${jobId}: ${state}`)
        const job = jobs.get(jobId) as Job
        check(job.ended == null, `a job ends twice: ${job.ended} and ${state}`)
        job.ended = state
        check(
          (state === 'completed') === !job.done.includes(false),
          `${job.done.filter(Boolean).length} of ${job.units} units are accepted, the job is ${state}`
        )
        for (const worker of workers.values())
          for (const lease of worker.held.values())
            check(lease.job !== jobId, `slice ${lease.slice} of an ended job is still leased to ${worker.id}`)
      }
    },
    { random, trust }
  )

  // ---- workers ----

  /** To or from a worker: lost with the connection, else after a delay that keeps the order. */
  const delays = new Map<string, number>()
  function arrive(worker: Worker, run: () => void): void {
    const { epoch } = worker
    const at = Math.max(delays.get(worker.id) ?? 0, now + (worker.id === OWN ? 0 : random() * 40))
    delays.set(worker.id, at)
    later(at - now, () => {
      if (worker.epoch === epoch && worker.connected) run()
    })
  }

  /** A worker's message reaches the coordinator. */
  function say(worker: Worker, hear: () => void): void {
    arrive(worker, () => {
      coordinator.seen(worker.id, now)
      hear()
    })
  }

  function begin(worker: Worker, lease: Lease): void {
    if (worker.behaviour === 'silent') return
    const { lost } = jobs.get(lease.job) as Job
    const isLost =
      lost != null && [...lost].some(unit => unit >= lease.first && unit < lease.first + lease.count)
    // a liar may say so of anything
    if (isLost || (worker.behaviour === 'starved' && lost != null && chance(0.7))) {
      say(worker, () => {
        worker.held.delete(lease.slice)
        coordinator.starved(worker.id, lease.slice, worker.id, now)
      })
      return
    }
    if (worker.behaviour === 'refusing' && chance(0.7)) {
      say(worker, () => {
        worker.held.delete(lease.slice)
        coordinator.refuse(worker.id, [lease.slice], now)
      })
      return
    }
    worker.queue.push(lease)
    work(worker)
  }

  function work(worker: Worker): void {
    if (worker.behaviour === 'hung') return
    while (worker.running.size < worker.slots && worker.queue.length > 0) {
      const lease = worker.queue.shift() as Lease
      worker.running.add(lease.slice)
      const ms = worker.unitMs * lease.count * (0.5 + random())
      const { epoch } = worker
      later(ms, () => {
        if (worker.epoch !== epoch || !worker.running.delete(lease.slice)) return
        say(worker, () => answer(worker, lease, outcome(worker, lease), ms))
        work(worker)
      })
    }
  }

  function outcome(
    worker: Worker,
    { job: jobId, first, count }: Lease
  ): Failure['name'] | 'right' | 'malformed' | 'lie' {
    const job = jobs.get(jobId) as Job
    const units = Array.from({ length: count }, (_, i) => first + i)
    if (worker.behaviour === 'failing' && chance(0.6)) return pick(FAILURES)
    if (units.some(unit => job.throws.has(unit))) return 'threw'
    if (worker.behaviour === 'malformed' && chance(0.5)) return 'malformed'
    if (worker.behaviour === 'lying' && chance(0.3)) return 'lie'
    return 'right'
  }

  function answer(worker: Worker, lease: Lease, result: ReturnType<typeof outcome>, ms: number): void {
    const isFailure = (FAILURES as string[]).includes(result)
    const given: Answer = isFailure
      ? { failure: { name: result as Failure['name'], message: 'simulated' }, ms }
      : {
          digest: result,
          payload: result,
          ms: worker.behaviour === 'lying' ? 0 : ms,
          // a lie is about every third unit
          part: unit => (result === 'lie' && unit % 3 > 0 ? 'right' : result)
        }
    note(`${worker.id} answers ${lease.slice}: ${result}${worker.held.has(lease.slice) ? '' : ', late'}`)
    // what this node fails may have been an audit
    const isAlone = isFailure && result !== 'aborted' && lease.count === 1 && worker.id !== OWN
    if (isAlone && worker.held.has(lease.slice)) {
      const job = jobs.get(lease.job) as Job
      const failed = job.failedBy.get(lease.first) ?? new Set()
      job.failedBy.set(lease.first, failed.add(worker.id))
    }
    worker.held.delete(lease.slice)
    const answers = [{ slice: lease.slice, answer: given }]
    // twice, and for slices that it does not hold or that never were
    if (worker.behaviour === 'confused') answers.push(...answers, { slice: upTo(400), answer: given })
    const mine = answers.filter(({ slice }) => slice === lease.slice || !worker.held.has(slice))
    coordinator.answer(worker.id, mine, now)
  }

  function connect(worker: Worker): void {
    worker.connected = true
    worker.epoch++
    worker.queue = []
    worker.running.clear()
    worker.held.clear()
    const { slots, window, group, id } = worker
    coordinator.offer(
      id,
      { slots, window, group, class: 'v8', own: id === OWN, lastResort: id === OWN && !ownLends },
      now
    )
    if (worker.behaviour === 'flapping') later(500 + random() * 8000, () => disconnect(worker))
  }

  function disconnect(worker: Worker): void {
    if (worker.held.size > 0) note(`${worker.id} is gone`)
    worker.connected = false
    worker.epoch++
    worker.held.clear()
    coordinator.gone(worker.id, now)
    later(200 + random() * 3000, () => connect(worker))
  }

  function heartbeat(worker: Worker): void {
    const holds = worker.queue.length + worker.running.size > 0
    if (worker.connected && holds && worker.behaviour !== 'silent')
      say(worker, () => coordinator.seen(worker.id, now))
    later(HEARTBEAT_MS, () => heartbeat(worker))
  }

  function join(id: string, behaviour: Behaviour): void {
    const slots = 1 + upTo(3)
    const worker: Worker = {
      id,
      behaviour,
      slots,
      window: chance(0.2) ? 1 + upTo(2) : slots * 64,
      group: id !== OWN && chance(0.2) ? 'shared' : undefined,
      unitMs: (behaviour === 'slow' ? 20 : 1) * 10 ** (random() * 3 - 1),
      connected: false,
      epoch: 0,
      queue: [],
      running: new Set(),
      held: new Map()
    }
    workers.set(id, worker)
    later(id === OWN ? 0 : random() * 2000, () => connect(worker))
    heartbeat(worker)
  }

  // ---- jobs ----

  function submit(id: string): void {
    const units = 1 + upTo(chance(0.2) ? 2000 : 60)
    const verification = pick([
      'none',
      { confidence: 0.99 },
      { confidence: 0.9 },
      { confidence: 0.999 }
    ] as const)
    const job: Job = {
      id,
      units,
      mostUnits: chance(0.3) ? 1 + upTo(5) : units,
      bound: BigInt(upTo(chance(0.3) ? 50 : 10_000_000)),
      allowed: chance(0.1)
        ? new Set([...workers.keys()].filter(id => id === 'w0' || chance(0.5)))
        : undefined,
      done: Array.from({ length: units }, () => false),
      accepted: new Map(),
      spent: 0n,
      confidence: typeof verification === 'object' ? verification.confidence : 0,
      throws: new Set(chance(0.1) ? [upTo(units - 1)] : []),
      lost: chance(0.3) ? new Set(chance(0.5) ? [upTo(units - 1)] : []) : undefined,
      failedBy: new Map()
    }
    // what was accepted before a restart
    const before: { first: number; count: number; price: bigint }[] = []
    if (chance(0.2)) {
      for (let first = upTo(3); first < units; first += 1 + upTo(10)) {
        const count = Math.min(1 + upTo(5), units - first)
        const price = job.bound / BigInt(2 * units)
        before.push({ first, count, price })
        job.accepted.set(first, { count, paid: price, workers: new Set() })
        job.done.fill(true, first, first + count)
        job.spent += price
        first += count
      }
    }
    jobs.set(id, job)
    note(`submit ${id} of ${units} units`)
    coordinator.submit(
      {
        id,
        program: pick(['a', 'b', 'c']),
        kind: pick(['map', 'range_reduce']),
        units,
        mostUnits: job.mostUnits,
        priority: pick(['low', 'normal', 'high', 'critical']),
        retries: upTo(4),
        timeoutMs: 30_000,
        verification,
        auditable: chance(0.7),
        bound: job.bound,
        allowed: job.allowed,
        unavailable: job.lost && (() => 'unavailable'),
        accepted: before.reverse()
      },
      now
    )
    // by its owner, or by its deadline
    if (chance(0.28)) later(random() * 15_000, () => coordinator.cancel(id, now))
  }

  const describe = (): string =>
    [...workers.values()].map(({ id, behaviour, held }) => `${id} ${behaviour} holds ${held.size}`).join(', ')

  // ---- run ----

  const ownLends = chance(0.5)
  join(OWN, 'honest')
  const count = Math.max(ownLends ? 0 : 1, upTo(6))
  for (let i = 0; i < count; i++)
    join(`w${i}`, chance(0.4) || (i === 0 && !ownLends) ? 'honest' : pick(BEHAVIOURS))
  const total = 1 + upTo(4)
  for (let i = 0; i < total; i++) later(random() * 8000, () => submit(`job${i}`))
  const tick = (): void => {
    coordinator.tick(now)
    later(TICK_MS, tick)
  }
  tick()
  const isOver = (): boolean => jobs.size === total && [...jobs.values()].every(job => job.ended != null)
  while (!isOver()) {
    const event = events.pop() as { at: number; run: () => void }
    now = event.at
    event.run()
    const open = [...jobs.values()].filter(job => job.ended == null).map(job => job.id)
    check(now < PATIENCE_MS, `${open} did not end; workers: ${describe()}`)
  }
  const states: Record<string, number> = {}
  for (const { ended } of jobs.values()) states[ended as string] = (states[ended as string] ?? 0) + 1
  return { jobs: total, states, leases, audits, canaries, skipped, virtualMs: now }
}

/** `npm run simulate -- coordinator [--seeds N] [--seed S]`: prints the first violation with its seed. */
export async function run({
  seeds = 1000,
  seed = 1
}: {
  seeds?: number
  seed?: number
} = {}): Promise<boolean> {
  const states: Record<string, number> = {}
  let leases = 0
  let canaries = 0
  let audits = 0
  let skipped = 0
  for (let each = seed; each < seed + seeds; each++) {
    try {
      const done = simulate(each)
      leases += done.leases
      audits += done.audits
      canaries += done.canaries
      skipped += done.skipped
      for (const [state, count] of Object.entries(done.states)) states[state] = (states[state] ?? 0) + count
    } catch (error) {
      console.error(
        `${(error as Error).stack}\nreplay: npm run simulate -- coordinator --seeds 1 --seed ${each}`
      )
      return false
    }
  }
  console.log(
    `${seeds} seeds from ${seed}, ${leases} leases, ${audits} audits, ${canaries} canaries, ${skipped} skipped, jobs by state: ${JSON.stringify(states)}`
  )
  return true
}
