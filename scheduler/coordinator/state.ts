import type { Failure } from '../../sandbox/index.ts'
import type { JobInit, Vote, WorkerOffer } from './contract.ts'
import type { Homes } from './homes.ts'
import { createLinkCosts } from './link-costs.ts'
import { createRates } from './measured-rates.ts'

/** What the coordinator remembers; nobody else looks into it. */

export interface Interval {
  first: number
  count: number
  failures: number
  losses: number
  /** workers that failed it and do not get it again */
  tried: Set<string>
  /** how the last of them failed */
  failure?: Failure
  /** what workers said that could not get its inputs */
  reports?: unknown[]
  /** who has its inputs; undefined where they come from this node */
  holders?: readonly string[]
}

export interface Lease {
  worker: string
  at: number
  /** that the worker calculates for it, and that it keeps the worker from others: its travel may take longer */
  expectedMs: number
  busyMs: number
  /** from the lease to the answer, with what the worker had to do before */
  endMs: number
  /** of its inputs that have to travel */
  bytes: number
  /** the program and its units, where nobody knew how long they take */
  guess?: { program: string; count: number }
  price: bigint
}

export interface Slice extends Interval {
  id: number
  job: JobEntry
  leases: Map<string, Lease>
  votes: Map<string, Vote[]>
  /** answers wanted at least */
  wanted: number
  /** units to audit once it has an answer */
  toAudit: number
  /** audits of it that are under way */
  audits: Set<Slice>
  /** an audit found it wrong: this node calculates it */
  doubted: boolean
  /** it checks a result that is there already */
  checks?: Audit | Canary
}

/** What placement must know of units to find a worker for them. */
export type Unplaced = Pick<Slice, 'tried' | 'job' | 'failure' | 'reports' | 'losses'> &
  Partial<Pick<Slice, 'leases' | 'votes'>>

export interface Audit {
  of: Slice
  vote: Vote
  /** of the right answer, if the vote is right */
  digest: string
}

export interface Canary {
  known: Known
}

/** An accepted result that somebody confirmed. */
export interface Known {
  first: number
  count: number
  digest: string
  /** all who gave it, paid */
  votes: Vote[]
  /** somebody gave another one */
  isDisputed?: boolean
}

export interface JobEntry extends Omit<JobInit, 'homes'> {
  order: number
  /** when it came */
  since: number
  /** units that were never leased and that some worker has the inputs of; then the cursor is at the end */
  homes?: Homes
  /** units from here on were never leased */
  cursor: number
  returned: Interval[]
  slices: Map<number, Slice>
  done: number
  spent: bigint
  /** agreed for leases and answers that are not accepted yet */
  committed: bigint
  retried: number
  durations: number[]
  /** the latest results that can be handed out again as canaries */
  known: Known[]
}

export interface WorkerEntry extends WorkerOffer {
  id: string
  lastSeen: number
  silent: boolean
  refusals: number
  pausedUntil: number
  outstanding: Map<number, Lease>
  outstandingMs: number
  /** when it answered last */
  answeredAt: number
  accepted: number
  failed: number
  /** slices in which its answer differs from another's */
  disputed: Set<number>
  /** its accepted answers that nobody else gave */
  unchecked: { job: string; first: number; count: number; vote: Vote }[]
}

export const PRIORITIES = ['critical', 'high', 'normal', 'low'] as const

/** Everything that the coordinator's modules share. */
export function createCoordinatorState() {
  const workers = new Map<string, WorkerEntry>()
  const departed = new Map<string, WorkerEntry>()

  return {
    /** of the last event after which work was given out */
    time: { now: 0 },
    workers,
    /** The last workers that left: what they answered is still weighed, and leaving clears nobody. */
    departed,
    /** a worker that is here or was */
    workerOf: (id: string): WorkerEntry | undefined => workers.get(id) ?? departed.get(id),
    jobs: new Map<string, JobEntry>(),
    /** of which something was leased: time has something to say about these alone, of maybe 100,000 */
    begun: new Set<JobEntry>(),
    slices: new Map<number, Slice>(),
    /** jobs with units to lease, in the order of submission */
    ready: new Map(PRIORITIES.map(priority => [priority, new Set<JobEntry>()])),
    /** slices that need one more worker than hold or answered them */
    short: new Set<Slice>(),
    /** audits that wait or run */
    audits: new Set<Slice>(),
    rates: createRates(),
    links: createLinkCosts()
  }
}

export type CoordinatorState = ReturnType<typeof createCoordinatorState>
