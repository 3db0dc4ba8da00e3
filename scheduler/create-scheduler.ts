import { hash, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { ComponentLogger, Logger, PeerId } from '@libp2p/interface'
import { TypedEventEmitter } from 'main-event'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createDigest } from 'multiformats/hashes/digest'
import type { Ledger } from '../ledger/index.ts'
import { encodeValue, type Failure, type Sandbox } from '../sandbox/index.ts'
import type { Job, JobReport, Quote, Scheduler, SchedulerEvents, WorkerInfo } from './contract.ts'
import { type Accepted, type Answer, type Coordinator, createCoordinator } from './coordinator.ts'
import { SpecError } from './errors.ts'
import { JobHandle } from './job.ts'
import { type ComputeNetwork, createLinks, type Links } from './links.ts'
import { batchWork, type Part, taskWork } from './parts.ts'
import type { RunHere } from './plan.ts'
import { boundOf } from './price.ts'
import { parseSpec, type TaskSpec } from './spec.ts'
import { openStore, type Store } from './store.ts'
import type { FromWorker, LeasedSlice, OfferMessage, SliceResult } from './wire.ts'
import { type ComputeWorker, createWorker, type WorkerPolicy } from './worker.ts'

export interface SchedulerInit {
  /** folder for the jobs' SQLite file */
  directory: string
  policy: WorkerPolicy
  /** finds peers that lend their machine; gives hints, which are checked by dialling */
  findWorkers?: (options: { signal: AbortSignal }) => AsyncIterable<PeerId>
}

export interface SchedulerComponents {
  network: ComputeNetwork
  sandbox: Sandbox
  ledger: Pick<Ledger, 'account' | 'escrow' | 'settle' | 'openEscrows'>
  logger: ComponentLogger
}

// Silence, deadlines and late slices are looked at this often while a job runs.
const TICK_MS = 250
// Most tasks of one batch.
const MAX_BATCH = 1_000_000
// Ended jobs in `jobs()`.
const RECENT_JOBS = 1000

/** Makes the scheduler of a node: coordinates its own jobs and works on those of others. */
export function createScheduler(init: SchedulerInit, components: SchedulerComponents): Scheduler {
  return new DefaultScheduler(init, components)
}

class DefaultScheduler extends TypedEventEmitter<SchedulerEvents> implements Scheduler {
  readonly #init: SchedulerInit
  readonly #components: SchedulerComponents
  readonly #log: Logger
  readonly #worker: ComputeWorker
  readonly #links: Links
  readonly #coordinator: Coordinator
  readonly #jobs = new Map<string, JobHandle>()
  readonly #parts = new Map<string, { job: JobHandle; part: Part; index: number }>()
  readonly #offers = new Map<string, OfferMessage>()
  readonly #outbox = new Map<string, { leases: LeasedSlice[]; programs: Part[]; revoked: number[] }>()
  readonly #controller = new AbortController()
  #store?: Store
  #ticker?: NodeJS.Timeout

