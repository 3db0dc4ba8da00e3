import type { Failure } from '../../sandbox/index.ts'
import {
  audited,
  auditedCredibility,
  caught,
  groupCredibility,
  passed,
  stumbled,
  verdict
} from '../trust/credibility.ts'
import { toKept } from './canaries.ts'
import type { CoordinatorChecks } from './checks.ts'
import type { Answer, Effects, Vote } from './contract.ts'
import type { Leases } from './leases.ts'
import { MAX_LOSSES, type Placement } from './placement.ts'
import type { CoordinatorState, JobEntry, Slice, Unplaced, WorkerEntry } from './state.ts'
import type { Standing } from './worker-trust.ts'

// A worker that refused is asked again after this long, twice as long after every further refusal.
const REFUSED_BACKOFF_MS = 500
const REFUSED_BACKOFF_MAX_MS = 30_000
// Workers that could not get the inputs of a slice, until it is believed that they cannot be had.
const ENOUGH_REPORTS = 2
// Accepted results of a worker that nobody compared yet, which are calculated again when it is caught.
const BACKTRACK_SLICES = 200

/** What becomes of answers, failures and losses: accepted, in doubt, given back, or the end of the job. */
export function createAnswers(
  { workers, workerOf, jobs, slices, rates }: CoordinatorState,
  effects: Pick<Effects, 'accept' | 'evidence'>,
  {
    leases: { release, drop, review, giveBack, finish, addSlice },
    standing: { setTrust, believed, isKnown },
    checks,
    able
  }: { leases: Leases; standing: Standing; checks: CoordinatorChecks; able: Placement['able'] }
) {
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
    const { digest, payload, proof, part, bytes = 0 } = answer
    const ms = Math.max(1e-3, Math.min(answer.ms, elapsed))
    rates.learn(job.program, workerId, { ms, units: slice.count, bytes })
    const { price } = entry
    const group = worker.group ?? workerId
    const vote: Vote = {
      worker: workerId,
      group,
      digest,
      payload,
      ms: elapsed,
      price,
      proof,
      part,
      audited: 0
    }
    if (slice.checks != null) {
      checks.answered(slice, vote)
      return
    }
    job.committed += price
    slice.votes.set(digest, [...(slice.votes.get(digest) ?? []), vote])
    if (slice.toAudit > 0 && part != null && answersOf(slice) === 1) checks.audit(slice, vote)
    judge(slice)
  }

  /** Accepts the slice when it is sure enough, else asks for one more answer. */
  function judge(slice: Slice): void {
    const answers = answersOf(slice)
    if (answers === 1 && slice.audits.size > 0) return
    const groups = [...slice.votes.values()]
    const members = groups.map(group =>
      group.map(vote => auditedCredibility(believed(slice.job, vote.worker), vote.audited))
    )
    // this node's own answer does not wait for a comparison that nobody is at
    const isCertain = slice.leases.size === 0 && groups.flat().some(vote => workers.get(vote.worker)?.own)
    const best = verdict(slice.job.verification, members, isCertain ? 1 : slice.wanted)
    // a result in doubt needs somebody else who brings it again
    if (best != null && groups[best]!.some(vote => vote.payload !== undefined)) {
      settle(slice, groups[best]!, groupCredibility(members)[best]!)
      return
    }
    // a newcomer whose answer differs from another's gets no more work until it is known who is right
    if (groups.length > 1)
      for (const vote of groups.flat()) {
        const worker = workerOf(vote.worker)
        if (worker != null && !isKnown(slice.job, worker)) worker.disputed.add(slice.id)
      }
    if (slice.leases.size === 0 && answers >= slice.wanted) slice.wanted = answers + 1
    review(slice)
  }

  function settle(slice: Slice, group: Vote[], credibility: number): void {
    const { job, first, count } = slice
    const paid = group.map(({ worker, price }) => ({ worker, price }))
    const { payload, ms, digest } = group.find(vote => vote.payload !== undefined)!
    const proofs = group.flatMap(vote => vote.proof ?? [])
    const audits = group.reduce((sum, vote) => sum + vote.audited, 0)
    const assurance = { answers: answersOf(slice), audited: audits, credibility }
    const outcome = effects.accept({
      job: job.id,
      slice: slice.id,
      first,
      count,
      payload,
      paid,
      proofs,
      assurance
    })
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
    if (group.length > 1 || workers.get(group[0]!.worker)?.own) checks.learn(job, slice, group)
    drop(slice, true)
    if (job.done === job.units) finish(job, 'completed')
  }

  /** What an accepted slice says about those who answered it. */
  function weigh(slice: Slice, group: Vote[]): void {
    const { job } = slice
    const wrong = [...slice.votes.values()].filter(other => other !== group).flat()
    for (const vote of group) {
      const { worker: id } = vote
      const worker = workerOf(id)
      if (worker == null) continue
      worker.accepted++
      if (group.length > 1 || wrong.length > 0) setTrust(job, id, passed)
      else if (!worker.own && job.verification !== 'none') {
        if (vote.audited > 0) setTrust(job, id, audited)
        worker.unchecked.push({ job: job.id, first: slice.first, count: slice.count, vote: toKept(vote) })
        if (worker.unchecked.length > BACKTRACK_SLICES) worker.unchecked.shift()
      }
    }
    if (wrong.length > 0) condemn(job, wrong, { ...slice, accepted: group })
  }

  function condemn(
    job: JobEntry,
    wrong: Vote[],
    { first, count, accepted }: { first: number; count: number; accepted: Vote[] }
  ): void {
    // honest workers may differ: nothing is said of anybody, here or to the ledger
    if (job.isBlamable?.() === false) return
    effects.evidence({ job: job.id, first, count, accepted, wrong })
    for (const vote of wrong) {
      setTrust(job, vote.worker, caught)
      backtrack(vote.worker)
    }
  }

  /** Puts the results of a worker that was caught in doubt: they need the answers of others. */
  function backtrack(id: string): void {
    const worker = workerOf(id)
    if (worker == null) return
    const doubtful = worker.unchecked.splice(0)
    for (const { job: jobId, first, count, vote } of doubtful) {
      const job = jobs.get(jobId)
      if (job == null) continue
      checks.reopen(job, { first, count }, [vote])
    }
  }

  function failed(slice: Slice, workerId: string, failure: Failure): void {
    if (slice.checks != null) {
      checks.vanished(slice, workerId)
      return
    }
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

  /** The worker cannot get inputs that others keep, which is not held against it: somebody else may, or nobody. */
  function starved(slice: Slice, workerId: string, report: unknown): void {
    const { job } = slice
    release(slice, workerId)
    if (slice.checks != null) {
      checks.vanished(slice)
      return
    }
    job.retried++
    slice.tried.add(workerId)
    slice.reports = [...(slice.reports ?? []), report]
    const isBelieved =
      slice.reports.length >= ENOUGH_REPORTS && slice.leases.size === 0 && slice.votes.size === 0
    if (isBelieved || isStarved(slice)) skip(slice)
    else returnOrReview(slice)
  }

  /** true when its inputs could not be had, nobody is at it and nobody is left to try it */
  const isStarved = (slice: Unplaced): boolean => slice.reports != null && isLeft(slice)

  /** Goes on without what nobody is left for: whoever was may have gone. */
  function skipStarved(job: JobEntry): void {
    const given = job.returned.filter(interval => isStarved({ ...interval, job }))
    job.returned = job.returned.filter(interval => !given.includes(interval))
    const open = [...job.slices.values()].filter(slice => slice.checks == null && isStarved(slice))
    for (const slice of [...open, ...given.map(interval => addSlice(job, interval, 1))])
      if (slices.has(slice.id)) skip(slice)
  }

  /** Accepts that a slice has no result. */
  function skip(slice: Slice): void {
    const { id, job, first, count, reports } = slice
    const payload = job.unavailable!(reports!)
    const assurance = { answers: 0, audited: 0, credibility: 1 }
    const skipped = { job: job.id, slice: id, first, count, payload, paid: [], proofs: [], assurance }
    if (effects.accept(skipped) !== 'stored') {
      giveBack(slice)
      return
    }
    job.done += count
    drop(slice, true)
    if (job.done === job.units) finish(job, 'completed')
  }

  /** true when it failed, nobody is at it and nobody is left to try it */
  function isHopeless(slice: Unplaced): boolean {
    return slice.failure != null && isLeft(slice)
  }

  function isLeft(slice: Unplaced): boolean {
    if ((slice.leases?.size ?? 0) > 0) return false
    const heard = [...workers.values()].filter(worker => !worker.silent)
    return able(slice, heard).length === 0
  }

  function returnOrReview(slice: Slice): void {
    if (slice.checks != null) checks.vanished(slice)
    else if (slice.votes.size > 0) judge(slice)
    else if (slice.leases.size === 0) giveBack(slice)
    else review(slice)
  }

  function lost(slice: Slice, workerId: string): void {
    release(slice, workerId)
    if (slice.checks != null) {
      checks.vanished(slice)
      return
    }
    slice.job.retried++
    slice.losses++
    const isLast = workers.get(workerId)?.own || ![...workers.values()].some(worker => worker.own)
    if (slice.losses > MAX_LOSSES && isLast)
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

  /** What is refused within a pause was sent before it: it says nothing new. */
  function backOff(worker: WorkerEntry, now: number): void {
    if (now < worker.pausedUntil) return
    worker.pausedUntil = now + Math.min(REFUSED_BACKOFF_MAX_MS, REFUSED_BACKOFF_MS * 2 ** worker.refusals++)
  }

  return { answered, judge, condemn, isHopeless, returnOrReview, lost, starved, skipStarved, backOff }
}

const answersOf = ({ votes }: Slice): number =>
  [...votes.values()].reduce((sum, group) => sum + group.length, 0)
