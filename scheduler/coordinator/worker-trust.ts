import { credibility, excludedUntil, NO_TRUST, type Trust } from '../trust/credibility.ts'
import { createTrustBook } from '../trust/trust-book.ts'
import type { Effects } from './contract.ts'
import type { CoordinatorState, JobEntry, WorkerEntry } from './state.ts'

// Checks passed from which a worker is no newcomer.
const KNOWN_CHECKS = 5
// What this node calculated itself is right as far as this node is concerned; below 1, so that Bayes stays finite.
const OWN_CREDIBILITY = 1 - 1e-9

/** What the coordinator thinks of workers, per class and kind of task. `known`: from before a restart. */
export function createStanding(
  { workerOf, time }: Pick<CoordinatorState, 'workerOf' | 'time'>,
  effects: Pick<Effects, 'trust'>,
  known: Iterable<[string, Trust]>
) {
  const trusts = createTrustBook(known)

  const trustKey = (job: JobEntry, worker: WorkerEntry): string =>
    `${worker.id} ${worker.class ?? ''} ${job.kind}`

  const trustOf = (job: JobEntry, id: string): Trust => {
    const worker = workerOf(id)
    return worker == null ? NO_TRUST : trusts.of(trustKey(job, worker))
  }

  function setTrust(job: JobEntry, id: string, change: (trust: Trust, now: number) => Trust): void {
    const worker = workerOf(id)
    if (worker == null || worker.own) return
    const key = trustKey(job, worker)
    effects.trust(
      key,
      trusts.change(key, trust => change(trust, time.now))
    )
  }

  const believed = (job: JobEntry, id: string): number =>
    workerOf(id)?.own ? OWN_CREDIBILITY : credibility(trustOf(job, id), trusts.shareOfBad())

  const isKnown = (job: JobEntry, worker: WorkerEntry): boolean =>
    worker.own === true || trustOf(job, worker.id).checks >= KNOWN_CHECKS

  /** until when the worker gets nothing of the job for what it answered wrong */
  const barredUntil = (job: JobEntry, worker: WorkerEntry): number | undefined =>
    excludedUntil(trustOf(job, worker.id), time.now)

  return { trustOf, setTrust, believed, isKnown, barredUntil, shareOfBad: trusts.shareOfBad }
}

export type Standing = ReturnType<typeof createStanding>
