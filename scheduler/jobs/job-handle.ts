import { setImmediate } from 'node:timers/promises'
import { TypedEventEmitter } from 'main-event'
import { raceSignal } from 'race-signal'
import type {
  Job,
  JobEvents,
  JobReport,
  JobState,
  Progress,
  VerificationReport,
  Why,
  WorkerShare
} from '../contract.ts'
import type { Data } from '../data/chunked-data.ts'
import { type ResultBytes, valueFrom, wholeOf } from '../data/result-bytes.ts'
import { JobCancelledError, JobExpiredError, JobFailedError } from '../errors.ts'
import type { TaskSpec } from '../tasks/registry.ts'
import type { Assurance } from '../trust/credibility.ts'

// A person's eye and a terminal take no more.
const PROGRESS_INTERVAL_MS = 100
// Where nothing changes but the time.
const SAME_INTERVAL_MS = 5000

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
  /** somebody waits for its settlement */
  hurry: () => void
  /** until it has ended, where that is known here */
  cancel: (reason: string) => Promise<void> | void
  /** of one that is not at its end: its result so far */
  soFar?: () => unknown
  /** of one that is not at its end: what it waits for */
  waiting?: () => JobReport['waiting']
  /** of one that is not at its end: who gets nothing of it */
  barred?: () => JobReport['barred']
}

/** How a job ended. */
export interface JobOutcome {
  cid?: string
  failure?: JobReport['failure']
  /** why it was cancelled */
  reason?: string
  /** its bytes, which nobody else changes */
  result?: ResultBytes
}

const NOTHING_VERIFIED: VerificationReport = { replicas: 0, compared: 0, audited: 0, canaries: 0 }
const NO_REASON = 'by its owner'

/** A job while this process knows it: state, events, waiting for the end. What drives it tells it, and it alone keeps it. */
export class JobHandle extends TypedEventEmitter<JobEvents> implements Job {
  readonly id: string
  readonly init: Readonly<JobInit>
  readonly #shares = new Map<string, WorkerShare>()
  /** by worker; what was leased before a restart is not counted */
  readonly #why = new Map<string, Partial<Record<Why, number>>>()
  readonly #ended = Promise.withResolvers<void>()
  readonly #settled = Promise.withResolvers<void>()
  #state: JobState
  #done: number
  #total: number
  #retries: number
  #workers = 0
  #isAwaited = false
  #isSettled = false
  #finished?: number
  #outcome: Omit<JobOutcome, 'result'>
  /** until it is garbage, for the first who wants it: it need not be read from the disk again */
  #result?: WeakRef<ResultBytes>
  #verification?: VerificationReport
  #lastLook = 0
  #lastProgress = 0
  #lastNews = ''
  /** by the node that coordinates it */
  #told: Pick<JobReport, 'waiting' | 'barred'> = {}

  constructor(init: JobInit) {
    super()
    this.id = init.id
    this.init = init
    this.#state = init.state
    this.#done = init.done ?? 0
    this.#total = init.total
    this.#retries = init.retries ?? 0
    this.#finished = init.finished
    this.#outcome = { cid: init.cid, failure: init.failure }
    this.#verification = init.verification
    this.#setShares(init.shares ?? [])
    if (this.hasEnded) this.#ended.resolve()
  }

  get spec(): TaskSpec {
    return this.init.specs[0]!
  }

  get hasEnded(): boolean {
    return this.#finished != null
  }

  /** when its deadline is over */
  get expires(): number | undefined {
    const { deadline } = this.init.specs[0] ?? {}
    return deadline == null ? undefined : this.init.submitted + deadline
  }

