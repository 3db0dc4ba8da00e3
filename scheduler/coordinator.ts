import type { Failure } from '../sandbox/index.ts'
import type { Answer, Effects, JobInit, Vote, WorkerOffer } from './coordinator-contract.ts'
import type { Interval, JobEntry, Lease, Slice, WorkerEntry } from './coordinator-state.ts'
import { hasRoom, mayServe, rank, sliceUnits, TARGET_SLICE_MS } from './place.ts'
import { priceOf } from './price.ts'
import { createRates } from './rates.ts'
import { createTrustBook } from './trust-book.ts'
import {
  answersWanted,
  caught,
  credibility,
  isExcluded,
  NO_TRUST,
  passed,
  stumbled,
  type Trust,
  verdict
} from './verify.ts'

/**
 * The life of jobs and leases, as plain decisions: events and the time come in, actions go out. No clock, no
 * randomness, no input or output, so that a seeded simulation runs the same code as a node.
 */

// A worker that leases and says nothing for this long is taken for gone; its heartbeat comes every second.
export const SILENT_MS = 4000
// A lease ends after its slice's own time limit, once more for what waits before it, and this.
const LEASE_GRACE_MS = 30_000
// Speculation: after this share of a job, a slice that runs this many times the median is leased twice.
const SPECULATE_AFTER = 0.75
const SPECULATE_FACTOR = 1.5
const SPECULATE_MIN_MS = 250
// A slice that vanished with this many workers probably ended them.
const MAX_LOSSES = 8
// A worker that refused is asked again after this long, twice as long after every further refusal.
const REFUSED_BACKOFF_MS = 500
const REFUSED_BACKOFF_MAX_MS = 30_000

// Accepted results of a worker that nobody compared yet, which are calculated again when it is caught.
const BACKTRACK_SLICES = 200
// A worker that refused this often in a row is not waited for.
const PATIENCE_REFUSALS = 3
// Checks passed from which a worker is no newcomer.
const KNOWN_CHECKS = 5
// What the first slice of unknown code is paid as: its own time is not known before it was run.
const PROBE_MS = 10
// What this node calculated itself is right as far as this node is concerned; below 1, so that Bayes stays finite.
const OWN_CREDIBILITY = 1 - 1e-9

const PRIORITIES = ['critical', 'high', 'normal', 'low'] as const

