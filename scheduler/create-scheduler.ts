import { hash, randomBytes, randomInt } from 'node:crypto'
import { join } from 'node:path'
import type { ComponentLogger, Logger, PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { TypedEventEmitter } from 'main-event'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createDigest } from 'multiformats/hashes/digest'
import {
  createReceipts,
  isWorkSigned,
  type Ledger,
  type Receipts,
  type SignedWork,
  type Signer,
  signEvidence,
  signWork,
  workProof
} from '../ledger/index.ts'
import { encodeValue, type Failure, type Sandbox } from '../sandbox/index.ts'
import { type BlockExchange, createBlockExchange } from './blocks.ts'
import type {
  Job,
  JobPage,
  JobQuery,
  JobReport,
  JobSlices,
  Scheduler,
  SchedulerEvents,
  SubmitOptions,
  WorkDone,
  WorkerInfo
} from './contract.ts'
import { type Coordinator, createCoordinator } from './coordinator.ts'
import type { Accepted, Answer, Effects, WorkerOffer } from './coordinator-contract.ts'
import { addData, type Blocks, chunkCid, type Data, openData, readCid } from './data.ts'
import { createDelegation, type Delegation, type DelegationLedger } from './delegation.ts'
import { DelegateError, SpecError } from './errors.ts'
import { createExchange, type Exchange } from './exchange.ts'
import { findReferences, resolveInputs, withReferences } from './inputs.ts'
import { JobHandle } from './job.ts'
import { createJobPages, type JobPages, reportOf } from './job-pages.ts'
import { type ComputeNetwork, createLinks, type Links, MAX_LINKS } from './links.ts'
import type { Forecast } from './market.ts'
import { createMemo, type Memo, type MemoStore, memoKey } from './memo.ts'
import type { OfferPubSub } from './offers.ts'
import { batchWork, createWork, type Part } from './parts.ts'
import { addressGroup } from './place.ts'
import { isPlanned, type PlannedSpec, type RunHere } from './plan.ts'
import type { WorkerPolicy } from './policy.ts'
import { boundOf, product, type Quote, quoteOf } from './price.ts'
import { calibrate, estimate } from './quote.ts'
import { parseSpec, type TaskSpec } from './spec.ts'
import { openStore, type Store, type StoredJob } from './store.ts'
import { asText } from './tasks/pipeline.ts'
import { expectedCost, type Trust } from './verify.ts'
import {
  digestOf,
  type FromWorker,
  type LeasedSlice,
  MAX_SLICES_PER_MESSAGE,
  type OfferFields,
  type OfferMessage,
  type SliceResult
} from './wire.ts'
import { createWorkBook, type WorkBook } from './work-book.ts'
import { type ComputeWorker, createWorker } from './worker.ts'

export interface SchedulerInit {
  /** folder for the jobs' SQLite file */
  directory: string
  policy: WorkerPolicy
  /** finds peers that lend their machine; gives hints, which are checked by dialling */
  findWorkers?: (options: { signal: AbortSignal }) => AsyncIterable<PeerId>
  /** gossip topic of the workers' offers */
  offersTopic?: string
  /** peers whose jobs this node coordinates when they ask; `*` = everybody; default: nobody */
  delegateFor?: readonly string[]
}

export interface SchedulerComponents {
  network: ComputeNetwork
  sandbox: Sandbox
  ledger: Pick<Ledger, 'account' | 'network' | 'escrow' | 'settle' | 'openEscrows' | 'report'> &
    Partial<Pick<Ledger, 'reputation' | keyof DelegationLedger>>
  /** for the offers of workers; without it only connected workers are known */
  pubsub?: OfferPubSub
  /** where data by CID lies; without it every input is inline */
  blocks?: Blocks
  /** of this node's key */
  signer: Signer
  logger: ComponentLogger
}

// A message with leases: a quarter of the largest frame.
const LEASE_BYTES = 16 * 1024 * 1024
// Silence, deadlines and late slices are looked at this often while a job runs.
const TICK_MS = 250
// The largest range that randomInt draws from in one step.
const RANDOM_RANGE = 2 ** 47
// Slice numbers start above those before a restart: no node leases more than this many per millisecond.
const SLICES_PER_MS = 1024
// Signatures that go into one piece of evidence (ledger).
const MAX_OTHERS = 7
// Most tasks of one batch.
const MAX_BATCH = 1_000_000
// A CID that nobody has this long is missing; what comes from another node must be here by then too.
const DATA_TIMEOUT_MS = 30_000
// Streams to workers that a node without jobs keeps; it opens more when it has work.
const IDLE_LINKS = 32
// The directory costs other nodes a search; where workers are known it is asked no more often than this.
const DIRECTORY_INTERVAL_MS = 10_000