  async resultBytes(options?: { signal?: AbortSignal }): Promise<Uint8Array> {
    return wholeOf(await this.#bytes(options))
  }

  async result(options?: { signal?: AbortSignal }): Promise<unknown> {
    return valueFrom(await this.#bytes(options))
  }

  async #bytes(options?: { signal?: AbortSignal }): Promise<ResultBytes> {
    await raceSignal(this.#ended.promise, options?.signal)
    const { failure, reason = NO_REASON } = this.#outcome
    if (this.#state === 'failed') throw new JobFailedError(this.id, failure!)
    if (this.#state === 'cancelled') throw new JobCancelledError(this.id, reason)
    if (this.#state === 'expired')
      throw new JobExpiredError(this.id, this.spec.deadline ?? 0, this.#done, this.#total)
    const result = this.#result?.deref()
    this.#result = undefined
    const bytes = result ?? this.init.load()
    if (bytes == null)
      throw new JobFailedError(this.id, {
        name: 'aborted',
        message: 'its result is no longer on the disk; submit it again'
      })
    return bytes instanceof Uint8Array ? [bytes] : bytes
  }

  report(): JobReport {
    const { type, name, submitted, bound, memoOf } = this.init
    const shares = [...this.#shares.values()].map(share => ({
      ...share,
      why: this.#why.get(share.worker) ?? share.why
    }))
    return {
      job: this.id,
      type,
      name,
      state: this.#state,
      submitted,
      finished: this.#finished,
      done: this.#done,
      total: this.#total,
      retries: this.#retries,
      bound,
      paid: this.#paid(),
      shares,
      verification: this.#verification,
      cid: this.#outcome.cid,
      failure: this.#outcome.failure,
      memoOf,
      waiting: this.#waiting,
      barred: this.hasEnded ? undefined : (this.init.barred?.() ?? this.#told.barred)
    }
  }

  /** somebody waits for its settlement */
  get isAwaited(): boolean {
    return this.#isAwaited
  }

  soFar(): unknown {
    return this.hasEnded ? undefined : this.init.soFar?.()
  }

  get #waiting(): JobReport['waiting'] {
    return this.hasEnded ? undefined : (this.init.waiting?.() ?? this.#told.waiting)
  }

  async cancel(reason = NO_REASON): Promise<void> {
    if (!this.hasEnded) await this.init.cancel(reason)
  }

  async settled(options?: { signal?: AbortSignal }): Promise<JobReport> {
    this.#isAwaited = true
    await raceSignal(this.#ended.promise, options?.signal)
    // one that could wait, because nobody waited for it until now, is signed by then
    await setImmediate()
    if (!this.#isSettled) this.init.hurry()
    await raceSignal(this.#settled.promise, options?.signal)
    return this.report()
  }

  // ---- what drives it tells ----

  /** Something of it is leased; true the first time. */
  begins(): boolean {
    if (this.#state !== 'queued') return false
    this.#state = 'running'
    return true
  }

  /** More of it is planned. */
  grows(total: number): void {
    this.#total = total
  }

  /** A slice of it is leased. */
  leased(worker: string, why: Why): void {
    const counts = this.#why.get(worker) ?? {}
    counts[why] = (counts[why] ?? 0) + 1
    this.#why.set(worker, counts)
  }

  addShare(worker: string, units: number, price: bigint): void {
    const share = this.#shares.get(worker) ?? { worker, slices: 0, units: 0, paid: 0n }
    share.slices++
    share.units += units
    share.paid += price
    this.#shares.set(worker, share)
  }

  /** Units were accepted. */
  addDone(units: number, { answers, audited, credibility }: Assurance): void {
    const { replicas, confidence = 1, ...counts } = this.#verification ?? NOTHING_VERIFIED
    const copies = replicas * this.#done + answers * units + audited
    this.#done += units
    this.#verification = {
      ...counts,
      replicas: copies / this.#done,
      compared: counts.compared + (answers > 1 ? 1 : 0),
      audited: counts.audited + audited,
      confidence: Math.min(confidence, credibility)
    }
  }

  /** Units that were accepted before were calculated once more. */
  addCanary(units: number): void {
    const { replicas, canaries, ...rest } = this.#verification ?? NOTHING_VERIFIED
    this.#verification = { ...rest, canaries: canaries + 1, replicas: replicas + units / this.#done }
  }

  /** Units are not accepted any more; what is left of shares and verification. */
  takeBack(units: number, shares: WorkerShare[], verification: VerificationReport): void {
    this.#done -= units
    this.#setShares(shares)
    this.#verification = verification
  }

  /** Nobody is paid for it. */
  owesNothing(): void {
    this.#shares.clear()
  }

  wantsProgress(now: number): boolean {
    return now - this.#lastLook >= PROGRESS_INTERVAL_MS
  }

  /** `workers` that hold a lease now, `retries` so far. */
  progressed(now: number, { workers, retries }: { workers: number; retries: number }): void {
    this.#workers = workers
    this.#retries = Math.max(this.#retries, retries)
    const waiting = this.#waiting
    this.#lastLook = now
    // of thousands that wait, most have nothing new to say
    if (this.#news(waiting) === this.#lastNews && now - this.#lastProgress < SAME_INTERVAL_MS) return
    this.#tellProgress(now, waiting)
  }

  /** What another node that coordinates it says. */
  told({ done, total, shares, state, waiting, barred }: JobReport, now: number): void {
    this.#told = { waiting, barred }
    this.#done = done
    this.#total = total
    this.#state = state
    this.#setShares(shares)
    this.#tellProgress(now, waiting)
  }

  end(state: JobState, now: number, { result, ...outcome }: JobOutcome): void {
    this.#state = state
    this.#finished = now
    this.#outcome = outcome
    this.#result = result && new WeakRef(result)
    this.#tellProgress(now)
    this.#ended.resolve()
    this.dispatchEvent(new CustomEvent('end', { detail: this.report() }))
  }

  markSettled(): void {
    this.#isSettled = true
    this.#settled.resolve()
  }

  #news(waiting: JobReport['waiting']): string {
    return [this.#state, this.#done, this.#total, this.#workers, this.#retries, waiting?.message].join()
  }

  #setShares(shares: WorkerShare[]): void {
    this.#shares.clear()
    for (const share of shares) this.#shares.set(share.worker, { ...share })
  }

  #paid(): bigint {
    return [...this.#shares.values()].reduce((sum, share) => sum + share.paid, 0n)
  }

  #tellProgress(now: number, waiting?: JobReport['waiting']): void {
    this.#lastLook = now
    this.#lastProgress = now
    this.#lastNews = this.#news(waiting)
    const elapsedMs = now - this.init.submitted
    const [done, total] = [this.#done, this.#total]
    const remainingMs = done === 0 ? undefined : (elapsedMs / done) * (total - done)
    const detail: Progress = {
      job: this.id,
      state: this.#state,
      done,
      total,
      workers: this.#workers,
      retries: this.#retries,
      elapsedMs,
      remainingMs,
      paid: this.#paid(),
      waiting
    }
    this.dispatchEvent(new CustomEvent<Progress>('progress', { detail }))
  }
}
