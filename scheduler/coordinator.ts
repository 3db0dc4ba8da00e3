import type { Failure } from '../sandbox/index.ts'
import { backlog, hasRoom, sliceUnits, TARGET_SLICE_MS } from './place.ts'
import { priceOf } from './price.ts'
import type { TaskSpec } from './spec.ts'

/**
 * The life of jobs and leases, as plain decisions: events and the time come in, actions go out. No clock, no
 * randomness, no input or output, so that a seeded simulation runs the same code as a node.
 */

// A worker that leases and says nothing for this long is taken for gone; its heartbeat comes every second.
export const SILENT_MS = 4000
// Speculation: after this share of a job, a slice that runs this many times the median is leased twice.
const SPECULATE_AFTER = 0.75
const SPECULATE_FACTOR = 1.5
const SPECULATE_MIN_MS = 250
// A slice that vanished with this many workers probably ended them.
const MAX_LOSSES = 8
// A worker that refused is asked again after this long, twice as long after every further refusal.
const REFUSED_BACKOFF_MS = 500
const REFUSED_BACKOFF_MAX_MS = 30_000
// Programs and workers whose speed is remembered.
const MAX_RATES = 10_000
// What a measurement is worth after the next one: rates follow a machine that gets busy within a few slices.
const RATE_MEMORY = 0.7

export interface WorkerOffer {
  slots: number
  window: number
}

/** What the coordinator must know of a job to place it. */
export interface JobInit {
  id: string
  /** function class: rates measured for it serve later jobs as well */
  program: string
  units: number
  /** most units of one slice, so that a message stays small */
  mostUnits: number
  priority: TaskSpec['priority']
  retries: number
  timeoutMs: number
  /** workers that must agree on every slice */
  quorum: number
  bound: bigint
  /** the only workers that may see it; undefined = all */
  allowed?: ReadonlySet<string>
  /** ms on the clock of `now`; undefined = none */
  deadline?: number
  /** intervals that were accepted before a restart */
  accepted?: { first: number; count: number; price: bigint }[]
}

/** An answer as the coordinator weighs it. `digest` stands for the value: equal digests, equal bytes. */
export type Answer = { digest: string; payload: unknown; ms: number } | { failure: Failure; ms: number }

export interface Accepted {
  job: string
  first: number
  count: number
  payload: unknown
  /** who is paid what */
  paid: { worker: string; price: bigint }[]
}

export interface Effects {
  lease(lease: {
    worker: string
    job: string
    slice: number
    first: number
    count: number
    expectedMs: number
  }): void
  revoke(revoked: { worker: string; job: string; slice: number }): void
  /** Stores an accepted slice. false when the payload is malformed: then it counts as a wrong answer. */
  accept(accepted: Accepted): boolean
  /** The job came to its end; nothing of it is leased any more. */
  end(ended: {
    job: string
    state: 'completed' | 'failed' | 'cancelled' | 'expired'
    failure?: Failure
    first?: number
  }): void
}

interface Interval {
  first: number
  count: number
  failures: number
  losses: number
  /** workers that failed it and do not get it again */
  tried: Set<string>
}

interface Lease {
  worker: string
  at: number
  expectedMs: number
}

interface Slice extends Interval {
  id: number
  job: JobEntry
  leases: Map<string, Lease>
  votes: Map<string, { worker: string; payload: unknown; ms: number }[]>
}

interface JobEntry extends JobInit {
  order: number
  /** units from here on were never leased */
  cursor: number
  returned: Interval[]
  slices: Map<number, Slice>
  done: number
  spent: bigint
  retried: number
  durations: number[]
}

interface WorkerEntry extends WorkerOffer {
  id: string
  lastSeen: number
  silent: boolean
  refusals: number
  pausedUntil: number
  outstanding: Map<number, Lease>
  outstandingMs: number
  accepted: number
  failed: number
}

const PRIORITIES = ['critical', 'high', 'normal', 'low'] as const

