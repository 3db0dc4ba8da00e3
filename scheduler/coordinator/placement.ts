import type { Why } from '../contract.ts'
import { hasRoom } from '../market/match.ts'
import { MAX_PROGRAMS, MAX_PROGRAMS_BYTES } from '../protocol/limits.ts'
import { checksFor, LEAST_AUDITED_MS } from '../trust/credibility.ts'
import type { CoordinatorChecks } from './checks.ts'
import { type Around, createChoice, isHome, PATIENCE_REFUSALS, viewOf } from './choose-worker.ts'
import type { Effects } from './contract.ts'
import type { Homes } from './homes.ts'
import type { Leases } from './leases.ts'
import type { Obstacles } from './obstacles.ts'
import type { CoordinatorState, Interval, JobEntry, Slice, Unplaced, WorkerEntry } from './state.ts'
import type { Standing } from './worker-trust.ts'

// A slice that vanished with this many workers may have ended them: nobody else is asked to try.
export const MAX_LOSSES = 8
// Audits take a unit's time each: this many make nobody wait long. Where more wait, replicas are the faster check.
const AUDITS_PER_SLOT = 16
// Below this as many as a worker keeps have room there.
const SMALL_PROGRAM_BYTES = MAX_PROGRAMS_BYTES / MAX_PROGRAMS

interface Cut {
  interval: Interval
  worker: WorkerEntry
  why: Why
}

