import type { Startable, TypedEventTarget } from '@libp2p/interface'
import type { Failure } from '../sandbox/index.ts'
import type { Quote } from './market/price.ts'
import type { Forecast } from './market/price-level.ts'
import type { TaskSpec } from './tasks/registry.ts'

/** The states and transitions that there are. */
export const JOB_STATES = ['queued', 'running', 'completed', 'failed', 'cancelled', 'expired'] as const
export type JobState = (typeof JOB_STATES)[number]

export interface Progress {
  job: string
  state: JobState
  /** units accepted and units in all (blocks of a range, items, rows: what the plan cuts) */
  done: number
  total: number
  /** workers that hold a lease now */
  workers: number
  /** leases lost, failed or expired so far */
  retries: number
  elapsedMs: number
  /** expected rest from the rate so far; undefined before the first slice */
  remainingMs?: number
  paid: bigint
  /** undefined while anything is at work */
  waiting?: Waiting
}

/** What a job asks of workers and nobody offers. */
export interface Unmet {
  requirement: 'memory' | 'type' | 'tags' | 'price'
  asked: string
  /** the best that there is */
  offered: string
}

/** Why nothing of a job is at work at a worker. */
export interface Waiting {
  /** for people: why, and what to do */
  message: string
  unmet: Unmet[]
}

/** A worker that gets nothing of a job. */
export interface Barred {
  worker: string
  reason: string
  /** ms since 1970, where time ends it */
  until?: number
}

/** What one worker did for one job. */
export interface WorkerShare {
  worker: string
  slices: number
  units: number
  paid: bigint
  /** why it got slices, and how many for that; undefined for jobs of earlier versions */
  why?: Partial<Record<Why, number>>
}

/**
 * Why a worker gets units. `here`: this node has them without a way to go; `holder`: it has the inputs; `measure`: nobody
 * knows yet how long it takes for them; `soonest`: they are expected to be done there first; `check`: somebody is compared;
 * `late`: who had them is late.
 */
export type Why = 'here' | 'holder' | 'measure' | 'soonest' | 'check' | 'late'

/** How the accepted results of a job were verified. */
export interface VerificationReport {
  /** copies that were computed per accepted unit: replicas, audited units and canaries; 1 = nothing beside the work */
  replicas: number
  /** slices that more than one worker answered */
  compared: number
  /** units that this node calculated again */
  audited: number
  /** slices that were handed out again although their result was known */
  canaries: number
  /** the least credibility with which a slice was accepted; undefined before the first */
  confidence?: number
}

export interface JobReport {
  job: string
  type: TaskSpec['type'] | 'batch'
  /** what its spec calls it */
  name?: string
  state: JobState
  submitted: number
  finished?: number
  done: number
  total: number
  retries: number
  bound: bigint
  paid: bigint
  shares: WorkerShare[]
  /** undefined for a job that another node coordinates, and for those of earlier versions */
  verification?: VerificationReport
  /** content id of the canonical result bytes */
  cid?: string
  failure?: Failure & { unit?: number }
  /** the job whose result it took (`memoize`); that job's receipts are the proof */
  memoOf?: string
  /** why it does not go on; undefined while anything is at work, and after its end */
  waiting?: Waiting
  /** who gets nothing of it, while it runs */
  barred?: Barred[]
}

export interface JobQuery {
  /** most items */
  limit: number
  /** only jobs older than this one: the last of the page before */
  before?: { submitted: number; id: string }
  state?: JobState
  type?: JobReport['type']
}

export interface JobPage {
  /** the newest first */
  items: JobReport[]
  /** of all jobs with this state and type, on every page */
  total: number
}

/** Where a job stands, slice by slice: units [first, first + count) of its parts. */
export interface JobSlices {
  /** accepted, and who was paid what for it */
  items: { part: number; first: number; count: number; workers: { worker: string; paid: bigint }[] }[]
  /** leased now; with replicas several times */
  open: { part: number; first: number; count: number; worker: string; sinceMs: number }[]
}

export interface JobEvents {
  progress: CustomEvent<Progress>
  end: CustomEvent<JobReport>
}

export interface Job extends TypedEventTarget<JobEvents> {
  readonly id: string
  readonly spec: TaskSpec
  /** Resolves with the decoded result; rejects with JobFailedError, JobCancelledError or JobExpiredError. */
  result(options?: { signal?: AbortSignal }): Promise<unknown>
  /** the canonical bytes of the result (sandbox/value.ts) */
  resultBytes(options?: { signal?: AbortSignal }): Promise<Uint8Array>
  report(): JobReport
  /**
   * Of an `enumerate` that runs, what its result would be if the items so far were all. Witnesses are not asked again
   * yet. undefined for others, before the first answer, and after the end.
   */
  soFar(): unknown
  /** Reaches the workers at once; what was accepted is paid, the rest of the escrow freed (`settled`). */
  cancel(reason?: string): Promise<void>
  /** Resolves when the job ended and its escrow is settled. */
  settled(options?: { signal?: AbortSignal }): Promise<JobReport>
}

