import { TypedEventEmitter } from 'main-event'
import { raceSignal } from 'race-signal'
import { decodeValue } from '../../sandbox/index.ts'
import type {
  Job,
  JobEvents,
  JobReport,
  JobState,
  Progress,
  VerificationReport,
  WorkerShare
} from '../contract.ts'
import type { Data } from '../data/chunked-data.ts'
import { JobCancelledError, JobExpiredError, JobFailedError } from '../errors.ts'
import type { StoredSlice } from '../store/job-store.ts'
import type { Work } from '../tasks/contract.ts'
import type { TaskSpec } from '../tasks/registry.ts'
import type { Assurance } from '../trust/credibility.ts'

// A person's eye and a terminal take no more.
const PROGRESS_INTERVAL_MS = 100

export interface JobInit {
  id: string
  type: JobReport['type']
  name?: string
  specs: TaskSpec[]
  bound: bigint
  submitted: number
  state: JobState
  finished?: number
  cid?: string
  failure?: JobReport['failure']
  memoOf?: string
  /** what its spec names by CID */
  data?: Data[]
  shares?: WorkerShare[]
  verification?: VerificationReport
  done?: number
  total: number
  retries?: number
  /** the bytes of a finished job's result */
  load: () => Uint8Array | undefined
  cancel: (reason: string) => void
}

const NOTHING_VERIFIED: VerificationReport = { replicas: 0, compared: 0, audited: 0, canaries: 0 }

/** A job while this process knows it: state, events, waiting for the end. The scheduler drives it. */
export class JobHandle extends TypedEventEmitter<JobEvents> implements Job {
  readonly id: string
  readonly init: JobInit
  work?: Work
  /** numbers of the parts that run now */
  readonly open = new Set<number>()
  /** those of them that something was leased of */
  readonly begun = new Set<number>()
  /** what was accepted before a restart, of parts that have not started again yet */
  readonly replay = new Map<number, StoredSlice[]>()
  state: JobState
  done: number
  total: number
  retries: number
  workers = 0
  finished?: number
  cid?: string
  failure?: JobReport['failure']
  cancelReason = 'by its owner'
  /** product of what multiplies its base price beside priority and worker */
  factor = 1
  verification?: VerificationReport
  readonly shares = new Map<string, WorkerShare>()
  readonly #ended = Promise.withResolvers<void>()
  readonly #settled = Promise.withResolvers<void>()
  #lastProgress = 0

  constructor(init: JobInit) {
    super()
    this.id = init.id
    this.init = init
    this.state = init.state
    this.done = init.done ?? 0
    this.total = init.total
    this.retries = init.retries ?? 0
    this.finished = init.finished
    this.cid = init.cid
    this.failure = init.failure
    this.verification = init.verification
    this.setShares(init.shares ?? [])
    if (this.finished != null) this.#ended.resolve()
  }

  get spec(): TaskSpec {
    return this.init.specs[0]!
  }

  get paid(): bigint {
    return [...this.shares.values()].reduce((sum, share) => sum + share.paid, 0n)
  }

  async resultBytes(options?: { signal?: AbortSignal }): Promise<Uint8Array> {
    await raceSignal(this.#ended.promise, options?.signal)
    if (this.state === 'failed') throw new JobFailedError(this.id, this.failure!)
    if (this.state === 'cancelled') throw new JobCancelledError(this.id, this.cancelReason)
    if (this.state === 'expired')
      throw new JobExpiredError(this.id, this.spec.deadline ?? 0, this.done, this.total)
    const bytes = this.init.load()
    if (bytes == null)
      throw new JobFailedError(this.id, {
        name: 'aborted',
        message: 'its result is no longer on the disk; submit it again'
      })
    return bytes
  }

  async result(options?: { signal?: AbortSignal }): Promise<unknown> {
    return decodeValue(await this.resultBytes(options))
  }

  report(): JobReport {
    const { id, state, done, total, retries, finished, cid, failure, paid, verification } = this
    const shares = [...this.shares.values()]
    return {
      job: id,
      type: this.init.type,
      name: this.init.name,
      state,
      submitted: this.init.submitted,
      finished,
      done,
      total,
      retries,
      bound: this.init.bound,
      paid,
      shares,
      verification,
      cid,
      failure,
      memoOf: this.init.memoOf
    }
  }

  async cancel(reason = 'by its owner'): Promise<void> {
    if (this.finished != null) return
    this.cancelReason = reason
    this.init.cancel(reason)
  }

  async settled(options?: { signal?: AbortSignal }): Promise<JobReport> {
    await raceSignal(this.#settled.promise, options?.signal)
    return this.report()
  }

  // ---- what the scheduler tells ----

  setShares(shares: WorkerShare[]): void {
    this.shares.clear()
    for (const share of shares) this.shares.set(share.worker, share)
  }

  addShare(worker: string, units: number, price: bigint): void {
    const share = this.shares.get(worker) ?? { worker, slices: 0, units: 0, paid: 0n }
    share.slices++
    share.units += units
    share.paid += price
    this.shares.set(worker, share)
  }

  /** Units were accepted. */
  addDone(units: number, { answers, audited, credibility }: Assurance): void {
    const { replicas, confidence = 1, ...counts } = this.verification ?? NOTHING_VERIFIED
    const copies = replicas * this.done + answers * units + audited
    this.done += units
    this.verification = {
      ...counts,
      replicas: copies / this.done,
      compared: counts.compared + (answers > 1 ? 1 : 0),
      audited: counts.audited + audited,
      confidence: Math.min(confidence, credibility)
    }
  }

  /** Units that were accepted before were calculated once more. */
  addCanary(units: number): void {
    const { replicas, canaries, ...rest } = this.verification ?? NOTHING_VERIFIED
    this.verification = { ...rest, canaries: canaries + 1, replicas: replicas + units / this.done }
  }

  wantsProgress(now: number): boolean {
    return now - this.#lastProgress >= PROGRESS_INTERVAL_MS
  }

  progressed(now: number): void {
    this.#lastProgress = now
    const { id: job, state, done, total, workers, retries, paid } = this
    const elapsedMs = now - this.init.submitted
    const remainingMs = done === 0 ? undefined : (elapsedMs / done) * (total - done)
    this.dispatchEvent(
      new CustomEvent<Progress>('progress', {
        detail: { job, state, done, total, workers, retries, elapsedMs, remainingMs, paid }
      })
    )
  }

  end(state: JobState, now: number, end: { cid?: string; failure?: JobReport['failure'] }): void {
    this.state = state
    this.finished = now
    Object.assign(this, end)
    this.progressed(now)
    this.work = undefined
    this.#ended.resolve()
    this.dispatchEvent(new CustomEvent('end', { detail: this.report() }))
  }

  markSettled(): void {
    this.#settled.resolve()
  }
}
