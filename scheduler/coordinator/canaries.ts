import { CANARY_CHANCE, isProven, passed } from '../trust/credibility.ts'
import type { Effects, Vote } from './contract.ts'
import type { Leases } from './leases.ts'
import type { Canary, CoordinatorState, Interval, JobEntry, Known, Slice, WorkerEntry } from './state.ts'
import type { Standing } from './worker-trust.ts'

// Results of a job that are kept as canaries, the latest: an old one would show by its place in the job.
const KNOWN_RESULTS = 16

/** What becomes of workers whose answers to these units are wrong. */
export type Condemn = (
  job: JobEntry,
  wrong: Vote[],
  units: { first: number; count: number; accepted: Vote[] }
) => void

/** Results that are known, handed out again as ordinary work, and what is accepted taken back into doubt. */
export function createCanaries(
  { condemn, random }: { condemn: Condemn; random: () => number },
  {
    state: { workerOf, slices },
    effects,
    leases: { drop, review, addSlice, affords },
    standing: { trustOf, setTrust }
  }: {
    state: Pick<CoordinatorState, 'workerOf' | 'slices'>
    effects: Pick<Effects, 'pay' | 'retract'>
    leases: Leases
    standing: Standing
  }
) {
  function learn(job: JobEntry, { first, count }: Interval, votes: Vote[]): void {
    const kept = votes.map(toKept)
    job.known.push({ first, count, digest: kept[0]!.digest, votes: kept })
    if (job.known.length > KNOWN_RESULTS) job.known.shift()
  }

  /** Now and then a slice whose result is known, for a worker whose own results are believed; the budget comes first. */
  function canaryFor(job: JobEntry, worker: WorkerEntry): Slice | undefined {
    if (job.known.length === 0 || worker.own || !isProven(trustOf(job, worker.id))) return
    if (random() >= CANARY_CHANCE) return
    // those under way are not answered yet: nobody is to be paid twice for the same
    const asked = [...worker.outstanding.keys()].map(id => slices.get(id)?.checks)
    const strange = job.known.filter(
      known =>
        !asked.some(checks => checks != null && 'known' in checks && checks.known === known) &&
        known.votes.every(vote => vote.worker !== worker.id && vote.group !== (worker.group ?? worker.id))
    )
    const known = strange[Math.floor(random() * strange.length)]
    if (known == null || !affords(job, known.count, worker)) return
    const { first, count } = known
    const slice = addSlice(job, { first, count, failures: 0, losses: 0, tried: new Set() }, 1)
    slice.checks = { known }
    return slice
  }

  function sang(slice: Slice, { known }: Canary, vote: Vote): void {
    const { job, first, count } = slice
    drop(slice, false)
    // in doubt since it was handed out: it says nothing any more
    if (known.isDisputed) return
    if (vote.digest !== known.digest && known.votes.some(({ worker }) => workerOf(worker)?.own)) {
      condemn(job, [vote], { first, count, accepted: known.votes })
      return
    }
    if (vote.digest !== known.digest) {
      known.isDisputed = true
      job.known = job.known.filter(other => other !== known)
      reopen(job, known, [...known.votes, vote])
      return
    }
    const { worker, price, proof } = vote
    known.votes.push(toKept(vote))
    job.spent += price
    effects.pay({ job: job.id, first, count, worker, price, proof })
    setTrust(job, worker, passed)
    const entry = workerOf(worker)
    if (entry != null) entry.accepted++
  }

  /** Accepted units are in doubt: these answers to them are there, and somebody else has to say. */
  function reopen(job: JobEntry, { first, count }: Pick<Known, 'first' | 'count'>, votes: Vote[]): void {
    // the last of several was not accepted: its price is not spent yet
    const accepted = votes.filter(vote => vote.payload === undefined)
    job.done -= count
    job.spent -= accepted.reduce((sum, { price }) => sum + price, 0n)
    effects.retract({ job: job.id, first, count })
    const interval = { first, count, failures: 0, losses: 0, tried: new Set<string>() }
    const slice = addSlice(job, interval, votes.length + 1)
    for (const vote of votes) {
      job.committed += vote.price
      slice.votes.set(vote.digest, [...(slice.votes.get(vote.digest) ?? []), vote])
    }
    review(slice)
  }

  return { learn, canaryFor, sang, reopen }
}

/** A vote as it is remembered after its slice was accepted: without the result, and with that day's audits no help. */
export const toKept = (vote: Vote): Vote => ({ ...vote, payload: undefined, part: undefined, audited: 0 })