/** A worker as this node sees it. */
export interface WorkerInfo {
  peer: string
  class: string
  slots: number
  walled: boolean
  /** its price beside the base price, and the micro-credits per CPU second below which it refuses */
  multiplier: number
  minPrice: bigint
  /** why it refused last; undefined when it never did */
  refusal?: string
  /** open compute stream */
  connected: boolean
  leased: number
  accepted: number
  failed: number
}

/** What this machine did for others since midnight (local time). */
export interface WorkDone {
  /** slices that run now */
  running: number
  slices: number
  /** time in the sandbox */
  cpuMs: number
  /** agreed prices of the slices that were answered; what a requester does not accept is not paid, micro-credits */
  earned: bigint
  /** how many different ones */
  requesters: number
  /** ms since 1970 */
  since: number
}

/** Results that stayed at the workers of the job that made them, by whose id they are known. */
export interface DatasetInfo {
  id: string
  type: string
  name?: string
  /** of the job; the items are there when it is completed */
  state: JobState
  /** how many items, and what their canonical values take */
  items: number
  bytes: number
  slices: number
  /** who has how much of it */
  holders: { peer: string; bytes: number }[]
  /** ms since 1970: when it was made, and when it is let go of where nobody uses it before */
  made: number
  expires: number
}

/** What jobs with `keep: true` left at their workers. What nobody has any more is calculated again when it is asked for. */
export interface Datasets {
  /** the newest first */
  list(): DatasetInfo[]
  /** Throws DatasetMissingError, as everything below. */
  show(id: string): DatasetInfo
  /** The canonical bytes of the list of at most `count` items from `first` on, and of about 32 MiB. */
  page(
    id: string,
    range: { first: number; count: number },
    options?: { signal?: AbortSignal }
  ): Promise<Uint8Array>
  /** The canonical bytes of the list of all items, the same as the result without `keep`, as they come. */
  collect(id: string, options?: { signal?: AbortSignal }): Promise<DataStream>
  /** Lets go of it, here and at its holders. Throws DatasetInUseError. */
  release(id: string): Promise<void>
}

export interface DataStream {
  /** bytes */
  size: number
  chunks: AsyncIterable<Uint8Array>
}

export interface SubmitOptions {
  signal?: AbortSignal
  /** Peer that coordinates the job in place of this node. It is paid the bound in advance and trusted with it. */
  delegate?: string
  /** Id of the job, 16 hexadecimal digits that no other job has; default: a new one. A delegate gives its own, the same for the same. */
  id?: string
}

export interface SchedulerEvents {
  'worker:add': CustomEvent<WorkerInfo>
  'worker:remove': CustomEvent<WorkerInfo>
  /** a job of this node, submitted now */
  'job:add': CustomEvent<JobReport>
  'job:progress': CustomEvent<Progress>
  'job:end': CustomEvent<JobReport>
}

export interface Scheduler extends Startable, TypedEventTarget<SchedulerEvents> {
  /**
   * Validates the spec, writes the job to disk and starts it. What was acknowledged survives kill −9.
   * Throws SpecError (which field, which value, what to do) or InsufficientCreditsError;
   * with `delegate` also DelegateError.
   */
  submit(spec: unknown, options?: SubmitOptions): Promise<Job>
  /**
   * Thousands of small independent tasks as one job and one escrow: the result is a list with one outcome
   * `{ ok: true, value } | { ok: false, failure }` per spec, in order.
   */
  submitMany(specs: unknown[], options?: Omit<SubmitOptions, 'delegate'>): Promise<Job>
  /**
   * What the job will probably cost and what it can cost at most, before it is submitted. Runs one unit in this
   * node's own sandbox when no worker's speed is known for it. Throws SpecError.
   */
  quote(spec: unknown, options?: { signal?: AbortSignal }): Promise<Quote>
  /** The price level of the network now, in one hour and in six. */
  forecast(): Forecast
  /**
   * Puts data into the block store, for `{ cid, as?, size? }` in place of data in a spec (references.ts).
   * Throws SpecError above 24 GiB, and on a node without a block store.
   */
  addData(
    source: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    options?: { signal?: AbortSignal }
  ): Promise<{ cid: string; size: number }>
  /**
   * Data of the block store, by blocks. `expires`: when it is given up to find, ms since 1970; default in 30 s.
   * Throws DataMissingError: at once, or for a block that is not to be had.
   */
  data(cid: string, options?: { signal?: AbortSignal; expires?: number }): Promise<DataStream>
  readonly datasets: Datasets
  job(id: string): Job | undefined
  /** A page of this node's jobs; as fast with 100,000 jobs as with ten. */
  jobs(query: JobQuery): JobPage
  /** undefined for a job that this node does not coordinate */
  slices(job: string): JobSlices | undefined
  /** As it was submitted, with its defaults; of a batch the list. undefined for an unknown job. */
  spec(job: string): TaskSpec | TaskSpec[] | undefined
  workers(): WorkerInfo[]
  workDone(): WorkDone
  /** Signed proofs of the work that a job of this node paid for, a slice each; anybody can check them offline. */
  receipts(job: string): { worker: string; slice: number; receipt: Uint8Array }[]
}