/** Makes the scheduler of a node: coordinates its own jobs and works on those of others. */
export function createScheduler(init: SchedulerInit, components: SchedulerComponents): Scheduler {
  return new DefaultScheduler(init, components)
}

class DefaultScheduler extends TypedEventEmitter<SchedulerEvents> implements Scheduler {
  readonly #init: SchedulerInit
  readonly #components: SchedulerComponents
  readonly #log: Logger
  readonly #blocks: BlockExchange
  readonly #worker: ComputeWorker
  readonly #links: Links
  #coordinator!: Coordinator
  readonly #jobs = new Map<string, JobHandle>()
  readonly #parts = new Map<string, { job: JobHandle; part: Part; index: number }>()
  /** what linked workers said last, over their stream */
  readonly #offers = new Map<string, OfferMessage>()
  readonly #exchange: Exchange
  /** the last refusal of a linked worker */
  readonly #refusals = new Map<string, string>()
  #directoryAskedAt = 0
  readonly #outbox = new Map<string, { leases: LeasedSlice[]; programs: Part[]; revoked: number[] }>()
  readonly #controller = new AbortController()
  #store?: Store
  #memo!: MemoStore
  #pages!: JobPages
  #work!: WorkBook
  #delegation?: Delegation
  #ticker?: NodeJS.Timeout

