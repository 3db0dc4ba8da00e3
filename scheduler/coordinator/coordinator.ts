import type { Trust } from '../trust/credibility.ts'
import { createChecks } from './checks.ts'
import type { Answer, Effects, JobInit, WorkerOffer } from './contract.ts'
import { createHomes } from './homes.ts'
import { createAnswers } from './judge-answers.ts'
import { createLateWork } from './late-work.ts'
import { createLeases } from './leases.ts'
import { createObstacles } from './obstacles.ts'
import { createPlacement } from './placement.ts'
import { createCoordinatorState, type JobEntry, type WorkerEntry } from './state.ts'
import { createStanding } from './worker-trust.ts'

/**
 * The life of jobs and leases, as plain decisions: events and the time come in, actions go out. No clock, no
 * randomness, no input or output, so that a seeded simulation runs the same code as a node.
 */

// A worker that leases and says nothing for this long is taken for gone; its heartbeat comes every second.
export const SILENT_MS = 4000
// A lease ends after its slice's own time limit, once more for what waits before it, and this.
const LEASE_GRACE_MS = 30_000
// Workers that left and are remembered: many times what a node may link.
const MAX_DEPARTED = 1000

/** `firstSlice`: above every number that was given before a restart; `random`: numbers in [0, 1); `trust`: what was known before a restart, by the keys that `effects.trust` gave. */
export function createCoordinator(
  effects: Effects,
  {
    random,
    trust: known = [],
    firstSlice = 1
  }: { random: () => number; trust?: Iterable<[string, Trust]>; firstSlice?: number }
) {
  const state = createCoordinatorState()
  const { workers, departed, jobs, begun, slices, ready, rates, links } = state
  const standing = createStanding(state, effects, known)
  const leases = createLeases(state, effects, firstSlice)
  const checks = createChecks(
    {
      judge: slice => answers.judge(slice),
      condemn: (job, wrong, units) => answers.condemn(job, wrong, units),
      random
    },
    { state, effects, leases, standing }
  )
  const obstacles = createObstacles(state, { leases, standing })
  const placement = createPlacement(state, effects, { leases, standing, checks, obstacles }, random)
  const { place, able } = placement
  const { speculate, takeOver, giveAway } = createLateWork(state, effects, { leases, placement })
  const answers = createAnswers(state, effects, { leases, standing, checks, able })
  const { release, finish } = leases
  const { answered, isHopeless, returnOrReview, lost, starved, skipStarved, backOff } = answers
  let nextOrder = 1
  let tickedAt = 0

  /** Ends jobs whose last hope went silent or left. */
  function giveUp(): void {
    for (const job of [...begun]) {
      const open = [...job.returned.map(interval => ({ ...interval, job })), ...job.slices.values()]
      const hopeless = open.find(isHopeless)
      if (hopeless != null) finish(job, 'failed', hopeless.failure, hopeless.first)
      else if (job.unavailable != null) skipStarved(job)
    }
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

  /** What these answers took beside the work itself, since the worker could begin with them. */
  function measureLink(id: string, answers: { slice: number; answer: Answer }[], now: number): void {
    const worker = workers.get(id)
    if (worker == null || worker.own) return
    let [bytes, work, from] = [0, 0, now]
    for (const { slice, answer } of answers) {
      const lease = slices.get(slice)?.leases.get(id)
      if (lease == null || 'failure' in answer) continue
      bytes += lease.bytes + (answer.bytes ?? 0)
      work += answer.ms
      from = Math.min(from, lease.at)
    }
    if (work === 0 && bytes === 0) return
    const passed = now - Math.max(from, worker.answeredAt)
    worker.answeredAt = now
    // one that lends nothing any more still had a slot for them
    const atOnce = Math.max(1, Math.min(worker.slots, worker.outstanding.size))
    links.learn(id, { bytes, passed, beside: passed - work / atOnce })
  }

  /** The worker is out of reach: its slices go to others. */
  function loseAll(worker: WorkerEntry): void {
    for (const id of [...worker.outstanding.keys()]) {
      const slice = slices.get(id)
      if (slice != null) lost(slice, worker.id)
    }
  }

  return {
    submit(init: JobInit, now: number): void {
      const accepted = [...(init.accepted ?? [])].sort((a, b) => a.first - b.first)
      // after a restart what is left is given out as it comes
      const homes = accepted.length === 0 ? init.homes : undefined
      const job: JobEntry = {
        ...init,
        homes: homes && createHomes(homes, ({ first, count }) => init.isWaiting?.(first, count) === true),
        order: nextOrder++,
        since: now,
        cursor: homes == null ? 0 : init.units,
        returned: [],
        slices: new Map(),
        done: 0,
        spent: 0n,
        committed: 0n,
        retried: 0,
        durations: [],
        known: []
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
      else {
        const before = departed.get(id)
        departed.delete(id)
        workers.set(id, {
          ...offer,
          id,
          lastSeen: now,
          silent: false,
          refusals: 0,
          pausedUntil: 0,
          outstanding: new Map(),
          outstandingMs: 0,
          answeredAt: 0,
          accepted: 0,
          failed: 0,
          disputed: before?.disputed ?? new Set(),
          unchecked: before?.unchecked ?? []
        })
      }
      place(now)
    },

    /** The connection to a worker ended. */
    gone(id: string, now: number): void {
      const worker = workers.get(id)
      if (worker == null) return
      workers.delete(id)
      departed.set(id, worker)
      links.gone(id)
      if (departed.size > MAX_DEPARTED) departed.delete(departed.keys().next().value as string)
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
      measureLink(worker, answers, now)
      for (const { slice, answer } of answers) {
        const entry = slices.get(slice)
        if (entry?.leases.has(worker)) answered(entry, worker, answer, now)
      }
      const from = workers.get(worker)
      if (from != null) from.refusals = 0
      place(now)
      takeOver(now)
      giveAway(now)
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

    /** The worker cannot get the inputs of these slices, which are to be calculated again: nobody's fault. */
    giveBack(worker: string, ids: number[], now: number): void {
      for (const id of ids) {
        const slice = slices.get(id)
        if (slice != null && release(slice, worker) != null) returnOrReview(slice)
      }
      place(now)
    },

    /** The worker cannot get the inputs of this slice that other workers keep; `report`: which, for `unavailable`. */
    starved(worker: string, id: number, report: unknown, now: number): void {
      const slice = slices.get(id)
      if (slice?.job.unavailable == null || !slice.leases.has(worker)) return
      starved(slice, worker, report)
      place(now)
    },

    /** Time passes: silent workers, late slices. */
    tick(now: number): void {
      // this node was itself held up: what its workers said meanwhile is not read yet
      if (now - tickedAt > SILENT_MS / 2) for (const worker of workers.values()) worker.lastSeen = now
      tickedAt = now
      for (const worker of workers.values()) {
        if (worker.outstanding.size === 0 || worker.silent || now - worker.lastSeen <= SILENT_MS) continue
        worker.silent = true
        for (const id of worker.outstanding.keys())
          effects.revoke({ worker: worker.id, job: slices.get(id)!.job.id, slice: id })
        loseAll(worker)
      }
      expireLeases(now)
      giveUp()
      place(now)
      speculate(now)
      takeOver(now)
      giveAway(now)
    },

    /** a slice that this worker holds */
    held(id: number, worker: string) {
      const slice = slices.get(id)
      const lease = slice?.leases.get(worker)
      return (
        slice && lease && { job: slice.job.id, first: slice.first, count: slice.count, price: lease.price }
      )
    },

    /** what of a job is leased now */
    leases(id: string) {
      return [...(jobs.get(id)?.slices.values() ?? [])].flatMap(({ first, count, leases }) =>
        [...leases.values()].map(({ worker, at }) => ({ first, count, worker, at }))
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

    waits: obstacles.waits,
    kept: obstacles.kept,

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
