import { TARGET_SLICE_MS } from '../market/match.ts'
import { isHome } from './choose-worker.ts'
import type { Effects } from './contract.ts'
import type { Leases } from './leases.ts'
import type { Placement } from './placement.ts'
import type { CoordinatorState, Lease, Slice, WorkerEntry } from './state.ts'

// Speculation: after this share of a job, a slice that runs this many times the median is leased twice.
const SPECULATE_AFTER = 0.75
const SPECULATE_FACTOR = 1.5
const SPECULATE_MIN_MS = 250
// This node, which has nothing else to do, does what is late by this share of its time, and by this much at least.
const TAKE_OVER_SHARE = 0.25
const TAKE_OVER_MIN_MS = 10

/** What took longer than was expected when it was given out. */
export function createLateWork(
  { workers, begun, slices, rates }: CoordinatorState,
  effects: Pick<Effects, 'wake' | 'revoke'>,
  {
    leases: { lease, release, review, travel, expectedAt },
    placement: { able, isFree, replicate, planChecks, least }
  }: { leases: Leases; placement: Placement }
) {
  /** Leases late slices a second time to workers that have nothing else to do. */
  function speculate(now: number): void {
    for (const job of begun) {
      if (job.cursor < job.units || job.returned.length > 0 || job.done < job.units * SPECULATE_AFTER)
        continue
      const sorted = [...job.durations].sort((a, b) => a - b)
      const late = Math.max(SPECULATE_MIN_MS, (sorted[sorted.length >> 1] ?? 0) * SPECULATE_FACTOR)
      for (const slice of job.slices.values()) {
        const idle = [...workers.values()].filter(
          worker => worker.outstanding.size === 0 && isFree(worker, now)
        )
        if (idle.length === 0) return
        if (
          slice.checks == null &&
          slice.leases.size === 1 &&
          [...slice.leases.values()].every(entry => now - entry.at > late)
        )
          replicate(slice, idle, now, 'late')
      }
    }
  }

  /** When an answer is late. */
  const dueAt = (lease: Lease): number => {
    const expected = expectedAt(lease)
    return expected + Math.max(TAKE_OVER_MIN_MS, (expected - lease.at) * TAKE_OVER_SHARE)
  }

  /** What is late elsewhere is done here, where nothing else is to do: no worker makes a job later than staying at home. */
  function takeOver(now: number): void {
    const home = [...workers.values()].find(isHome)
    const hasTime = (): boolean => home != null && home.outstanding.size < home.slots && isFree(home, now)
    if (home == null || !hasTime()) return
    let next = Number.POSITIVE_INFINITY
    for (const job of begun) {
      if (job.cursor < job.units || job.returned.length > 0) continue
      for (const slice of job.slices.values()) {
        if (slice.checks != null || slice.leases.size === 0 || slice.leases.has(home.id)) continue
        if (job.isWaiting?.(slice.first, slice.count)) continue
        const due = Math.min(...[...slice.leases.values()].map(dueAt))
        if (due > now) next = Math.min(next, due)
        else if (able(slice, [home]).length > 0) {
          lease(slice, home, now, 'late')
          review(slice)
          if (!hasTime()) return
        }
      }
    }
    if (next < Number.POSITIVE_INFINITY) effects.wake(next - now)
  }

  /** ms that a lease is late by a slice and more; it is expected to take as long again. */
  function lateMs(lease: Lease, now: number): number {
    const late = now - expectedAt(lease)
    return late > TARGET_SLICE_MS ? late : 0
  }

  /** What waits here behind work that takes longer than was thought goes to who has nothing to do and would do it sooner. */
  function giveAway(now: number): void {
    const home = [...workers.values()].find(isHome)
    if (home == null || home.outstanding.size <= home.slots) return
    const begun = new Map<string, Lease[]>()
    for (const [id, held] of [...home.outstanding]) {
      const idle = [...workers.values()].filter(
        worker => !worker.own && worker.outstanding.size === 0 && isFree(worker, now)
      )
      if (idle.length === 0) return
      const slice = slices.get(id)!
      const { job } = slice
      // of one program what was leased first has begun
      const before = begun.get(job.program) ?? []
      begun.set(job.program, before)
      const isQueued = before.length >= home.slots && slice.leases.size === 1 && slice.votes.size === 0
      const mayGo = isQueued && slice.checks == null && job.isWaiting?.(slice.first, slice.count) !== true
      // who holds it may not have it again
      const may = mayGo ? able({ ...slice, leases: new Map() }, idle) : []
      const worker = least(job, may, { slots: home.slots })
      const busyMs = before.reduce((sum, lease) => sum + lateMs(lease, now), 0) / home.slots
      if (worker == null || takesMs(slice, worker) >= busyMs + takesMs(slice, home)) {
        before.push(held)
        continue
      }
      effects.revoke({ worker: home.id, job: job.id, slice: id })
      release(slice, home.id)
      planChecks(slice, worker)
      lease(slice, worker, now, 'soonest')
      review(slice)
      if (slice.wanted > 1) replicate(slice, idle, now)
    }
  }

  /** ms until a worker that has nothing else to do has done it. */
  function takesMs(slice: Slice, worker: WorkerEntry): number {
    const { rate } = rates.of(slice.job.program, worker.id) ?? { rate: TARGET_SLICE_MS / slice.count }
    return travel(slice, worker).ms + rate * slice.count
  }

  return { speculate, takeOver, giveAway }
}
