import { TypedEventEmitter } from 'main-event'
import {
  type AssembledScheduler,
  assembleScheduler,
  type SchedulerComponents,
  type SchedulerInit
} from './assemble-scheduler.ts'
import type {
  DataStream,
  Datasets,
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
import { addData } from './data/chunked-data.ts'
import type { Quote } from './market/price.ts'
import type { Forecast } from './market/price-level.ts'
import { reportOf } from './store/job-pages.ts'
import type { StoredJob } from './store/job-rows.ts'
import { asText } from './tasks/authored.ts'
import type { TaskSpec } from './tasks/registry.ts'

/** Makes the scheduler of a node: coordinates its own jobs and works on those of others. It may start again after a stop. */
export function createScheduler(init: SchedulerInit, components: SchedulerComponents): Scheduler {
  return new DefaultScheduler(init, components)
}

class DefaultScheduler extends TypedEventEmitter<SchedulerEvents> implements Scheduler {
  readonly #init: SchedulerInit
  readonly #components: SchedulerComponents
  #started?: AssembledScheduler

  constructor(init: SchedulerInit, components: SchedulerComponents) {
    super()
    this.#init = init
    this.#components = components
  }

  async start(): Promise<void> {
    if (this.#started != null) return
    const tell = (event: keyof SchedulerEvents, detail: unknown): void => {
      this.dispatchEvent(new CustomEvent(event, { detail }))
    }
    this.#started = assembleScheduler({ ...this.#init, tell }, this.#components)
    await this.#started.start()
  }

  async stop(): Promise<void> {
    await this.#started?.stop()
    this.#started = undefined
  }

  async submit(input: unknown, { delegate, id, ...options }: SubmitOptions = {}): Promise<Job> {
    const { submission, delegating } = this.#open()
    return delegate == null || delegate === this.#components.network.peerId.toString()
      ? submission.submit(input, options, id)
      : delegating.submit(asText(input), delegate, { ...options, id })
  }

  async submitMany(
    inputs: unknown[],
    { id, ...options }: Omit<SubmitOptions, 'delegate'> = {}
  ): Promise<Job> {
    return this.#open().submission.submitMany(inputs, options, id)
  }

  async quote(input: unknown, options?: { signal?: AbortSignal }): Promise<Quote> {
    return this.#open().quote(input, options)
  }

  async data(cid: string, options?: { signal?: AbortSignal; expires?: number }): Promise<DataStream> {
    return this.#open().data.open(cid, options)
  }

  async addData(
    source: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    options?: { signal?: AbortSignal }
  ): Promise<{ cid: string; size: number }> {
    return addData(this.#open().data.blockstore(), source, options)
  }

  get datasets(): Datasets {
    return this.#open().datasets
  }

  forecast(): Forecast {
    return this.#open().exchange.forecast()
  }

  job(id: string): Job | undefined {
    const { job, delegating } = this.#open()
    return job(id) ?? delegating.job(id)
  }

  jobs(query: JobQuery): JobPage {
    const { pages, runs, memo } = this.#open()
    const { items, total } = pages.page(query)
    const report = (stored: StoredJob): JobReport =>
      runs.get(stored.id)?.report() ?? reportOf(stored, memo.source(stored.id))
    return { items: items.map(report), total }
  }

  slices(id: string): JobSlices | undefined {
    const { store, runs } = this.#open()
    if (!store.has(id)) return
    const now = Date.now()
    const open = runs.leases(id).map(({ at, ...lease }) => ({ ...lease, sinceMs: Math.max(0, now - at) }))
    const items = store.spans(id).map(({ paid, ...span }) => ({
      ...span,
      workers: paid.map(({ worker, price }) => ({ worker, paid: price }))
    }))
    return { items, open }
  }

  spec(id: string): TaskSpec | TaskSpec[] | undefined {
    const { store, delegating } = this.#open()
    const stored = store.job(id)
    if (stored == null) return delegating.job(id)?.spec
    const specs = store.specsOrNone(id)
    return stored.type === 'batch' ? specs : specs[0]
  }

  workers(): WorkerInfo[] {
    return this.#started?.peers.list() ?? []
  }

  workDone(): WorkDone {
    const { worker, work } = this.#open()
    return { running: worker.lent, ...work.today() }
  }

  receipts(job: string): { worker: string; slice: number; receipt: Uint8Array }[] {
    return this.#open().settlement.receipts(job)
  }

  #open(): AssembledScheduler {
    if (this.#started == null) throw new Error('The scheduler is not started')
    return this.#started
  }
}
