import type { Why } from '../contract.ts'
import { rank, TARGET_SLICE_MS } from '../market/match.ts'
import type { Effects } from './contract.ts'
import { endAlone, expectedEnd } from './expected-end.ts'
import type { Leases } from './leases.ts'
import { sliceUnits } from './slice-size.ts'
import type { CoordinatorState, JobEntry, WorkerEntry } from './state.ts'

// A worker that refused this often in a row is not waited for.
export const PATIENCE_REFUSALS = 3
// So long a program that nobody has measured stays here: what is done by then is not worth a way.
const HOLD_MS = 20

/** Slots of all workers, and this node where it takes part. */
export interface Around {
  slots: number
  home?: WorkerEntry
}

/** As the market sees a worker. */
export const viewOf = ({ slots, window, outstanding, outstandingMs, cost }: WorkerEntry) => ({
  slots,
  window,
  outstanding: outstanding.size,
  outstandingMs,
  cost
})

/** true for this node where it lends its own time */
export const isHome = ({ own, lastResort, silent, slots, disputed, refusals }: WorkerEntry): boolean =>
  own === true && !lastResort && !silent && slots > 0 && disputed.size === 0 && refusals < PATIENCE_REFUSALS

/** Where the next slice of a job is expected to be done first, and how large it is. */
export function createChoice(
  { time, rates }: Pick<CoordinatorState, 'time' | 'rates'>,
  { wake }: Pick<Effects, 'wake'>,
  { travel, heldMs, expectedAt }: Pick<Leases, 'travel' | 'heldMs' | 'expectedAt'>
) {
  /** What is late by a slice and more is expected to take as long again. */
  function lateMs({ outstanding }: WorkerEntry): number {
    const late = [...outstanding.values()].map(lease => time.now - expectedAt(lease))
    return late.reduce((sum, ms) => sum + (ms > TARGET_SLICE_MS ? ms : 0), 0)
  }
  const held = (worker: WorkerEntry) => ({
    ...viewOf(worker),
    outstandingMs: heldMs(worker) + lateMs(worker)
  })

  /** Units for a slice on this worker; one where nothing was measured yet. */
  function sizeFor(job: JobEntry, worker: WorkerEntry, { slots, home }: Around): number {
    const known = rates.of(job.program, worker.id)
    const left = job.units - job.done
    if (known == null) return 1
    // what is tried elsewhere must not take much longer than it would have here
    const isNew = home != null && !rates.knows(job.program, worker.id)
    return sliceUnits({ ...known, rate: known.cautious, left, slots, most: job.mostUnits, isNew })
  }

  /** true for a worker that has something to be measured on; no more of it than that is risked */
  const isTried = ({ program }: JobEntry, { id, outstanding, slots }: WorkerEntry): boolean =>
    outstanding.size >= slots && !rates.knows(program, id)

  /** true where a slice comes back from a worker before this node would have done all that is left */
  function isSooner(job: JobEntry, worker: WorkerEntry, around: Around, home: WorkerEntry): boolean {
    if (isTried(job, worker)) return false
    if (rates.of(job.program, home.id) == null) {
      const heldMs = job.since + HOLD_MS - time.now
      if (heldMs > 0) wake(heldMs)
      return heldMs <= 0
    }
    const left = job.returned.reduce((sum, { count }) => sum + count, job.units - job.cursor)
    return isWorth(job, worker, { left, at: home, around })
  }

  /** true where a slice comes back from `worker` before `at`, who needs no way for it, would have done all that is left */
  function isWorth(
    job: JobEntry,
    worker: WorkerEntry,
    {
      left,
      at,
      around,
      holders
    }: { left: number; at: WorkerEntry; around: Around; holders?: readonly string[] }
  ): boolean {
    const [here, there] = [rates.of(job.program, at.id), rates.of(job.program, worker.id)]
    if (here == null || there == null) return true
    const units = Math.min(left, sizeFor(job, worker, around))
    const travelMs = travel({ job, count: units, holders }, worker).ms
    return (
      expectedEnd(held(worker), { units, unitMs: there.rate, travelMs }) <
      endAlone(held(at), { left, unitMs: here.rate })
    )
  }

  return {
    sizeFor,
    isWorth,

    /** The worker where a slice is done first, price included; nobody where all would be done here before. */
    least(job: JobEntry, candidates: WorkerEntry[], around: Around): WorkerEntry | undefined {
      let [best, bestRank]: [WorkerEntry | undefined, number] = [undefined, Number.POSITIVE_INFINITY]
      for (const worker of candidates) {
        const travelMs = travel({ job, count: sizeFor(job, worker, around) }, worker).ms
        const own = rank({ ...held(worker), travelMs })
        if (own >= bestRank) continue
        if (around.home != null && !worker.own && !isSooner(job, worker, around, around.home)) continue
        best = worker
        bestRank = own
      }
      return best
    },

    /** Who does another slice first comes first, wherever its inputs are. */
    inOrder: (candidates: WorkerEntry[]): WorkerEntry[] =>
      candidates.sort((a, b) => rank(viewOf(a)) - rank(viewOf(b))),

    whyOf(job: JobEntry, worker: WorkerEntry): Why {
      if (worker.own) return 'here'
      return rates.knows(job.program, worker.id) ? 'soonest' : 'measure'
    }
  }
}