export function createCoordinator(effects: Effects) {
  const workers = new Map<string, WorkerEntry>()
  const jobs = new Map<string, JobEntry>()
  const slices = new Map<number, Slice>()
  /** jobs with units to lease, in the order of submission */
  const ready = new Map(PRIORITIES.map(priority => [priority, new Set<JobEntry>()]))
  /** slices that need one more worker than hold or answered them */
  const short = new Set<Slice>()
  /** measured time by program, and by program and worker */
  const rates = new Map<string, { ms: number; units: number }>()
  let nextSlice = 1
  let nextOrder = 1

  /** expected ms per unit, and how many units that was measured on */
  function rateOf(job: JobEntry, worker?: string): { rate: number; measured: number } | undefined {
    const known =
      (worker == null ? undefined : rates.get(`${job.program} ${worker}`)) ?? rates.get(job.program)
    return known && { rate: Math.max(known.ms / known.units, 1e-6), measured: known.units }
  }

  function learn(job: JobEntry, worker: string, ms: number, units: number): void {
    for (const key of [job.program, `${job.program} ${worker}`]) {
      const old = rates.get(key) ?? { ms: 0, units: 0 }
      // the oldest measurement goes first: insertion order is order of use
      rates.delete(key)
      rates.set(key, { ms: old.ms * RATE_MEMORY + ms, units: old.units * RATE_MEMORY + units })
    }
    while (rates.size > MAX_RATES) rates.delete(rates.keys().next().value as string)
  }

  // ---- leases ----

  function lease(slice: Slice, worker: WorkerEntry, now: number): void {
    const rate = rateOf(slice.job, worker.id)
    const entry = {
      worker: worker.id,
      at: now,
      expectedMs: rate == null ? TARGET_SLICE_MS : rate.rate * slice.count
    }
    slice.leases.set(worker.id, entry)
    worker.outstanding.set(slice.id, entry)
    worker.outstandingMs += entry.expectedMs
    effects.lease({
      worker: worker.id,
      job: slice.job.id,
      slice: slice.id,
      first: slice.first,
      count: slice.count,
      expectedMs: entry.expectedMs
    })
  }

  /** Takes the lease from the worker's account. */
  function release(slice: Slice, workerId: string): Lease | undefined {
    const entry = slice.leases.get(workerId)
    if (entry == null) return
    slice.leases.delete(workerId)
    const worker = workers.get(workerId)
    if (worker?.outstanding.delete(slice.id))
      worker.outstandingMs = Math.max(0, worker.outstandingMs - entry.expectedMs)
    return entry
  }

  function drop(slice: Slice, revoke: boolean): void {
    for (const worker of [...slice.leases.keys()]) {
      release(slice, worker)
      if (revoke) effects.revoke({ worker, job: slice.job.id, slice: slice.id })
    }
    slices.delete(slice.id)
    short.delete(slice)
    slice.job.slices.delete(slice.id)
  }

  /** Keeps `short` true after a lease or vote of the slice came or went. */
  function review(slice: Slice): void {
    const best = Math.max(0, ...[...slice.votes.values()].map(group => group.length))
    if (best + slice.leases.size < slice.job.quorum && slices.has(slice.id)) short.add(slice)
    else short.delete(slice)
  }

  /** Gives the slice's units back to be leased again, whole or in halves. */
  function giveBack(slice: Slice, halves = false): void {
    const { job, first, count, failures, losses, tried } = slice
    drop(slice, true)
    ready.get(job.priority)!.add(job)
    if (!halves) job.returned.push({ first, count, failures, losses, tried })
    else {
      const left = Math.floor(count / 2)
      job.returned.push({
        first: first + left,
        count: count - left,
        failures: 0,
        losses: 0,
        tried: new Set()
      })
      job.returned.push({ first, count: left, failures: 0, losses: 0, tried: new Set() })
    }
  }

  // ---- jobs ----

  function finish(
    job: JobEntry,
    state: 'completed' | 'failed' | 'cancelled' | 'expired',
    failure?: Failure,
    first?: number
  ): void {
    for (const slice of [...job.slices.values()]) drop(slice, true)
    jobs.delete(job.id)
    ready.get(job.priority)!.delete(job)
    effects.end({ job: job.id, state, failure, first })
  }

  function priceOfSlice(job: JobEntry, count: number): bigint {
    const ms = (rateOf(job)?.rate ?? 0) * count
    const fair = priceOf(ms, job.priority)
    // every unit has its share of the bound, for each worker that must agree: so the sum never exceeds it
    const share = (job.bound * BigInt(count)) / BigInt(job.units * job.quorum)
    return fair < share ? fair : share
  }

  function answered(slice: Slice, workerId: string, answer: Answer, now: number): void {
    const { job } = slice
    const entry = release(slice, workerId)
    const worker = workers.get(workerId)
    if (entry == null || worker == null) return
    if ('failure' in answer) {
      worker.failed++
      failed(slice, workerId, answer.failure)
      return
    }
    // a worker's own meter is believed only below what was seen from here
    const ms = Math.max(1e-3, Math.min(answer.ms, now - entry.at))
    learn(job, workerId, ms, slice.count)
    const group = slice.votes.get(answer.digest) ?? []
    group.push({ worker: workerId, payload: answer.payload, ms: now - entry.at })
    slice.votes.set(answer.digest, group)
    if (group.length >= job.quorum) settle(slice, group)
    else review(slice)
  }

  function settle(slice: Slice, group: { worker: string; payload: unknown; ms: number }[]): void {
    const { job } = slice
    const price = priceOfSlice(job, slice.count)
    const paid = group.slice(0, job.quorum).map(({ worker }) => ({ worker, price }))
    const accepted = effects.accept({
      job: job.id,
      first: slice.first,
      count: slice.count,
      payload: group[0]!.payload,
      paid
    })
    if (!accepted) {
      slice.votes.clear()
      for (const { worker } of group) slice.tried.add(worker)
      failed(slice, group[0]!.worker, {
        name: 'invalid-result',
        message: 'the result is not of the form that was asked for'
      })
      return
    }
    for (const { worker } of group) {
      const entry = workers.get(worker)
      if (entry != null) entry.accepted++
    }
    job.done += slice.count
    job.spent += price * BigInt(paid.length)
    job.durations.push(group[0]!.ms)
    if (job.durations.length > 101) job.durations.shift()
    drop(slice, true)
    if (job.done === job.units) finish(job, 'completed')
  }

  function failed(slice: Slice, workerId: string, failure: Failure): void {
    const { job } = slice
    job.retried++
    slice.tried.add(workerId)
    if (failure.name === 'wall-missing' || failure.name === 'aborted') {
      // not the code's fault: somebody else
      returnOrReview(slice)
      return
    }
    slice.failures++
    if (slice.count > 1 && failure.name !== 'threw') {
      giveBack(slice, true)
      return
    }
    const others = [...workers.values()].some(
      worker => !worker.silent && worker.slots > 0 && mayRun(job, worker) && !slice.tried.has(worker.id)
    )
    if (slice.failures > job.retries || !others) finish(job, 'failed', failure, slice.first)
    else returnOrReview(slice)
  }

  function returnOrReview(slice: Slice): void {
    if (slice.leases.size === 0 && slice.votes.size === 0) giveBack(slice)
    else review(slice)
  }

  function lost(slice: Slice, workerId: string): void {
    release(slice, workerId)
    slice.job.retried++
    slice.losses++
    if (slice.losses > MAX_LOSSES)
      finish(
        slice.job,
        'failed',
        {
          name: 'aborted',
          message: `${slice.losses} workers were lost while they ran this slice; it may exhaust their memory`
        },
        slice.first
      )
    else returnOrReview(slice)
  }

  /** The worker is out of reach: its slices go to others. */
  function loseAll(worker: WorkerEntry): void {
    for (const id of [...worker.outstanding.keys()]) {
      const slice = slices.get(id)
      if (slice != null) lost(slice, worker.id)
    }
  }

  // ---- placement ----

  function place(now: number): void {
    const free = [...workers.values()].filter(worker => isFree(worker, now))
    if (free.length === 0) return
    for (const slice of short) {
      if (free.length === 0) return
      replicate(slice, free, now)
    }
    const slots = [...workers.values()].reduce((sum, worker) => sum + (worker.silent ? 0 : worker.slots), 0)
    for (const queue of ready.values()) {
      for (const job of queue) {
        while (free.length > 0) {
          const next = cut(job, free, slots)
          if (next == null) break
          const slice: Slice = { ...next.interval, id: nextSlice++, job, leases: new Map(), votes: new Map() }
          slices.set(slice.id, slice)
          job.slices.set(slice.id, slice)
          lease(slice, next.worker, now)
          if (!isFree(next.worker, now)) free.splice(free.indexOf(next.worker), 1)
          review(slice)
          if (short.has(slice)) replicate(slice, free, now)
        }
        if (job.cursor === job.units && job.returned.length === 0) queue.delete(job)
        if (free.length === 0) return
      }
    }
  }

  const mayRun = (job: JobEntry, worker: WorkerEntry): boolean =>
    job.allowed == null || job.allowed.has(worker.id)

  const isFree = (worker: WorkerEntry, now: number): boolean =>
    !worker.silent && now >= worker.pausedUntil && hasRoom(view(worker))

  const view = (worker: WorkerEntry) => ({
    slots: worker.slots,
    window: worker.window,
    outstanding: worker.outstanding.size,
    outstandingMs: worker.outstandingMs
  })

  const least = (candidates: WorkerEntry[]): WorkerEntry | undefined =>
    candidates.reduce<WorkerEntry | undefined>(
      (best, worker) => (best == null || backlog(view(worker)) < backlog(view(best)) ? worker : best),
      undefined
    )

  /** The next interval of the job and the worker for it: returned units first. */
  function cut(
    job: JobEntry,
    everyone: WorkerEntry[],
    slots: number
  ): { interval: Interval; worker: WorkerEntry } | undefined {
    const free = everyone.filter(worker => mayRun(job, worker))
    for (let i = job.returned.length - 1; i >= 0; i--) {
      const interval = job.returned[i]!
      const worker = least(free.filter(candidate => !interval.tried.has(candidate.id)))
      if (worker == null) continue
      job.returned.splice(i, 1)
      return { interval, worker }
    }
    const left = job.units - job.cursor
    const worker = least(free)
    if (left === 0 || worker == null) return
    const known = rateOf(job, worker.id)
    // until the first answer, one probe per slot is enough
    if (known == null && job.slices.size >= slots) return
    const count = known == null ? 1 : sliceUnits({ ...known, left, slots, most: job.mostUnits })
    const first = job.cursor
    job.cursor += count
    return { interval: { first, count, failures: 0, losses: 0, tried: new Set() }, worker }
  }

  /** One more lease of a slice, on a worker that has nothing to do with it yet. */
  function replicate(slice: Slice, free: WorkerEntry[], now: number): void {
    const voted = new Set([...slice.votes.values()].flat().map(vote => vote.worker))
    const worker = least(
      free.filter(
        worker =>
          mayRun(slice.job, worker) &&
          !slice.leases.has(worker.id) &&
          !slice.tried.has(worker.id) &&
          !voted.has(worker.id)
      )
    )
    if (worker == null) return
    lease(slice, worker, now)
    if (!isFree(worker, now)) free.splice(free.indexOf(worker), 1)
    review(slice)
  }

  /** Leases late slices a second time to workers that have nothing else to do. */
  function speculate(now: number): void {
    for (const job of jobs.values()) {
      if (job.cursor < job.units || job.returned.length > 0 || job.done < job.units * SPECULATE_AFTER)
        continue
      const sorted = [...job.durations].sort((a, b) => a - b)
      const late = Math.max(SPECULATE_MIN_MS, (sorted[sorted.length >> 1] ?? 0) * SPECULATE_FACTOR)
      for (const slice of job.slices.values()) {
        const idle = [...workers.values()].filter(
          worker => worker.outstanding.size === 0 && isFree(worker, now)
        )
        if (idle.length === 0) return
        if (slice.leases.size === 1 && [...slice.leases.values()].every(entry => now - entry.at > late))
          replicate(slice, idle, now)
      }
    }
  }

  // ---- events ----

  return {
    submit(init: JobInit, now: number): void {
      const accepted = [...(init.accepted ?? [])].sort((a, b) => a.first - b.first)
      const job: JobEntry = {
        ...init,
        order: nextOrder++,
        cursor: 0,
        returned: [],
        slices: new Map(),
        done: 0,
        spent: 0n,
        retried: 0,
        durations: []
      }
      for (const { first, count, price } of accepted) {
        if (first > job.cursor)
          job.returned.push({
            first: job.cursor,
            count: first - job.cursor,
            failures: 0,
            losses: 0,
            tried: new Set()
          })
        job.cursor = first + count
        job.done += count
        job.spent += price
      }
      jobs.set(job.id, job)
      if (job.done === job.units) {
        finish(job, 'completed')
        return
      }
      ready.get(job.priority)!.add(job)
      place(now)
    },

    cancel(id: string, now: number): void {
      const job = jobs.get(id)
      if (job == null) return
      finish(job, 'cancelled')
      place(now)
    },

    /** A worker came, or changed its offer. */
    offer(id: string, offer: WorkerOffer, now: number): void {
      const worker = workers.get(id)
      if (worker != null)
        Object.assign(worker, { slots: offer.slots, window: offer.window, lastSeen: now, silent: false })
      else
        workers.set(id, {
          ...offer,
          id,
          lastSeen: now,
          silent: false,
          refusals: 0,
          pausedUntil: 0,
          outstanding: new Map(),
          outstandingMs: 0,
          accepted: 0,
          failed: 0
        })
      place(now)
    },

    /** The connection to a worker ended. */
    gone(id: string, now: number): void {
      const worker = workers.get(id)
      if (worker == null) return
      workers.delete(id)
      loseAll(worker)
      place(now)
    },

    /** Anything was heard from the worker. */
    seen(id: string, now: number): void {
      const worker = workers.get(id)
      if (worker == null) return
      worker.lastSeen = now
      worker.silent = false
    },

    /** Answers of one worker. One for a slice that it does not hold changes nothing. */
    answer(worker: string, answers: { slice: number; answer: Answer }[], now: number): void {
      for (const { slice, answer } of answers) {
        const entry = slices.get(slice)
        if (entry?.leases.has(worker)) answered(entry, worker, answer, now)
      }
      const from = workers.get(worker)
      if (from != null) from.refusals = 0
      place(now)
    },

    /** The worker does not take these slices; they go to others. */
    refuse(worker: string, refused: number[], now: number): void {
      const entry = workers.get(worker)
      if (entry == null) return
      entry.pausedUntil = now + Math.min(REFUSED_BACKOFF_MAX_MS, REFUSED_BACKOFF_MS * 2 ** entry.refusals++)
      for (const id of refused) {
        const slice = slices.get(id)
        if (slice != null && release(slice, worker) != null) returnOrReview(slice)
      }
      place(now)
    },

    /** Time passes: silent workers, deadlines, late slices. */
    tick(now: number): void {
      for (const worker of workers.values()) {
        if (worker.outstanding.size === 0 || worker.silent || now - worker.lastSeen <= SILENT_MS) continue
        worker.silent = true
        for (const id of worker.outstanding.keys())
          effects.revoke({ worker: worker.id, job: slices.get(id)!.job.id, slice: id })
        loseAll(worker)
      }
      for (const job of [...jobs.values()])
        if (job.deadline != null && now >= job.deadline) finish(job, 'expired')
      place(now)
      speculate(now)
    },

    /** a slice that is leased or waits for a vote */
    slice(id: number) {
      const slice = slices.get(id)
      return slice && { job: slice.job.id, first: slice.first, count: slice.count, quorum: slice.job.quorum }
    },

    progress(id: string) {
      const job = jobs.get(id)
      if (job == null) return
      const holders = new Set([...job.slices.values()].flatMap(slice => [...slice.leases.keys()]))
      return {
        done: job.done,
        total: job.units,
        workers: holders.size,
        retries: job.retried,
        paid: job.spent
      }
    },

    worker(id: string) {
      const worker = workers.get(id)
      return worker == null
        ? undefined
        : { leased: worker.outstanding.size, accepted: worker.accepted, failed: worker.failed }
    },

    get busy(): boolean {
      return jobs.size > 0
    }
  }
}

export type Coordinator = ReturnType<typeof createCoordinator>