/** Who gets which units next. `random`: numbers in [0, 1). */
export function createPlacement(
  state: CoordinatorState,
  effects: Pick<Effects, 'wake'>,
  {
    leases,
    standing: { trustOf, isKnown, shareOfBad },
    checks: { canaryFor },
    obstacles: { obstacle }
  }: { leases: Leases; standing: Standing; checks: CoordinatorChecks; obstacles: Obstacles },
  random: () => number
) {
  const { time, workers, slices, ready, short, audits, rates } = state
  const { lease, review, addSlice } = leases
  const { least, inOrder, isWorth, sizeFor, whyOf } = createChoice(state, effects, leases)

  /** workers whose room for programs a job waits for, so that none after it takes it */
  const spoken = new Set<WorkerEntry>()

  function place(now: number): void {
    time.now = now
    spoken.clear()
    const free = [...workers.values()].filter(worker => isFree(worker, now))
    if (free.length === 0) return
    for (const slice of short) {
      if (free.length === 0) return
      replicate(slice, free, now)
    }
    const home = [...workers.values()].find(isHome)
    const slots = [...workers.values()].reduce((sum, worker) => sum + (worker.silent ? 0 : worker.slots), 0)
    for (const queue of ready.values()) {
      for (const job of queue) {
        while (free.length > 0) {
          const next = cut(job, free, { slots, home })
          if (next == null) {
            for (const worker of free)
              if (mayRun(job, worker) && !takesProgram(job, worker)) spoken.add(worker)
            break
          }
          const { interval, worker, why } = next
          const slice = addSlice(job, interval, 1)
          planChecks(slice, worker)
          lease(slice, worker, now, why)
          const canary = isFree(worker, now) ? canaryFor(job, worker) : undefined
          if (canary != null) lease(canary, worker, now, 'check')
          if (!isFree(worker, now)) free.splice(free.indexOf(worker), 1)
          review(slice)
          if (short.has(slice)) replicate(slice, free, now)
        }
        if (job.cursor === job.units && job.returned.length === 0 && (job.homes?.isEmpty ?? true))
          queue.delete(job)
        if (free.length === 0) return
      }
    }
  }

  /** Decides how a slice is checked that this worker is the first to get. */
  function planChecks(slice: Slice, worker: WorkerEntry): void {
    const { job, count } = slice
    const { verification } = job
    if (verification === 'none') return
    if ('quorum' in verification) {
      slice.wanted = verification.quorum
      return
    }
    if (worker.own) return
    const items = mayAudit(job, count) ? count : 1
    const plan = checksFor(verification.confidence, trustOf(job, worker.id), shareOfBad(), items)
    if (random() < plan.replica) slice.wanted = 2
    else slice.toAudit = plan.audits
  }

  /** true where an answer of `count` units is worth it and this node, which audits itself, keeps up */
  function mayAudit(job: JobEntry, count: number): boolean {
    const rate = rates.of(job.program)?.rate
    if (!job.auditable || (rate != null && rate * count < LEAST_AUDITED_MS)) return false
    const own = [...workers.values()].find(worker => worker.own)
    return own != null && !own.silent && hasRoom(viewOf(own)) && audits.size < own.slots * AUDITS_PER_SLOT
  }

  const mayRun = (job: JobEntry, worker: WorkerEntry): boolean => obstacle(job, worker) == null

  /** true where the job's program has room beside those of what the worker holds: it would be refused until they are done */
  function takesProgram({ load }: JobEntry, worker: WorkerEntry): boolean {
    if (load == null || load.bytes <= SMALL_PROGRAM_BYTES) return true
    if (spoken.has(worker)) return false
    const held = new Map<string, number>()
    for (const id of worker.outstanding.keys()) {
      const other = slices.get(id)?.job.load
      if (other?.program === load.program) return true
      if (other != null) held.set(other.program, other.bytes)
    }
    const bytes = [...held.values()].reduce((sum, each) => sum + each, load.bytes)
    return held.size === 0 || bytes <= MAX_PROGRAMS_BYTES
  }

  /**
   * Those of `candidates` that may take the slice: not who has it, had it, answered it, or belongs to an owner who did.
   * This node itself, where it lends nothing, only when no other worker is to be had. It alone gets what too many lost.
   */
  function able(slice: Unplaced, candidates: WorkerEntry[]): WorkerEntry[] {
    const leased = [...(slice.leases?.keys() ?? [])]
    const votes = [...(slice.votes?.values() ?? [])].flat()
    const holders = [...leased, ...votes.map(vote => vote.worker)]
    // who answered may have left meanwhile, and come again by another name
    const groups = new Set([
      ...leased.map(id => workers.get(id)?.group ?? id),
      ...votes.map(vote => vote.group)
    ])
    const may = (worker: WorkerEntry): boolean =>
      worker.slots > 0 &&
      mayRun(slice.job, worker) &&
      !slice.tried.has(worker.id) &&
      !holders.includes(worker.id) &&
      !groups.has(worker.group ?? worker.id)
    // who only comes to vanish must not end a job: then this node sees for itself whether it ends its worker
    if (slice.losses > MAX_LOSSES) return candidates.filter(worker => worker.own && may(worker))
    const others = candidates.filter(
      worker => may(worker) && !worker.lastResort && takesProgram(slice.job, worker)
    )
    if (others.length > 0) return others
    const worthWaiting = (worker: WorkerEntry): boolean =>
      may(worker) && !worker.lastResort && !worker.silent && worker.refusals < PATIENCE_REFUSALS
    if ([...workers.values()].some(worthWaiting)) return []
    return candidates.filter(may)
  }

  const isFree = (worker: WorkerEntry, now: number): boolean =>
    !worker.silent && worker.disputed.size === 0 && now >= worker.pausedUntil && hasRoom(viewOf(worker))

  /** The next interval of the job and the worker for it: returned units first. */
  function cut(job: JobEntry, everyone: WorkerEntry[], around: Around): Cut | undefined {
    const { slots, home } = around
    for (let i = job.returned.length - 1; i >= 0; i--) {
      const interval = job.returned[i]!
      if (job.isWaiting?.(interval.first, interval.count)) continue
      const next = { ...interval, job }
      // this node, too, may have had it
      const may = home != null && able(next, [home]).length > 0
      const worker = least(job, able(next, everyone), may ? around : { slots })
      if (worker == null) continue
      const { first, count } = interval
      const now = Math.min(count, sizeFor(job, worker, around))
      // what lies between accepted slices after a restart may be larger than one slice can be
      if (now === count) job.returned.splice(i, 1)
      else
        job.returned[i] = {
          ...interval,
          first: first + now,
          count: count - now,
          tried: new Set(interval.tried)
        }
      return { interval: { ...interval, count: now }, worker, why: whyOf(job, worker) }
    }
    if (job.homes != null) return cutAtHome(job, job.homes, everyone, around)
    const left = job.units - job.cursor
    if (left === 0) return
    const may = everyone.filter(
      candidate => !candidate.lastResort && mayRun(job, candidate) && takesProgram(job, candidate)
    )
    const worker = least(job, may, home != null && mayRun(job, home) ? around : { slots })
    if (worker == null) return
    // until the first answer, one probe per slot is enough
    if (rates.of(job.program, worker.id) == null && job.slices.size >= slots) return
    const count = Math.min(left, sizeFor(job, worker, around))
    const first = job.cursor
    job.cursor += count
    const interval = { first, count, failures: 0, losses: 0, tried: new Set<string>() }
    return { interval, worker, why: whyOf(job, worker) }
  }

  /** Units for who has their inputs, else for who has the time. */
  function cutAtHome(job: JobEntry, homes: Homes, everyone: WorkerEntry[], around: Around): Cut | undefined {
    const { slots } = around
    const takes = (worker: WorkerEntry): boolean => !worker.lastResort && mayRun(job, worker)
    const may = inOrder(everyone.filter(worker => takes(worker) && takesProgram(job, worker)))
    // a holder that lends nothing now, or may not have the job, will not come for what it has
    const isHere = (id: string): boolean => {
      const holder = workers.get(id)
      return holder != null && !holder.silent && holder.slots > 0 && takes(holder)
    }
    // what one's own machine takes from others comes to it over the network, as everything did before
    const idle = may.find(({ outstanding, own }) => outstanding.size === 0 && !own)
    const atHome = may.find(({ id }) => homes.at(id) != null)
    const worker = atHome ?? may[0]
    const found = atHome != null ? homes.at(atHome.id) : worker && homes.orphan(isHere)
    const stolen = found == null && idle != null ? homes.busiest(idle.slots) : undefined
    const [home, to] = found != null ? [found, worker!] : [stolen, idle!]
    if (home == null || (rates.of(job.program, to.id) == null && job.slices.size >= slots)) return
    const holder = home.holders.find(isHere)
    if (home === stolen && holder != null) {
      const left = homes.unitsAt(holder)
      if (!isWorth(job, to, { left, at: workers.get(holder)!, around, holders: home.holders })) return
    }
    const count = Math.min(home.count, sizeFor(job, to, around))
    const { holders } = home
    const interval = { ...homes.take(home, count), failures: 0, losses: 0, tried: new Set<string>(), holders }
    return { interval, worker: to, why: holders.includes(to.id) ? 'holder' : whyOf(job, to) }
  }

  /**
   * Who may give the next answer. Newcomers are compared with workers that passed checks. Where answers differ, this
   * node finds out itself: many names of one liar can outvote others, but not the owner's own calculation.
   */
  function judges(slice: Slice, free: WorkerEntry[]): WorkerEntry[] {
    const candidates = able(slice, free)
    const { job, votes, leases, tried } = slice
    if (slice.checks != null) return free.filter(worker => worker.own)
    if (job.verification === 'none' || 'quorum' in job.verification) return candidates
    const asked = [...leases.keys(), ...[...votes.values()].flat().map(vote => vote.worker)]
    if (votes.size > 1 || slice.doubted) {
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
  function replicate(slice: Slice, free: WorkerEntry[], now: number, why: Why = 'check'): void {
    if (slice.job.isWaiting?.(slice.first, slice.count)) return
    const candidates = judges(slice, free)
    const worker = candidates[Math.floor(random() * candidates.length)]
    if (worker == null) return
    lease(slice, worker, now, why)
    if (!isFree(worker, now)) free.splice(free.indexOf(worker), 1)
    review(slice)
  }

  return { place, able, isFree, replicate, planChecks, least }
}

export type Placement = ReturnType<typeof createPlacement>