/** `firstSlice`: above every number that was given before a restart; `random`: numbers in [0, 1); `trust`: what was known before a restart, by the keys that `effects.trust` gave. */
export function createCoordinator(
  effects: Effects,
  {
    random,
    trust: known = [],
    firstSlice = 1
  }: { random: () => number; trust?: Iterable<[string, Trust]>; firstSlice?: number }
) {
  const workers = new Map<string, WorkerEntry>()
  const jobs = new Map<string, JobEntry>()
  const slices = new Map<number, Slice>()
  /** jobs with units to lease, in the order of submission */
  const ready = new Map(PRIORITIES.map(priority => [priority, new Set<JobEntry>()]))
  /** slices that need one more worker than hold or answered them */
  const short = new Set<Slice>()
  const rates = createRates()
  const trusts = createTrustBook(known)
  let nextSlice = firstSlice
  let nextOrder = 1

  // ---- trust ----

  const trustKey = (job: JobEntry, worker: WorkerEntry): string =>
    `${worker.id} ${worker.class ?? ''} ${job.kind}`

  const trustOf = (job: JobEntry, id: string): Trust => {
    const worker = workers.get(id)
    return worker == null ? NO_TRUST : trusts.of(trustKey(job, worker))
  }

  function setTrust(job: JobEntry, id: string, change: (trust: Trust) => Trust): void {
    const worker = workers.get(id)
    if (worker == null || worker.own) return
    const key = trustKey(job, worker)
    effects.trust(key, trusts.change(key, change))
  }

  const believed = (job: JobEntry, id: string): number =>
    workers.get(id)?.own ? OWN_CREDIBILITY : credibility(trustOf(job, id), trusts.shareOfBad())

  // ---- leases ----

  function lease(slice: Slice, worker: WorkerEntry, now: number): void {
    const rate = rates.of(slice.job.program, worker.id)
    const entry = {
      worker: worker.id,
      at: now,
      expectedMs: rate == null ? TARGET_SLICE_MS : rate.rate * slice.count,
      price: priceOfSlice(slice.job, slice.count, worker)
    }
    slice.job.committed += entry.price
    slice.leases.set(worker.id, entry)
    // silence counts from the first lease on: who has nothing to do says nothing
    if (worker.outstanding.size === 0) worker.lastSeen = now
    worker.outstanding.set(slice.id, entry)
    worker.outstandingMs += entry.expectedMs
    effects.lease({
      worker: worker.id,
      job: slice.job.id,
      slice: slice.id,
      first: slice.first,
      count: slice.count,
      // the time that the price is for: a worker with a minimum compares the two
      expectedMs: rate == null ? PROBE_MS : entry.expectedMs,
      price: entry.price
    })
  }

  /** Takes the lease from the worker's account. */
  function release(slice: Slice, workerId: string): Lease | undefined {
    const entry = slice.leases.get(workerId)
    if (entry == null) return
    slice.leases.delete(workerId)
    slice.job.committed -= entry.price
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
    for (const vote of [...slice.votes.values()].flat()) {
      workers.get(vote.worker)?.disputed.delete(slice.id)
      slice.job.committed -= vote.price
    }
    slices.delete(slice.id)
    short.delete(slice)
    slice.job.slices.delete(slice.id)
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
    const { job, first, count, failures, losses, tried, failure } = slice
    drop(slice, true)
    ready.get(job.priority)!.add(job)
    if (!halves) job.returned.push({ first, count, failures, losses, tried, failure })
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
    // the end of one part of a job ends the others, also those that a loop here has still before it
    if (!jobs.delete(job.id)) return
    ready.get(job.priority)!.delete(job)
    effects.end({ job: job.id, state, failure, first })
  }

  /**
   * What this worker gets for a slice if it is accepted: the fair price, or the slice's share of what is left of the
   * bound. One's own work is not paid.
   */
  function priceOfSlice(job: JobEntry, count: number, worker: WorkerEntry): bigint {
    if (worker.own) return 0n
    const factor = (job.factor ?? 1) * (worker.multiplier ?? 1)
    const rate = rates.of(job.program)?.rate
    const ms = rate == null ? PROBE_MS : rate * count
    const fair = priceOf(ms, job.priority, { factor, memoryMb: job.memoryMb })
    const left = job.bound - job.spent - job.committed
    const share = (left * BigInt(count)) / BigInt(job.units - job.done)
    return fair < share ? fair : share
  }

  function answered(slice: Slice, workerId: string, answer: Answer, now: number): void {
    const { job } = slice
    const entry = release(slice, workerId)
    const worker = workers.get(workerId)
    if (entry == null || worker == null) return
    if ('failure' in answer) {
      worker.failed++
      // the worker stops or gave it up: neither the code's fault nor a reason to refuse it the slice for ever
      if (answer.failure.name === 'aborted') {
        backOff(worker, now)
        lost(slice, workerId)
      } else failed(slice, workerId, answer.failure)
      return
    }
    const elapsed = now - entry.at
    // a worker's own meter is believed only below what was seen from here
    rates.learn(job.program, workerId, Math.max(1e-3, Math.min(answer.ms, elapsed)), slice.count)
    const { digest, payload } = answer
    const group = slice.votes.get(digest) ?? []
    group.push({ worker: workerId, digest, payload, ms: elapsed, price: entry.price, proof: answer.proof })
    job.committed += entry.price
    slice.votes.set(digest, group)
    judge(slice)
  }

  /** Accepts the slice when it is sure enough, else asks for one more answer. */
  function judge(slice: Slice): void {
    const groups = [...slice.votes.values()]
    const members = groups.map(group => group.map(vote => believed(slice.job, vote.worker)))
    // this node's own answer does not wait for a comparison that nobody is at
    const isCertain = slice.leases.size === 0 && groups.flat().some(vote => workers.get(vote.worker)?.own)
    const best = verdict(slice.job.verification, members, isCertain ? 1 : slice.wanted)
    // a result in doubt needs somebody else who brings it again
    if (best != null && groups[best]!.some(vote => vote.payload !== undefined)) {
      settle(slice, groups[best]!)
      return
    }
    // a newcomer whose answer differs from another's gets no more work until it is known who is right
    if (groups.length > 1)
      for (const vote of groups.flat()) {
        const worker = workers.get(vote.worker)
        if (worker != null && !isKnown(slice.job, worker)) worker.disputed.add(slice.id)
      }
    const answers = groups.reduce((sum, group) => sum + group.length, 0)
    if (slice.leases.size === 0 && answers >= slice.wanted) slice.wanted = answers + 1
    review(slice)
  }

  function settle(slice: Slice, group: Vote[]): void {
    const { job, first, count } = slice
    const paid = group.map(({ worker, price }) => ({ worker, price }))
    const { payload, ms, digest } = group.find(vote => vote.payload !== undefined)!
    const proofs = group.flatMap(vote => vote.proof ?? [])
    const outcome = effects.accept({ job: job.id, slice: slice.id, first, count, payload, paid, proofs })
    if (outcome === 'unstored') {
      giveBack(slice)
      return
    }
    if (outcome === 'malformed') {
      slice.votes.delete(digest)
      for (const { worker, price } of group) {
        job.committed -= price
        slice.tried.add(worker)
        setTrust(job, worker, caught)
      }
      failed(slice, group[0]!.worker, {
        name: 'invalid-result',
        message: 'the result is not of the form that was asked for'
      })
      return
    }
    job.done += count
    job.spent += paid.reduce((sum, { price }) => sum + price, 0n)
    job.durations.push(ms)
    if (job.durations.length > 101) job.durations.shift()
    weigh(slice, group)
    drop(slice, true)
    if (job.done === job.units) finish(job, 'completed')
  }

  /** What an accepted slice says about those who answered it. */
  function weigh(slice: Slice, group: Vote[]): void {
    const { job, first, count } = slice
    const wrong = [...slice.votes.values()].filter(other => other !== group).flat()
    for (const { worker: id, digest, price } of group) {
      const worker = workers.get(id)
      if (worker == null) continue
      worker.accepted++
      if (group.length > 1 || wrong.length > 0) setTrust(job, id, passed)
      else if (!worker.own && job.verification !== 'none') {
        worker.unchecked.push({ job: job.id, first, count, digest, price })
        if (worker.unchecked.length > BACKTRACK_SLICES) worker.unchecked.shift()
      }
    }
    if (wrong.length === 0) return
    effects.evidence({ job: job.id, first, count, accepted: group, wrong })
    for (const vote of wrong) {
      setTrust(job, vote.worker, caught)
      backtrack(vote.worker)
    }
  }

  /** Puts the results of a worker that was caught in doubt: they need the answers of others. */
  function backtrack(id: string): void {
    const worker = workers.get(id)
    if (worker == null) return
    const doubtful = worker.unchecked.splice(0)
    for (const { job: jobId, first, count, digest, price } of doubtful) {
      const job = jobs.get(jobId)
      if (job == null) continue
      job.done -= count
      job.spent -= price
      effects.retract({ job: jobId, first, count })
      const vote: Vote = { worker: id, digest, payload: undefined, ms: 0, price }
      job.committed += price
      const slice = addSlice(job, { first, count, failures: 0, losses: 0, tried: new Set() }, 2)
      slice.votes.set(digest, [vote])
      review(slice)
    }
  }

  function addSlice(job: JobEntry, interval: Interval, wanted: number): Slice {
    const slice: Slice = { ...interval, id: nextSlice++, job, leases: new Map(), votes: new Map(), wanted }
    slices.set(slice.id, slice)
    job.slices.set(slice.id, slice)
    return slice
  }

  function failed(slice: Slice, workerId: string, failure: Failure): void {
    const { job } = slice
    job.retried++
    slice.tried.add(workerId)
    slice.failure = failure
    setTrust(job, workerId, stumbled)
    if (failure.name === 'wall-missing') {
      // not the code's fault: somebody else
      returnOrReview(slice)
      return
    }
    slice.failures++
    if (slice.count > 1 && failure.name !== 'threw') {
      giveBack(slice, true)
      return
    }
    if (slice.failures > job.retries || isHopeless(slice)) finish(job, 'failed', failure, slice.first)
    else returnOrReview(slice)
  }

  /** true when it failed, nobody is at it and nobody is left to try it */
  function isHopeless(
    slice: Interval & { job: JobEntry } & Partial<Pick<Slice, 'leases' | 'votes'>>
  ): boolean {
    if (slice.failure == null || (slice.leases?.size ?? 0) > 0) return false
    const heard = [...workers.values()].filter(worker => !worker.silent)
    return able(slice, heard).length === 0
  }

  /** Ends jobs whose last hope went silent or left. */
  function giveUp(): void {
    for (const job of [...jobs.values()]) {
      const open = [...job.returned.map(interval => ({ ...interval, job })), ...job.slices.values()]
      const hopeless = open.find(isHopeless)
      if (hopeless != null) finish(job, 'failed', hopeless.failure, hopeless.first)
    }
  }

  function returnOrReview(slice: Slice): void {
    if (slice.votes.size > 0) judge(slice)
    else if (slice.leases.size === 0) giveBack(slice)
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

  function backOff(worker: WorkerEntry, now: number): void {
    worker.pausedUntil = now + Math.min(REFUSED_BACKOFF_MAX_MS, REFUSED_BACKOFF_MS * 2 ** worker.refusals++)
  }

  /** Takes slices back from workers that show life but no result. */
  function expireLeases(now: number): void {
    for (const slice of slices.values()) {
      for (const [id, { at }] of slice.leases) {
        if (now - at <= 2 * slice.job.timeoutMs + LEASE_GRACE_MS) continue
        effects.revoke({ worker: id, job: slice.job.id, slice: slice.id })
        const worker = workers.get(id)
        if (worker != null) backOff(worker, now)
        lost(slice, id)
      }
    }
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
          const { interval, worker } = next
          const slice = addSlice(job, interval, wantedFrom(job, worker))
          lease(slice, worker, now)
          if (!isFree(worker, now)) free.splice(free.indexOf(worker), 1)
          review(slice)
          if (short.has(slice)) replicate(slice, free, now)
        }
        if (job.cursor === job.units && job.returned.length === 0) queue.delete(job)
        if (free.length === 0) return
      }
    }
  }

  /** Answers wanted for a slice that this worker is the first to get. */
  function wantedFrom(job: JobEntry, worker: WorkerEntry): number {
    const { verification } = job
    if (worker.own && verification !== 'none' && 'confidence' in verification) return 1
    return answersWanted(verification, trustOf(job, worker.id), trusts.shareOfBad(), random())
  }

  const mayRun = (job: JobEntry, worker: WorkerEntry): boolean =>
    worker.own ||
    ((job.allowed?.has(worker.id) ?? true) &&
      (job.needs == null || worker.serves == null || mayServe(job.needs, worker.serves)) &&
      !isExcluded(trustOf(job, worker.id)))

  /**
   * Those of `candidates` that may take the slice: not who has it, had it, answered it, or belongs to an owner who did.
   * This node itself, where it lends nothing, only when no other worker is to be had.
   */
  function able(
    slice: Pick<Slice, 'tried'> & Partial<Pick<Slice, 'leases' | 'votes'>> & { job: JobEntry },
    candidates: WorkerEntry[]
  ): WorkerEntry[] {
    const holders = [
      ...(slice.leases?.keys() ?? []),
      ...[...(slice.votes?.values() ?? [])].flat().map(vote => vote.worker)
    ]
    const groups = new Set(holders.map(id => workers.get(id)?.group ?? id))
    const may = (worker: WorkerEntry): boolean =>
      worker.slots > 0 &&
      mayRun(slice.job, worker) &&
      !slice.tried.has(worker.id) &&
      !holders.includes(worker.id) &&
      !groups.has(worker.group ?? worker.id)
    const others = candidates.filter(worker => may(worker) && !worker.lastResort)
    if (others.length > 0) return others
    const worthWaiting = (worker: WorkerEntry): boolean =>
      may(worker) && !worker.lastResort && !worker.silent && worker.refusals < PATIENCE_REFUSALS
    if ([...workers.values()].some(worthWaiting)) return []
    return candidates.filter(may)
  }

  const isFree = (worker: WorkerEntry, now: number): boolean =>
    !worker.silent && worker.disputed.size === 0 && now >= worker.pausedUntil && hasRoom(view(worker))

  const view = (worker: WorkerEntry) => ({
    slots: worker.slots,
    window: worker.window,
    outstanding: worker.outstanding.size,
    outstandingMs: worker.outstandingMs,
    cost: worker.cost
  })

  const least = (candidates: WorkerEntry[]): WorkerEntry | undefined =>
    candidates.reduce<WorkerEntry | undefined>(
      (best, worker) => (best == null || rank(view(worker)) < rank(view(best)) ? worker : best),
      undefined
    )

  /** The next interval of the job and the worker for it: returned units first. */
  function cut(
    job: JobEntry,
    everyone: WorkerEntry[],
    slots: number
  ): { interval: Interval; worker: WorkerEntry } | undefined {
    for (let i = job.returned.length - 1; i >= 0; i--) {
      const interval = job.returned[i]!
      const worker = least(able({ job, tried: interval.tried }, everyone))
      if (worker == null) continue
      const { first, count } = interval
      const now = Math.min(count, sizeFor(job, worker, slots))
      // what lies between accepted slices after a restart may be larger than one slice can be
      if (now === count) job.returned.splice(i, 1)
      else
        job.returned[i] = {
          ...interval,
          first: first + now,
          count: count - now,
          tried: new Set(interval.tried)
        }
      return { interval: { ...interval, count: now }, worker }
    }
    const left = job.units - job.cursor
    const worker = least(everyone.filter(candidate => !candidate.lastResort && mayRun(job, candidate)))
    if (left === 0 || worker == null) return
    // until the first answer, one probe per slot is enough
    if (rates.of(job.program, worker.id) == null && job.slices.size >= slots) return
    const count = Math.min(left, sizeFor(job, worker, slots))
    const first = job.cursor
    job.cursor += count
    return { interval: { first, count, failures: 0, losses: 0, tried: new Set() }, worker }
  }

  /** Units for a slice on this worker; one where nothing was measured yet. */
  function sizeFor(job: JobEntry, worker: WorkerEntry, slots: number): number {
    const known = rates.of(job.program, worker.id)
    const left = job.units - job.done
    return known == null ? 1 : sliceUnits({ ...known, left, slots, most: job.mostUnits })
  }

  const isKnown = (job: JobEntry, worker: WorkerEntry): boolean =>
    worker.own === true || trustOf(job, worker.id).checks >= KNOWN_CHECKS

  /**
   * Who may give the next answer. Newcomers are compared with workers that passed checks. Where answers differ, this
   * node finds out itself: many names of one liar can outvote others, but not the owner's own calculation.
   */
  function judges(slice: Slice, free: WorkerEntry[]): WorkerEntry[] {
    const candidates = able(slice, free)
    const { job, votes, leases, tried } = slice
    if (job.verification === 'none' || 'quorum' in job.verification) return candidates
    const asked = [...leases.keys(), ...[...votes.values()].flat().map(vote => vote.worker)]
    if (votes.size > 1) {
      const own = [...workers.values()].find(
        worker => worker.own && !asked.includes(worker.id) && !tried.has(worker.id)
      )
      if (own != null) return free.includes(own) ? [own] : []
    }
    const known = candidates.filter(worker => isKnown(job, worker))
    const hasKnown = asked.some(id => workers.has(id) && isKnown(job, workers.get(id)!))
    return hasKnown || known.length === 0 ? candidates : known
  }

  /** One more lease of a slice, on a worker that has nothing to do with it yet, drawn at random. */
  function replicate(slice: Slice, free: WorkerEntry[], now: number): void {
    const candidates = judges(slice, free)
    const worker = candidates[Math.floor(random() * candidates.length)]
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
        committed: 0n,
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
      if (worker != null) Object.assign(worker, offer, { lastSeen: now, silent: false })
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
          failed: 0,
          disputed: new Set(),
          unchecked: []
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
      backOff(entry, now)
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
      expireLeases(now)
      giveUp()
      place(now)
      speculate(now)
    },

    /** a slice that this worker holds */
    held(id: number, worker: string) {
      const slice = slices.get(id)
      const lease = slice?.leases.get(worker)
      return (
        slice && lease && { job: slice.job.id, first: slice.first, count: slice.count, price: lease.price }
      )
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

    /** measured ms per unit of a program */
    rate(program: string): number | undefined {
      return rates.of(program)?.rate
    },

    get busy(): boolean {
      return jobs.size > 0
    }
  }
}

export type Coordinator = ReturnType<typeof createCoordinator>