  constructor(init: SchedulerInit, components: SchedulerComponents) {
    super()
    this.#init = init
    this.#components = components
    this.#log = components.logger.forComponent('artel:scheduler')
    const { sandbox, signer, ledger } = components
    this.#blocks = createBlockExchange({ ...components, onMissing: digest => this.#onMissing(digest) })
    this.#worker = createWorker(init.policy, {
      sandbox,
      blocks: this.#blocks,
      logger: components.logger,
      sign: (job, work) => signWork(signer, ledger.network, job, [work]).signature,
      worked: (requester, work) => this.#work.add(requester, work)
    })
    this.#links = createLinks(
      {
        findWorkers: options => this.#findWorkers(options),
        events: {
          message: (worker, message) => this.#onMessage(worker, message),
          gone: worker => this.#onGone(worker)
        }
      },
      { network: components.network, worker: this.#worker, logger: components.logger }
    )
    this.#exchange = createExchange(
      { topic: init.offersTopic, offer: () => this.#worker.offer(), linked: this.#offers },
      components
    )
  }

  async start(): Promise<void> {
    const store = openStore(join(this.#init.directory, 'jobs.sqlite'))
    this.#store = store
    this.#memo = createMemo(store.db)
    this.#pages = createJobPages(store.db)
    this.#work = createWorkBook(store.db, this.#log)
    this.#coordinator = createCoordinator(
      {
        lease: lease => this.#onLease(lease),
        revoke: ({ worker, slice }) => void this.#post(worker).revoked.push(slice),
        accept: accepted => this.#onAccept(accepted),
        retract: retracted => this.#onRetract(retracted),
        trust: (key, trust) => store.setTrust(key, trust),
        evidence: evidence => this.#onEvidence(evidence),
        end: ended => this.#onPartEnd(ended)
      },
      // unpredictable for the workers: they must not know what is compared
      {
        random: () => randomInt(RANDOM_RANGE) / RANDOM_RANGE,
        trust: store.trusts(),
        firstSlice: Date.now() * SLICES_PER_MS
      }
    )
    await this.#blocks.start()
    await this.#links.start()
    await this.#exchange.start()
    this.#resume()
    await this.#startDelegation(store)
  }

  async stop(): Promise<void> {
    this.#controller.abort()
    clearInterval(this.#ticker)
    this.#ticker = undefined
    await this.#delegation?.stop()
    await this.#exchange.stop()
    this.#worker.stop()
    await this.#links.stop()
    await this.#blocks.stop()
    if (this.#store != null) this.#work.flush()
    this.#store?.close()
    this.#store = undefined
  }

  async #startDelegation({ db }: Store): Promise<void> {
    const { ledger, network, logger } = this.#components
    if (!canPay(ledger)) return
    this.#delegation = createDelegation(
      {
        serves: this.#init.delegateFor ?? [],
        db,
        parse: spec => {
          // data is not there yet; the rest is checked where the job is started
          const found = findReferences(spec)
          return found.length === 0 ? parseSpec(spec) : (spec as TaskSpec)
        },
        copyData: (spec, from, options) => this.#copyData(spec, from, options),
        submit: (spec, id, options) => this.#submitHere(spec, options, id),
        job: id => (this.#jobs.has(id) || this.#open().job(id) != null ? this.job(id) : undefined)
      },
      { network, ledger, logger }
    )
    await this.#delegation.start()
  }

  /** Puts the data that a spec names by CID into this node's block store, from a peer. */
  async #copyData(spec: unknown, from: string, { signal }: { signal: AbortSignal }): Promise<void> {
    for (const [, { cid }] of findReferences(spec)) {
      const blocks = this.#blockstore()
      const copy = async (part: CID): Promise<void> => {
        if (await blocks.has(part)) return
        await blocks.put(part, await this.#blocks.get(from, part.multihash.digest, { signal }))
      }
      const root = readCid(cid)!
      await copy(root)
      const { chunks } = await openData(blocks, cid, { signal })
      for (const chunk of chunks) await copy(chunkCid(chunk))
    }
  }

  // ---- submit ----

  async submit(input: unknown, { delegate, ...options }: SubmitOptions = {}): Promise<Job> {
    if (delegate != null && delegate !== this.#components.network.peerId.toString())
      return this.#delegated().submit(asText(input), delegate, options)
    return this.#submitHere(input, options)
  }

  #delegated(): Delegation {
    if (this.#delegation == null)
      throw new DelegateError('this node', 'NotServedError', 'its ledger cannot pay a delegate')
    return this.#delegation
  }

  async #submitHere(input: unknown, options?: { signal?: AbortSignal }, id?: string): Promise<Job> {
    const { spec, ...inputs } = await this.#resolve(input, parseSpec, options)
    const memo = spec.memoize ? this.#memo.find(this.#memoKey(inputs.stored), spec.verify) : undefined
    return memo == null
      ? this.#submit([spec], false, options, { ...inputs, id })
      : this.#recall(inputs.stored, memo, id)
  }

  async addData(
    source: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    options?: { signal?: AbortSignal }
  ): Promise<{ cid: string; size: number }> {
    return addData(this.#blockstore(), source, options)
  }

  #blockstore(): Blocks {
    const { blocks } = this.#components
    if (blocks == null) throw new SpecError('cid', 'this node has no block store; give the data inline')
    return blocks
  }

  /** A spec with the data that it names by CID, and as it is stored. `parse`: what checks it once the data is there. */
  async #resolve<T extends object>(
    input: unknown,
    parse: (input: unknown) => T,
    options?: { signal?: AbortSignal }
  ): Promise<{ spec: T; stored: T; data?: Data[]; bytes: number }> {
    const found = findReferences(input)
    if (found.length === 0) {
      const spec = parse(input)
      return { spec, stored: spec, bytes: 0 }
    }
    const late = AbortSignal.timeout(DATA_TIMEOUT_MS)
    const signal = AbortSignal.any([
      this.#controller.signal,
      late,
      ...(options?.signal ? [options.signal] : [])
    ])
    const { spec, data, bytes } = await resolveInputs(input as object, found, this.#blockstore(), { signal })
    const parsed = parse(spec)
    return { spec: parsed, stored: withReferences(parsed, found), data, bytes }
  }

  /** A peer asked for a block that is gone: jobs that need it cannot end otherwise. */
  #onMissing(digest: Uint8Array): void {
    for (const job of this.#jobs.values()) {
      const isNeeded = job.init.data?.some(({ chunks }) =>
        chunks.some(chunk => Buffer.compare(chunk, digest) === 0)
      )
      if (!isNeeded || job.finished != null) continue
      const message = `block ${chunkCid(digest)} of its data is no longer in the block store; add the data again`
      this.#end(job, 'failed', { failure: { name: 'aborted', message } })
    }
  }

  #memoKey(stored: TaskSpec): string {
    return memoKey(stored, this.#components.sandbox.class)
  }

  /** A job that is complete at once, with the result of another. */
  #recall(spec: TaskSpec, memo: Memo, id = newId()): Job {
    const store = this.#open()
    const now = Date.now()
    const { cid, result } = memo
    const { type, name } = spec
    store.addJob({ id, type, name, submitted: now, bound: 0n }, encodeSpecs([spec]))
    this.#memo.hit(id, memo.job)
    store.endJob(id, {
      state: 'completed',
      finished: now,
      cid,
      result,
      done: 0,
      total: 0,
      retries: 0,
      shares: []
    })
    store.settled(id)
    const job = this.job(id)!
    this.#tell('job:add', job.report())
    this.#tell('job:end', job.report())
    return job
  }

  async submitMany(inputs: unknown[], options?: { signal?: AbortSignal }): Promise<Job> {
    if (inputs.length === 0) throw new SpecError('specs', 'the batch is empty; give at least one task')
    if (inputs.length > MAX_BATCH)
      throw new SpecError('specs', `${inputs.length} tasks, at most ${MAX_BATCH} in a batch; split it`)
    return this.#submit(inputs.map(inBatch), true, options)
  }

  async quote(input: unknown, options?: { signal?: AbortSignal }): Promise<Quote> {
    const { spec, bytes, stored } = await this.#resolve(input, parseSpec, options)
    const { sandbox, network } = this.#components
    const requester = network.peerId.toString()
    const signal = AbortSignal.any([this.#controller.signal, ...(options?.signal ? [options.signal] : [])])
    const work = createWork(spec, encodeValue(stored).length + bytes)
    const parts = (await work.next(undefined, part => this.#runHere(part))).map(([, part]) => part)
    const estimated = await estimate(work, parts, {
      measured: program => this.#coordinator.rate(program),
      calibrate: async part => {
        try {
          return await calibrate(part, sandbox, {
            requester,
            block: digest => this.#blocks.get(requester, digest, { signal }),
            signal
          })
        } catch (err) {
          signal.throwIfAborted()
          this.#log('no calibration: %s', (err as Error).message)
        }
      }
    })
    return quoteOf({
      ...estimated,
      memoryMb: parts[0]?.load.memoryMb ?? 0,
      priority: spec.priority,
      factors: {
        ...this.#exchange.factors(spec),
        verification: expectedCost(spec.verify, this.#trusts(spec.type))
      },
      maxPrice: spec.maxPrice
    })
  }

  forecast(): Forecast {
    return this.#exchange.forecast()
  }

  /** What is known of the linked workers in tasks of this kind. */
  #trusts(kind: string): Trust[] {
    return this.#open()
      .trusts()
      .filter(([key]) => key.endsWith(` ${kind}`) && this.#offers.has(key.slice(0, key.indexOf(' '))))
      .map(([, trust]) => trust)
  }

  /** Workers to open streams to: of those on offer the best, then what the directory finds. */
  async *#findWorkers(options: { signal: AbortSignal }): AsyncGenerator<PeerId> {
    const linked = new Set(this.#links.ids())
    const wanted = (this.#coordinator.busy ? MAX_LINKS : IDLE_LINKS) - linked.size
    if (wanted <= 0) return
    yield* this.#exchange.best(wanted, linked)
    const now = Date.now()
    const isEnough = this.#exchange.seen().length > 0 && now - this.#directoryAskedAt < DIRECTORY_INTERVAL_MS
    if (this.#init.findWorkers == null || isEnough) return
    this.#directoryAskedAt = now
    yield* this.#init.findWorkers(options)
  }

  async #submit(
    specs: TaskSpec[],
    batch: boolean,
    options?: { signal?: AbortSignal },
    inputs?: { stored: TaskSpec; data?: Data[]; bytes: number; id?: string }
  ): Promise<Job> {
    options?.signal?.throwIfAborted()
    const store = this.#open()
    const id = inputs?.id ?? newId()
    const submitted = Date.now()
    const type = batch ? 'batch' : specs[0]!.type
    const bound = boundOf(batch ? sumOfBounds(specs) : specs[0]!.maxPrice)
    const kept = inputs == null ? specs : [inputs.stored]
    // whatever is wrong with the specs shows before anything is reserved or written
    const encoded = encodeSpecs(kept)
    const specBytes = encoded.length + (inputs?.bytes ?? 0)
    const work = batch ? batchWork(specs, specBytes) : createWork(specs[0]!, specBytes)
    const escrow = await this.#components.ledger.escrow(id, bound, options)
    const name = batch ? undefined : specs[0]!.name
    store.addJob({ id, type, name, submitted, bound }, encoded)
    const job = this.#track(
      {
        id,
        type,
        name,
        specs: kept,
        data: inputs?.data,
        bound,
        submitted,
        state: 'queued',
        total: work.total
      },
      work
    )
    this.#tell('job:add', job.report())
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
    job.addEventListener('progress', ({ detail }) => this.#tell('job:progress', detail))
    job.addEventListener('end', ({ detail }) => this.#tell('job:end', detail))
    return job
  }

  #tell(type: keyof SchedulerEvents, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail }))
  }

  #run(job: JobHandle): void {
    this.#links.hungry = true
    const { multiplier: _, ...factors } = this.#exchange.factors(job.spec)
    job.factor = product(factors)
    this.#ticker ??= setInterval(() => this.#tick(), TICK_MS)
    void this.#advance(job)
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
        verification: spec!.verify,
        kind: part.load.type ?? spec!.type,
        allowed: spec!.privacy.workers && new Set(spec!.privacy.workers),
        bound: (job.init.bound * BigInt(share)) / BigInt(of),
        factor: job.factor,
        memoryMb: part.load.memoryMb,
        needs: {
          type: part.load.type ?? spec!.type,
          ramMb: part.load.memoryMb,
          tags: spec!.requirements.tags
        },
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
      void this.#resumeJob(stored)
    }
    for (const { job } of this.#components.ledger.openEscrows()) {
      if (store.job(job) == null) void this.#pay(job, [])
    }
  }

  async #resumeJob(stored: StoredJob): Promise<void> {
    const store = this.#open()
    const specs = store.specs(stored.id)
    const slices = store.slices(stored.id)
    const shares = store.shares(stored.id)
    const done = slices.reduce((sum, slice) => sum + slice.count, 0)
    // failure costs the requester nothing, also when it comes to paying only now
    const owed = stored.state === 'failed' ? [] : shares
    const track = (total: number, work?: JobHandle['work'], data?: Data[]) =>
      this.#track({ ...stored, specs, data, shares: owed, done, total }, work)
    if (stored.finished != null) {
      void this.#settle(track(done))
      return
    }
    const isSingle = stored.type !== 'batch'
    let resolved = { spec: specs[0]!, bytes: 0 } as { spec: TaskSpec; data?: Data[]; bytes: number }
    // nothing is awaited for a job whose data is inline: it is there when the scheduler has started
    if (isSingle && findReferences(specs[0]).length > 0)
      try {
        resolved = await this.#resolve(specs[0], spec => spec as TaskSpec)
      } catch (err) {
        this.#broke(track(done), err as Error)
        return
      }
    const specBytes = encodeValue(specs).length + resolved.bytes
    const work = isSingle ? createWork(resolved.spec, specBytes) : batchWork(specs, specBytes)
    const job = track(work.total, work, resolved.data)
    this.#log('job %s goes on: %d of %d units are done', job.id, done, job.total)
    for (const slice of slices) job.replay.set(slice.part, [...(job.replay.get(slice.part) ?? []), slice])
    this.#run(job)
  }

  // ---- what the coordinator decides ----

  #onLease(lease: {
    worker: string
    job: string
    slice: number
    first: number
    count: number
    expectedMs: number
    price: bigint
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
      expectedMs: lease.expectedMs,
      job: job.id,
      price: Number(lease.price)
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
      for (const slices of inMessages(leases)) link.send({ t: 'lease', slices })
    }
    this.#outbox.clear()
  }

  #onAccept({
    job: id,
    slice,
    first,
    count,
    payload,
    paid,
    proofs
  }: Accepted): 'stored' | 'malformed' | 'unstored' {
    const { job, part, index } = this.#parts.get(id)!
    const value = payload as Uint8Array
    const store = this.#open()
    try {
      store.addSlice(job.id, { part: index, first, count, slice, value, paid, works: proofs as SignedWork[] })
    } catch (err) {
      queueMicrotask(() => this.#cannotStore(job, err as Error))
      return 'unstored'
    }
    try {
      part.reducer.add(first, count, value)
    } catch (err) {
      this.#log.error('a result of %s for job %s is malformed: %e', paid[0]?.worker, job.id, err)
      store.removeSlice(job.id, index, first)
      return 'malformed'
    }
    for (const { worker, price } of paid) job.addShare(worker, count, price)
    job.done += count
    return 'stored'
  }

  /** Rare: what was reduced already contains the doubtful result, so everything else is reduced again. */
  #onRetract({ job: id, first, count }: { job: string; first: number; count: number }): void {
    const { job, part, index } = this.#parts.get(id)!
    const store = this.#open()
    store.removeSlice(job.id, index, first)
    part.reducer = part.createReducer()
    for (const slice of store.slices(job.id))
      if (slice.part === index) part.reducer.add(slice.first, slice.count, slice.value)
    job.setShares(store.shares(job.id))
    job.done -= count
  }

  /** Whoever was found wrong is told to everybody, when the signatures of two others speak against it. */
  #onEvidence({ job: id, first, count, accepted, wrong }: Parameters<Effects['evidence']>[0]): void {
    const { ledger, signer } = this.#components
    const { job } = this.#parts.get(id)!
    const others = accepted.flatMap(vote =>
      vote.proof == null ? [] : workProof(vote.proof as SignedWork, 0)
    )
    for (const vote of wrong) {
      this.#log.error(
        '%s gave a wrong result for units %d to %d of job %s',
        vote.worker,
        first,
        first + count - 1,
        job.id
      )
      if (vote.proof == null || others.length < 2) continue
      const accused = workProof(vote.proof as SignedWork, 0)
      try {
        ledger.report(signEvidence(signer, ledger.network, job.id, accused, others.slice(0, MAX_OTHERS)))
      } catch (err) {
        this.#log.error('the evidence against %s was not taken: %e', vote.worker, err)
      }
    }
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

  /** Starts the parts that can run after part `completed`, or at once; after the last one the job is complete. */
  async #advance(job: JobHandle, completed?: number): Promise<void> {
    const work = job.work!
    try {
      const next = await work.next(completed, part => this.#runHere(part))
      if (job.finished != null || this.#controller.signal.aborted) return
      job.total = work.total
      for (const [number, part] of next) this.#start(job, number, part)
      if (completed != null) {
        job.open.delete(completed)
        this.#parts.delete(partId(job.id, completed))
      }
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
    const { timeoutMs, memoryMb, t: _, program: __, type: ___, ...program } = part.load
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
    // failure costs the requester nothing
    if (state === 'failed') job.shares.clear()
    const { done, total, retries } = job
    const shares = [...job.shares.values()]
    try {
      this.#open().endJob(job.id, { state, finished: now, ...end, done, total, retries, shares })
    } catch (err) {
      // whoever waits gets the end all the same; after a restart the job goes on from what is on disk
      this.#log.error('the end of job %s could not be written: %e', job.id, err)
    }
    if (state === 'completed' && job.spec.memoize && job.init.type !== 'batch')
      this.#memo.put(this.#memoKey(job.spec), job.spec.verify, {
        job: job.id,
        cid: end.cid!,
        result: end.result!
      })
    job.end(state, now, { cid: end.cid, failure: end.failure })
    for (const index of job.open) {
      this.#coordinator.cancel(partId(job.id, index), now)
      this.#parts.delete(partId(job.id, index))
    }
    job.open.clear()
    void this.#settle(job)
  }

  /** A full or broken disk: what was accepted so far is there, but nothing more can be kept. */
  #cannotStore(job: JobHandle, { message }: Error): void {
    if (job.finished != null) return
    this.#end(job, 'failed', {
      failure: {
        name: 'aborted',
        message: `this node cannot write results to ${this.#init.directory} (${message}); make room there and submit the job again`
      }
    })
    this.#flush()
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
    const receipts = payments.length === 0 ? undefined : this.#receipts(job.id)?.root
    if (!(await this.#pay(job.id, payments, receipts))) return
    this.#store?.settled(job.id)
    job.markSettled()
    this.#jobs.delete(job.id)
  }

  /** Both signatures under all work of a job; undefined when nobody was paid. */
  #receipts(job: string): Receipts | undefined {
    const { ledger, signer } = this.#components
    const works = this.#paidWorks(job)
    return works.length === 0 ? undefined : createReceipts(signer, ledger.network, job, works)
  }

  /** What this node did itself is not paid and needs no receipt. */
  #paidWorks(job: string): SignedWork[] {
    const own = this.#components.ledger.account
    return this.#open()
      .works(job)
      .filter(work => work.worker !== own)
  }

  receipts(job: string): { worker: string; slice: number; receipt: Uint8Array }[] {
    const receipts = this.#receipts(job)
    return this.#paidWorks(job).map(({ worker, slices: [work] }) => ({
      worker,
      slice: work!.slice,
      receipt: receipts!.receipt(worker, work!.slice)
    }))
  }

  /** false when this node stops before the settlement is certified; it is repeated after the next start. */
  async #pay(
    job: string,
    payments: { to: string; amount: bigint; slices: number }[],
    receipts?: Uint8Array
  ): Promise<boolean> {
    try {
      await this.#components.ledger.settle(job, payments, { signal: this.#controller.signal, receipts })
      return true
    } catch (err) {
      if (!this.#controller.signal.aborted) this.#log.error('job %s is not settled yet: %e', job, err)
      return false
    }
  }

  // ---- what workers say ----

  #onMessage(worker: string, message: FromWorker): void {
    // an answer that comes while this node stops has no store to go to; its slice is leased again after the start
    if (this.#controller.signal.aborted) return
    const now = Date.now()
    this.#coordinator.seen(worker, now)
    switch (message.t) {
      case 'offer': {
        const lent = (this.#offers.get(worker)?.slots ?? 0) > 0
        this.#offers.set(worker, message)
        this.#coordinator.offer(worker, this.#offered(worker, message), now)
        const lends = message.slots > 0 && this.#lends(worker)
        if (lends !== lent) this.#tell(lends ? 'worker:add' : 'worker:remove', this.#info(worker, message))
        break
      }
      case 'result':
        this.#coordinator.answer(
          worker,
          message.slices.flatMap(result => this.#weigh(worker, result)),
          now
        )
        break
      case 'refused':
        this.#log('%s refused %d slices: %s', worker, message.slices.length, message.reason)
        this.#refusals.set(worker, message.reason)
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

  #offered(worker: string, message: OfferMessage): WorkerOffer {
    const { slots, window, class: kind, multiplier } = message
    const own = worker === this.#components.network.peerId.toString()
    const address = own
      ? undefined
      : this.#components.network.getConnections(peerIdFromString(worker))[0]?.remoteAddr
    return {
      slots,
      window,
      class: kind,
      own,
      // what the owner's own machine does costs nothing
      multiplier: own ? 1 : multiplier,
      cost: own ? 1 : this.#exchange.cost(worker, multiplier),
      serves: message,
      lastResort: own && this.#init.policy.slots === 0,
      group: address && addressGroup(address.toString())
    }
  }

  #weigh(worker: string, result: SliceResult): { slice: number; answer: Answer }[] {
    const held = this.#coordinator.held(result.id, worker)
    const entry = held && this.#parts.get(held.job)
    // late, or never asked for
    if (held == null || entry == null) return []
    const { ledger } = this.#components
    const digest = digestOf(result.outcomes)
    const slices = [{ slice: result.id, digest, amount: held.price }]
    const proof: SignedWork = { worker, slices, signature: result.signature }
    if (worker !== ledger.account && !isWorkSigned(ledger.network, entry.job.id, proof)) {
      const failure: Failure = { name: 'invalid-result', message: `the answer is not signed by ${worker}` }
      return [{ slice: result.id, answer: { failure, ms: result.ms } }]
    }
    const packed = entry.part.pack(result.outcomes, held.count)
    if (!(packed instanceof Uint8Array))
      return [{ slice: result.id, answer: { failure: packed, ms: result.ms } }]
    const name = Buffer.from(digest).toString('base64url')
    return [{ slice: result.id, answer: { digest: name, payload: packed, ms: result.ms, proof } }]
  }

  #onGone(worker: string): void {
    const offer = this.#offers.get(worker)
    this.#offers.delete(worker)
    this.#exchange.gone(worker)
    this.#refusals.delete(worker)
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
    this.#links.hungry = false
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
    if (stored == null) return this.#delegation?.job(id)
    const { done, total, retries, shares } = reportOf(stored)
    const job = this.#track({
      ...stored,
      specs: this.#open().specs(id),
      memoOf: this.#memo.source(id),
      shares,
      done,
      total,
      retries
    })
    job.markSettled()
    this.#jobs.delete(id)
    return job
  }

  jobs(query: JobQuery): JobPage {
    this.#open()
    const { items, total } = this.#pages.page(query)
    const report = (stored: StoredJob): JobReport =>
      this.#jobs.get(stored.id)?.report() ?? reportOf(stored, this.#memo.source(stored.id))
    return { items: items.map(report), total }
  }

  slices(id: string): JobSlices | undefined {
    const store = this.#open()
    if (store.job(id) == null) return
    const now = Date.now()
    const open = [...(this.#jobs.get(id)?.open ?? [])].flatMap(part =>
      this.#coordinator
        .leases(partId(id, part))
        .map(({ at, ...lease }) => ({ part, ...lease, sinceMs: Math.max(0, now - at) }))
    )
    const items = store.spans(id).map(({ paid, ...span }) => ({
      ...span,
      workers: paid.map(({ worker, price }) => ({ worker, paid: price }))
    }))
    return { items, open }
  }

  spec(id: string): TaskSpec | TaskSpec[] | undefined {
    const stored = this.#open().job(id)
    if (stored == null) return this.#delegation?.job(id)?.spec
    const specs = this.#open().specs(id)
    return stored.type === 'batch' ? specs : specs[0]
  }

  workers(): WorkerInfo[] {
    const own = this.#components.network.peerId.toString()
    const mine = this.#offers.get(own)
    return [
      ...(mine != null && this.#lends(own) ? [this.#info(own, mine)] : []),
      ...this.#exchange.seen().map(offer => this.#info(offer.peer, offer))
    ]
  }

  workDone(): WorkDone {
    return { running: this.#worker.lent, ...this.#work.today() }
  }

  /** false for this node itself where it lends nothing: then it only compares for its owner */
  #lends(worker: string): boolean {
    return this.#init.policy.slots > 0 || worker !== this.#components.network.peerId.toString()
  }

  #info(peer: string, { class: kind, slots, walled, multiplier, minPriceMicro }: OfferFields): WorkerInfo {
    const { leased = 0, accepted = 0, failed = 0 } = this.#coordinator.worker(peer) ?? {}
    return {
      peer,
      class: kind,
      slots,
      walled,
      multiplier,
      minPrice: BigInt(minPriceMicro),
      refusal: this.#refusals.get(peer),
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

/** Leases in messages that stay well below the largest frame; one slice alone may be larger. */
function* inMessages(leases: LeasedSlice[]): Generator<LeasedSlice[]> {
  let message: LeasedSlice[] = []
  let bytes = 0
  for (const lease of leases) {
    const size = lease.inputs.reduce((sum, input) => sum + ('size' in input ? input.size : input.length), 0)
    if (message.length === MAX_SLICES_PER_MESSAGE || (message.length > 0 && bytes + size > LEASE_BYTES)) {
      yield message
      message = []
      bytes = 0
    }
    message.push(lease)
    bytes += size
  }
  if (message.length > 0) yield message
}

/** Throws SpecError when a value in the specs cannot travel. */
function encodeSpecs(specs: TaskSpec[]): Uint8Array {
  try {
    return encodeValue(specs)
  } catch (err) {
    throw new SpecError('spec', `holds a value that cannot travel: ${(err as Error).message}`)
  }
}

const newId = (): string => randomBytes(8).toString('hex')

const partId = (job: string, index: number): string => `${job}/${index}`

const cidOf = (bytes: Uint8Array): string =>
  CID.createV1(raw.code, createDigest(0x12, hash('sha256', bytes, 'buffer'))).toString()

function inBatch(input: unknown, index: number): PlannedSpec {
  try {
    const spec = parseSpec(input)
    if (isPlanned(spec)) return spec
    throw new SpecError('type', `${spec.type} is a job of its own, not one of a batch; use submit`)
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

/** A ledger without transfers can neither pay a delegate nor be one's. */
function canPay(ledger: Partial<DelegationLedger>): ledger is DelegationLedger {
  return ledger.transfer != null && ledger.history != null
}
