import type { Failure } from '../../sandbox/index.ts'
import type { Why } from '../contract.ts'
import { TARGET_SLICE_MS } from '../market/match.ts'
import { priceOf } from '../market/price.ts'
import type { Effects } from './contract.ts'
import { aheadMs } from './expected-end.ts'
import type { CoordinatorState, Interval, JobEntry, Lease, Slice, WorkerEntry } from './state.ts'

// What the first slice of unknown code is paid as: its own time is not known before it was run.
const PROBE_MS = 10

/** Slices and who holds them: the accounts of workers and jobs stay right whatever comes or goes. */
export function createLeases(
  { workers, workerOf, jobs, begun, slices, ready, short, audits, rates, links }: CoordinatorState,
  effects: Pick<Effects, 'lease' | 'revoke' | 'end'>,
  firstSlice: number
) {
  let nextSlice = firstSlice

  function lease(slice: Slice, worker: WorkerEntry, now: number, why: Why): void {
    const rate = rates.of(slice.job.program, worker.id)
    const expectedMs = rate == null ? TARGET_SLICE_MS : rate.rate * slice.count
    const { ms: travelMs, bytes } = travel(slice, worker)
    const ahead = aheadMs({
      slots: worker.slots,
      outstanding: worker.outstanding.size,
      outstandingMs: heldMs(worker)
    })
    const entry = {
      worker: worker.id,
      at: now,
      expectedMs,
      // the bytes of one slice travel while another is calculated
      busyMs: Math.max(expectedMs, travelMs),
      endMs: ahead + travelMs + expectedMs,
      bytes,
      guess: rate == null ? { program: slice.job.program, count: slice.count } : undefined,
      price: priceOfSlice(slice.job, slice.count, worker)
    }
    slice.job.committed += entry.price
    slice.leases.set(worker.id, entry)
    // silence counts from the first lease on: who has nothing to do says nothing
    if (worker.outstanding.size === 0) worker.lastSeen = now
    worker.outstanding.set(slice.id, entry)
    worker.outstandingMs += entry.busyMs
    effects.lease({
      worker: worker.id,
      job: slice.job.id,
      slice: slice.id,
      first: slice.first,
      count: slice.count,
      // the time that the price is for: a worker with a minimum compares the two
      expectedMs: rate == null ? PROBE_MS : entry.expectedMs,
      price: entry.price,
      why
    })
  }

  /** What has to travel for units of a job to be done by this worker: bytes of inputs, and ms with the results. */
  function travel(
    { job, count, holders }: Pick<Slice, 'job' | 'count' | 'holders'>,
    { id, own }: WorkerEntry
  ): { ms: number; bytes: number } {
    const isThere = holders?.includes(id) ?? own === true
    const once = own || rates.knows(job.program, id) ? 0 : (job.onceBytes ?? 0)
    const bytes = once + (isThere ? 0 : count * (job.unitBytes ?? 0))
    if (own && isThere) return { ms: 0, bytes }
    const results = own ? 0 : count * (rates.of(job.program)?.bytes ?? 0)
    return { ms: links.of(id, bytes + results), bytes }
  }

  /** ms of a lease as its program is measured now, if it was a guess */
  const corrected = ({ guess }: Lease, ms: number): number => {
    const known = guess && rates.of(guess.program)
    return known == null ? ms : ms - TARGET_SLICE_MS + known.rate * guess!.count
  }

  /** ms of work that a worker holds */
  const heldMs = ({ outstanding, outstandingMs }: WorkerEntry): number =>
    [...outstanding.values()].reduce(
      (sum, lease) => sum + corrected(lease, lease.busyMs) - lease.busyMs,
      outstandingMs
    )

  /** When the answer is expected. */
  const expectedAt = (lease: Lease): number => lease.at + corrected(lease, lease.endMs)

  /** Takes the lease from the worker's account. */
  function release(slice: Slice, workerId: string): Lease | undefined {
    const entry = slice.leases.get(workerId)
    if (entry == null) return
    slice.leases.delete(workerId)
    slice.job.committed -= entry.price
    const worker = workers.get(workerId)
    if (worker?.outstanding.delete(slice.id))
      worker.outstandingMs = Math.max(0, worker.outstandingMs - entry.busyMs)
    return entry
  }

  function drop(slice: Slice, revoke: boolean): void {
    dropAudits(slice)
    for (const worker of [...slice.leases.keys()]) {
      release(slice, worker)
      if (revoke) effects.revoke({ worker, job: slice.job.id, slice: slice.id })
    }
    for (const vote of [...slice.votes.values()].flat()) {
      workerOf(vote.worker)?.disputed.delete(slice.id)
      slice.job.committed -= vote.price
    }
    slices.delete(slice.id)
    short.delete(slice)
    slice.job.slices.delete(slice.id)
    if (slice.checks != null && 'of' in slice.checks) {
      audits.delete(slice)
      slice.checks.of.audits.delete(slice)
    }
  }

  function dropAudits(slice: Slice): void {
    for (const audit of slice.audits) drop(audit, true)
  }

  /** Keeps `short` true after a lease or vote of the slice came or went. */
  function review(slice: Slice): void {
    const groups = [...slice.votes.values()].map(group => group.length)
    const answers =
      typeof slice.job.verification === 'object' && 'quorum' in slice.job.verification
        ? Math.max(0, ...groups)
        : groups.reduce((sum, size) => sum + size, 0)
    if (answers + slice.leases.size < slice.wanted && slices.has(slice.id)) short.add(slice)
    else short.delete(slice)
  }

  /** Gives the slice's units back to be leased again, whole or in halves. */
  function giveBack(slice: Slice, halves = false): void {
    const { job, first, count, failures, losses, tried, failure, reports, holders } = slice
    drop(slice, true)
    ready.get(job.priority)!.add(job)
    if (!halves) job.returned.push({ first, count, failures, losses, tried, failure, reports, holders })
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

  function finish(
    job: JobEntry,
    state: 'completed' | 'failed' | 'cancelled',
    failure?: Failure,
    first?: number
  ): void {
    for (const slice of [...job.slices.values()]) drop(slice, true)
    // the end of one part of a job ends the others, also those that a loop here has still before it
    if (!jobs.delete(job.id)) return
    begun.delete(job)
    ready.get(job.priority)!.delete(job)
    effects.end({ job: job.id, state, failure, first })
  }

  /**
   * What this worker gets for a slice if it is accepted: the fair price, or the slice's share of what is left of the
   * bound. One's own work is not paid.
   */
  function priceOfSlice(job: JobEntry, count: number, worker: WorkerEntry): bigint {
    if (worker.own) return 0n
    const fair = fairPrice(job, count, worker)
    const left = job.bound - job.spent - job.committed
    const share = (left * BigInt(count)) / BigInt(job.units - job.done)
    return fair < share ? fair : share
  }

  function fairPrice(job: JobEntry, count: number, worker: WorkerEntry): bigint {
    const factor = (job.factor ?? 1) * (worker.multiplier ?? 1)
    const rate = rates.of(job.program)?.rate
    const ms = rate == null ? PROBE_MS : rate * count
    return priceOf(ms, job.priority, { factor, memoryMb: job.memoryMb })
  }

  /** true when a unit of the job brings what this worker asks at least */
  function pays(job: JobEntry, worker: WorkerEntry): boolean {
    if (!worker.minPrice || worker.own || job.done === job.units) return true
    // a worker rounds down what it asks
    return priceOfSlice(job, 1, worker) >= Math.floor((worker.minPrice * unitMs(job, worker)) / 1000)
  }

  /** micro-credits */
  const perCpuSecond = (job: JobEntry, worker: WorkerEntry): number =>
    (Number(priceOfSlice(job, 1, worker)) * 1000) / unitMs(job, worker)

  const unitMs = (job: JobEntry, worker: WorkerEntry): number =>
    rates.of(job.program, worker.id)?.rate ?? PROBE_MS

  /** true when `count` units can be paid beside what is left of the job, at this worker's price for all of it */
  function affords(job: JobEntry, count: number, worker: WorkerEntry): boolean {
    return fairPrice(job, job.units - job.done + count, worker) <= job.bound - job.spent - job.committed
  }

  function addSlice(job: JobEntry, interval: Interval, wanted: number): Slice {
    const slice: Slice = {
      ...interval,
      id: nextSlice++,
      job,
      leases: new Map(),
      votes: new Map(),
      wanted,
      toAudit: 0,
      audits: new Set(),
      doubted: false
    }
    slices.set(slice.id, slice)
    begun.add(job)
    job.slices.set(slice.id, slice)
    return slice
  }

  return {
    lease,
    travel,
    heldMs,
    expectedAt,
    release,
    drop,
    dropAudits,
    review,
    giveBack,
    finish,
    addSlice,
    affords,
    pays,
    perCpuSecond
  }
}

export type Leases = ReturnType<typeof createLeases>