  constructor(init: SchedulerInit, components: SchedulerComponents) {
    super()
    this.#init = init
    this.#components = components
    this.#log = components.logger.forComponent('artel:scheduler')
    this.#worker = createWorker(init.policy, components)
    this.#links = createLinks(
      {
        findWorkers: init.findWorkers,
        events: {
          message: (worker, message) => this.#onMessage(worker, message),
          gone: worker => this.#onGone(worker)
        }
      },
      { network: components.network, worker: this.#worker, logger: components.logger }
    )
    this.#coordinator = createCoordinator({
      lease: lease => this.#onLease(lease),
      revoke: ({ worker, slice }) => void this.#post(worker).revoked.push(slice),
      accept: accepted => this.#onAccept(accepted),
      end: ended => this.#onPartEnd(ended)
    })
  }

  async start(): Promise<void> {
    this.#store = openStore(join(this.#init.directory, 'jobs.sqlite'))
    await this.#links.start()
    this.#resume()
  }

  async stop(): Promise<void> {
    this.#controller.abort()
    clearInterval(this.#ticker)
    this.#ticker = undefined
    this.#worker.stop()
    await this.#links.stop()
    this.#store?.close()
    this.#store = undefined
  }

  // ---- submit ----

  async submit(input: unknown, options?: { signal?: AbortSignal }): Promise<Job> {
    return this.#submit([parseSpec(input)], false, options)
  }

  async submitMany(inputs: unknown[], options?: { signal?: AbortSignal }): Promise<Job> {
    if (inputs.length === 0) throw new SpecError('specs', 'the batch is empty; give at least one task')
    if (inputs.length > MAX_BATCH)
      throw new SpecError('specs', `${inputs.length} tasks, at most ${MAX_BATCH} in a batch; split it`)
    return this.#submit(inputs.map(inBatch), true, options)
  }

  quote(input: unknown): Quote {
    const bound = boundOf(parseSpec(input).maxPrice)
    return { expected: bound, bound }
  }

  async #submit(specs: TaskSpec[], batch: boolean, options?: { signal?: AbortSignal }): Promise<Job> {
    options?.signal?.throwIfAborted()
    const store = this.#open()
    const id = randomBytes(8).toString('hex')
    const submitted = Date.now()
    const type = batch ? 'batch' : specs[0]!.type
    const bound = boundOf(batch ? sumOfBounds(specs) : specs[0]!.maxPrice)
    const escrow = await this.#components.ledger.escrow(id, bound, options)
    const specBytes = store.addJob({ id, type, submitted, bound }, specs)
    const work = batch ? batchWork(specs, specBytes) : taskWork(specs[0]!, specBytes)
    const job = this.#track({ id, type, specs, bound, submitted, state: 'queued', total: work.total }, work)
    escrow.certified.catch(err => {
      if (!this.#controller.signal.aborted)
        this.#cancel(job, `the witnesses refused its escrow: ${err.message}`)
    })
    this.#run(job)
    return job
  }

  #track(stored: Omit<JobHandle['init'], 'load' | 'cancel'>, work?: JobHandle['work']): JobHandle {
    const job = new JobHandle({
      ...stored,
      load: () => this.#open().result(stored.id),
      cancel: reason => this.#cancel(job, reason)
    })
    job.work = work
    this.#jobs.set(job.id, job)
    return job
  }

  #run(job: JobHandle): void {
    this.#links.hungry = this.#offers.size === 0
    this.#ticker ??= setInterval(() => this.#tick(), TICK_MS)
    const parts = job.work!.start()
    for (const [index, part] of parts) this.#start(job, index, part)
    if (parts.length === 0) void this.#complete(job)
    this.#flush()
  }

  /** Hands a part to the coordinator, with what was accepted of it before a restart. */
  #start(job: JobHandle, index: number, part: Part): void {
    const [spec] = job.init.specs
    const accepted = job.replay.get(index) ?? []
    job.replay.delete(index)
    job.open.add(index)
    this.#parts.set(partId(job.id, index), { job, part, index })
    for (const slice of accepted) part.reducer.add(slice.first, slice.count, slice.value)
    const [share, of] = part.share
    this.#coordinator.submit(
      {
        id: partId(job.id, index),
        program: part.rateKey,
        units: part.units,
        mostUnits: part.mostUnits,
        priority: spec!.priority,
        retries: spec!.retries,
        timeoutMs: part.load.timeoutMs,
        quorum: 1,
        bound: (job.init.bound * BigInt(share)) / BigInt(of),
        deadline: spec!.deadline == null ? undefined : job.init.submitted + spec!.deadline,
        accepted: accepted.map(({ first, count, paid }) => ({
          first,
          count,
          price: paid.reduce((sum, each) => sum + each.price, 0n)
        }))
      },
      Date.now()
    )
  }

  /** After a restart: unfinished jobs go on with what was accepted, ended ones are settled, escrows without a job are freed. */
  #resume(): void {
    const store = this.#open()
    for (const stored of store.openJobs()) {
      const specs = store.specs(stored.id)
      const specBytes = encodeValue(specs).length
      const work = stored.type === 'batch' ? batchWork(specs, specBytes) : taskWork(specs[0]!, specBytes)
      const slices = store.slices(stored.id)
      const shares = store.shares(stored.id)
      const done = slices.reduce((sum, slice) => sum + slice.count, 0)
      const job = this.#track({ ...stored, specs, shares, done, total: work.total }, work)
      if (stored.finished != null) {
        void this.#settle(job)
        continue
      }
      this.#log('job %s goes on: %d of %d units are done', job.id, done, job.total)
      for (const slice of slices) job.replay.set(slice.part, [...(job.replay.get(slice.part) ?? []), slice])
      this.#run(job)
    }
    for (const { job } of this.#components.ledger.openEscrows()) {
      if (store.job(job) == null) void this.#pay(job, [])
    }
  }

  // ---- what the coordinator decides ----

  #onLease(lease: {
    worker: string
    job: string
    slice: number
    first: number
    count: number
    expectedMs: number
  }): void {
    const { part, job } = this.#parts.get(lease.job)!
    if (job.state === 'queued') {
      job.state = 'running'
      this.#open().running(job.id)
    }
    const post = this.#post(lease.worker)
    post.leases.push({
      id: lease.slice,
      program: part.load.program,
      inputs: part.inputs(lease.first, lease.count),
      expectedMs: lease.expectedMs
    })
    post.programs.push(part)
  }

  #post(worker: string) {
    const post = this.#outbox.get(worker) ?? { leases: [], programs: [], revoked: [] }
    this.#outbox.set(worker, post)
    return post
  }

  /** Sends what one step of the coordinator decided, in one message per worker and kind. */
  #flush(): void {
    for (const [worker, { leases, programs, revoked }] of this.#outbox) {
      const link = this.#links.get(worker)
      if (link == null) continue
      for (const part of programs) if (!link.loaded(part.load.program)) link.load(part.load)
      if (revoked.length > 0) link.send({ t: 'revoke', slices: revoked })
      if (leases.length > 0) link.send({ t: 'lease', slices: leases })
    }
    this.#outbox.clear()
  }

  #onAccept({ job: id, first, count, payload, paid }: Accepted): boolean {
    const { job, part, index } = this.#parts.get(id)!
    const value = payload as Uint8Array
    try {
      part.reducer.add(first, count, value)
    } catch (err) {
      this.#log.error('a result of %s for job %s is malformed: %e', paid[0]?.worker, job.id, err)
      return false
    }
    this.#open().addSlice(job.id, { part: index, first, count, value, paid })
    for (const { worker, price } of paid) job.addShare(worker, count, price)
    job.done += count
    return true
  }

  #onPartEnd(ended: {
    job: string
    state: 'completed' | 'failed' | 'cancelled' | 'expired'
    failure?: Failure
    first?: number
  }): void {
    const { job, index } = this.#parts.get(ended.job)!
    if (job.finished != null) return
    if (ended.state === 'completed') void this.#advance(job, index)
    else {
      const failure = ended.failure && (job.work!.explain?.(index, ended.failure) ?? ended.failure)
      this.#end(job, ended.state, { failure: failure && { ...failure, unit: ended.first } })
    }
  }

  /** A part is complete: starts those that waited for it; after the last one the job is. */
  async #advance(job: JobHandle, index: number): Promise<void> {
    const work = job.work!
    try {
      const next = (await work.next?.(index, part => this.#runHere(part))) ?? []
      if (job.finished != null || this.#controller.signal.aborted) return
      job.total = work.total
      for (const [number, part] of next) this.#start(job, number, part)
      job.open.delete(index)
      this.#parts.delete(partId(job.id, index))
      this.#flush()
    } catch (err) {
      this.#broke(job, err as Error)
    }
    if (job.finished == null && job.open.size === 0) await this.#complete(job)
  }

  async #complete(job: JobHandle): Promise<void> {
    try {
      const result = await job.work!.finish(part => this.#runHere(part))
      if (job.finished == null) this.#end(job, 'completed', { result, cid: cidOf(result) })
    } catch (err) {
      this.#broke(job, err as Error)
    }
  }

  /** A step that runs here failed. */
  #broke(job: JobHandle, { message, stack }: Error): void {
    if (job.finished != null || this.#controller.signal.aborted) return
    this.#end(job, 'failed', { failure: { name: 'threw', message, stack } })
  }

  /** The author's own reduce runs behind this node's own walls, never in the node. */
  #runHere(part: Part): RunHere {
    const { sandbox, network } = this.#components
    const { timeoutMs, memoryMb, t: _, program: __, ...program } = part.load
    return async input => {
      const session = await sandbox.open(program, {
        requester: network.peerId.toString(),
        trusted: true,
        limits: { timeoutMs, memoryMb, outputBytes: MAX_RESULT_BYTES },
        signal: this.#controller.signal
      })
      try {
        const [outcome] = await session.run([encodeValue(input)], { signal: this.#controller.signal })
        if (outcome?.ok) return outcome.value
        throw Object.assign(new Error(outcome?.failure.message ?? 'no outcome'), {
          stack: outcome?.failure.stack
        })
      } finally {
        await session.close()
      }
    }
  }

  #end(
    job: JobHandle,
    state: 'completed' | 'failed' | 'cancelled' | 'expired',
    end: { result?: Uint8Array; cid?: string; failure?: JobReport['failure'] }
  ): void {
    const now = Date.now()
    this.#open().endJob(job.id, { state, finished: now, ...end })
    // failure costs the requester nothing
    if (state === 'failed') job.shares.clear()
    job.end(state, now, { cid: end.cid, failure: end.failure })
    for (const index of job.open) {
      this.#coordinator.cancel(partId(job.id, index), now)
      this.#parts.delete(partId(job.id, index))
    }
    job.open.clear()
    void this.#settle(job)
  }

  #cancel(job: JobHandle, reason: string): void {
    if (job.finished != null) return
    job.cancelReason = reason
    this.#end(job, 'cancelled', {})
    this.#flush()
  }

  async #settle(job: JobHandle): Promise<void> {
    const own = this.#components.ledger.account
    const payments = [...job.shares.values()]
      .filter(share => share.worker !== own && share.paid > 0n)
      .map(share => ({ to: share.worker, amount: share.paid, slices: share.slices }))
    if (!(await this.#pay(job.id, payments))) return
    this.#store?.settled(job.id)
    job.markSettled()
    this.#jobs.delete(job.id)
  }

  /** false when this node stops before the settlement is certified; it is repeated after the next start. */
  async #pay(job: string, payments: { to: string; amount: bigint; slices: number }[]): Promise<boolean> {
    try {
      await this.#components.ledger.settle(job, payments, { signal: this.#controller.signal })
      return true
    } catch (err) {
      if (!this.#controller.signal.aborted) this.#log.error('job %s is not settled yet: %e', job, err)
      return false
    }
  }

  // ---- what workers say ----

  #onMessage(worker: string, message: FromWorker): void {
    const now = Date.now()
    this.#coordinator.seen(worker, now)
    switch (message.t) {
      case 'offer': {
        const known = this.#offers.has(worker)
        this.#offers.set(worker, message)
        this.#links.hungry = false
        this.#coordinator.offer(worker, message, now)
        if (!known && message.slots > 0)
          this.dispatchEvent(new CustomEvent('worker:add', { detail: this.#info(worker, message) }))
        break
      }
      case 'result':
        this.#coordinator.answer(
          worker,
          message.slices.flatMap(result => this.#weigh(result)),
          now
        )
        break
      case 'refused':
        this.#log('%s refused %d slices: %s', worker, message.slices.length, message.reason)
        if (message.program != null) this.#links.get(worker)?.forget(message.program)
        this.#coordinator.refuse(worker, message.slices, now)
        break
      case 'loaded':
      case 'alive':
        break
    }
    this.#progress(now)
    this.#flush()
  }

  #weigh(result: SliceResult): { slice: number; answer: Answer }[] {
    const slice = this.#coordinator.slice(result.id)
    const entry = slice && this.#parts.get(slice.job)
    // late, or never asked for
    if (slice == null || entry == null) return []
    const packed = entry.part.pack(result.outcomes, slice.count)
    if (!(packed instanceof Uint8Array))
      return [{ slice: result.id, answer: { failure: packed, ms: result.ms } }]
    const digest = slice.quorum > 1 ? hash('sha256', packed, 'hex') : ''
    return [{ slice: result.id, answer: { digest, payload: packed, ms: result.ms } }]
  }

  #onGone(worker: string): void {
    const offer = this.#offers.get(worker)
    this.#offers.delete(worker)
    this.#coordinator.gone(worker, Date.now())
    if (offer != null && offer.slots > 0)
      this.dispatchEvent(new CustomEvent('worker:remove', { detail: this.#info(worker, offer) }))
    this.#flush()
  }

  #tick(): void {
    const now = Date.now()
    this.#coordinator.tick(now)
    this.#progress(now)
    this.#flush()
    if (this.#coordinator.busy) return
    clearInterval(this.#ticker)
    this.#ticker = undefined
  }

  #progress(now: number): void {
    for (const job of this.#jobs.values()) {
      if (job.finished != null || !job.wantsProgress(now)) continue
      const parts = [...job.open].map(index => this.#coordinator.progress(partId(job.id, index)))
      job.workers = Math.max(0, ...parts.map(part => part?.workers ?? 0))
      job.retries = Math.max(
        job.retries,
        parts.reduce((sum, part) => sum + (part?.retries ?? 0), 0)
      )
      job.progressed(now)
    }
  }

  // ---- what others ask ----

  job(id: string): Job | undefined {
    const live = this.#jobs.get(id)
    if (live != null) return live
    const stored = this.#open().job(id)
    if (stored == null) return
    const shares = this.#open().shares(id)
    const done = shares.reduce((sum, share) => sum + share.units, 0)
    const job = this.#track({ ...stored, specs: this.#open().specs(id), shares, done, total: done })
    job.markSettled()
    this.#jobs.delete(id)
    return job
  }

  jobs(): JobReport[] {
    return this.#open()
      .recent(RECENT_JOBS)
      .map(stored => this.#jobs.get(stored.id)?.report() ?? this.job(stored.id)!.report())
  }

  workers(): WorkerInfo[] {
    return [...this.#offers]
      .filter(([, offer]) => offer.slots > 0)
      .map(([id, offer]) => this.#info(id, offer))
  }

  #info(peer: string, { class: kind, slots, walled }: OfferMessage): WorkerInfo {
    const { leased = 0, accepted = 0, failed = 0 } = this.#coordinator.worker(peer) ?? {}
    return {
      peer,
      class: kind,
      slots,
      walled,
      connected: this.#links.get(peer) != null,
      leased,
      accepted,
      failed
    }
  }

  #open(): Store {
    if (this.#store == null) throw new Error('The scheduler is not started')
    return this.#store
  }
}

// A result that is combined here may be larger than what travels in one message.
const MAX_RESULT_BYTES = 256 * 1024 * 1024

const partId = (job: string, index: number): string => `${job}/${index}`

const cidOf = (bytes: Uint8Array): string =>
  CID.createV1(raw.code, createDigest(0x12, hash('sha256', bytes, 'buffer'))).toString()

function inBatch(input: unknown, index: number): TaskSpec {
  try {
    return parseSpec(input)
  } catch (err) {
    if (err instanceof SpecError)
      throw new SpecError(`specs.${index}.${err.field}`, err.message.slice(err.field.length + 2))
    throw err
  }
}

function sumOfBounds(specs: TaskSpec[]): number | undefined {
  const prices = specs.flatMap(spec => spec.maxPrice ?? [])
  return prices.length === specs.length ? prices.reduce((sum, price) => sum + price, 0) : undefined
}
