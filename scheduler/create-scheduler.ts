import { join } from 'node:path'
import type { ComponentLogger, PeerId } from '@libp2p/interface'
import { TypedEventEmitter } from 'main-event'
import { type Ledger, type Signer, signWork } from '../ledger/index.ts'
import type { Sandbox } from '../sandbox/index.ts'
import type {
  DataStream,
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
import { addData, type Blocks } from './data/chunked-data.ts'
import { findReferences } from './data/references.ts'
import { DelegateError } from './errors.ts'
import { createPeers, type Peers } from './jobs/hear-workers.ts'
import { createRuns, type Runs } from './jobs/running-jobs.ts'
import { createDelegation, type Delegation, type DelegationLedger } from './jobs/serve-delegates.ts'
import { createSettlement, type Settlement } from './jobs/settle-job.ts'
import { createSubmission, type Submission } from './jobs/submit-job.ts'
import type { OfferPubSub } from './market/offer-book.ts'
import type { Quote } from './market/price.ts'
import type { Forecast } from './market/price-level.ts'
import { createExchange, type Exchange } from './market/workers-on-offer.ts'
import type { OfferMessage } from './protocol/compute-messages.ts'
import type { ComputeNetwork } from './protocol/network.ts'
import type { PeerCosts } from './protocol/peer-costs.ts'
import { createJobPages, type JobPages, reportOf } from './store/job-pages.ts'
import { openStore, type Store, type StoredJob } from './store/job-store.ts'
import { createMemo, type MemoStore } from './store/memo.ts'
import { type BlockExchange, createBlockExchange } from './streams/block-exchange.ts'
import { createOutbox } from './streams/lease-outbox.ts'
import { createLinks, type Links } from './streams/worker-links.ts'
import { asText } from './tasks/author-source.ts'
import { parseSpec } from './tasks/parse-spec.ts'
import type { TaskSpec } from './tasks/registry.ts'
import { createKeptBlocks } from './worker/kept-blocks.ts'
import type { WorkerPolicy } from './worker/lending-policy.ts'
import { createWorkBook, type WorkBook } from './worker/lent-today.ts'
import { createCredit } from './worker/unsecured-work.ts'
import { type ComputeWorker, createWorker } from './worker/worker.ts'

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
  ledger: Pick<Ledger, 'account' | 'network' | 'escrow' | 'settle' | 'openEscrows' | 'escrowOf' | 'report'> &
    Partial<Pick<Ledger, 'reputation' | keyof DelegationLedger>>
  /** for the offers of workers; without it only connected workers are known */
  pubsub?: OfferPubSub
  /** where data by CID lies; without it every input is inline */
  blocks?: Blocks
  /** of this node's key */
  signer: Signer
  /** what peers may cost this node; `UNCOUNTED` where all are friends */
  costs: PeerCosts
  logger: ComponentLogger
}

/** Makes the scheduler of a node: coordinates its own jobs and works on those of others. */
export function createScheduler(init: SchedulerInit, components: SchedulerComponents): Scheduler {
  return new DefaultScheduler(init, components)
}

/** What there is between start and stop. */
interface Started {
  store: Store
  memo: MemoStore
  pages: JobPages
  work: WorkBook
  runs: Runs
  peers: Peers
  submission: Submission
  settlement: Settlement
  delegation?: Delegation
}

class DefaultScheduler extends TypedEventEmitter<SchedulerEvents> implements Scheduler {
  readonly #init: SchedulerInit
  readonly #components: SchedulerComponents
  /** what linked workers said last, over their stream */
  readonly #offers = new Map<string, OfferMessage>()
  readonly #blocks: BlockExchange
  readonly #worker: ComputeWorker
  readonly #links: Links
  readonly #exchange: Exchange
  readonly #controller = new AbortController()
  #started?: Started

  constructor(init: SchedulerInit, components: SchedulerComponents) {
    super()
    this.#init = init
    this.#components = components
    const { sandbox, signer, ledger, logger, network, costs } = components
    const kept = createKeptBlocks()
    this.#blocks = createBlockExchange({
      ...components,
      kept,
      onMissing: digest => this.#started?.runs.missing(digest)
    })
    this.#worker = createWorker(
      { policy: init.policy, trustsOwn: trustsOwn(init) },
      {
        sandbox,
        blocks: this.#blocks,
        kept,
        costs,
        logger,
        sign: (job, work) => signWork(signer, ledger.network, job, [work]).signature,
        worked: (requester, work) => this.#started?.work.add(requester, work),
        credit: createCredit(ledger)
      }
    )
    this.#links = createLinks(
      {
        findWorkers: options => this.#open().peers.find(options),
        events: {
          message: (worker, message, spentMs) => this.#started?.peers.message(worker, message, spentMs),
          gone: worker => this.#started?.peers.gone(worker)
        }
      },
      { network, worker: this.#worker, costs, logger }
    )
    this.#exchange = createExchange(
      { topic: init.offersTopic, offer: () => this.#worker.offer(), linked: this.#offers },
      components
    )
  }

  async start(): Promise<void> {
    this.#started = this.#build()
    await this.#blocks.start()
    await this.#links.start()
    await this.#exchange.start()
    this.#started.submission.resume()
    this.#started.settlement.freeOrphans()
    this.#started.delegation = this.#createDelegation(this.#started)
    await this.#started.delegation?.start()
  }

  async stop(): Promise<void> {
    this.#controller.abort()
    this.#started?.runs.stop()
    await this.#started?.delegation?.stop()
    await this.#exchange.stop()
    this.#worker.stop()
    await this.#links.stop()
    await this.#blocks.stop()
    this.#started?.work.flush()
    this.#started?.store.close()
    this.#started = undefined
  }

  #build(): Started {
    const { network, sandbox, ledger, signer, logger, costs, blocks: blockstore } = this.#components
    const { directory, policy, findWorkers } = this.#init
    const { signal } = this.#controller
    const log = logger.forComponent('artel:scheduler')
    const requester = network.peerId.toString()
    const [offers, links, exchange, blocks] = [this.#offers, this.#links, this.#exchange, this.#blocks]
    const store = openStore(join(directory, 'jobs.sqlite'))
    const memo = createMemo(store.db)
    const pages = createJobPages(store.db)
    const work = createWorkBook(store.db, log)
    const tell = (event: keyof SchedulerEvents, detail: unknown): void => {
      this.dispatchEvent(new CustomEvent(event, { detail }))
    }
    const outbox = createOutbox(links.get)
    const settlement = createSettlement({ signal }, { store, ledger, signer, log })
    const runs = createRuns(
      {
        directory,
        trustsOwn: trustsOwn(this.#init),
        signal,
        tell,
        onBusy: isBusy => {
          links.hungry = isBusy
        }
      },
      { requester, store, memo, sandbox, exchange, outbox, settlement, log }
    )
    const peers = createPeers(
      { policy, findWorkers, signal, tell },
      { offers, network, ledger, exchange, links, outbox, runs, costs, log }
    )
    const submission = createSubmission(
      { directory, signal, tell },
      { requester, store, memo, sandbox, ledger, blocks, blockstore, exchange, offers, runs, settlement, log }
    )
    return { store, memo, pages, work, runs, peers, submission, settlement }
  }

  #createDelegation({ store: { db }, submission }: Started): Delegation | undefined {
    const { ledger, network, logger } = this.#components
    if (!canPay(ledger)) return
    return createDelegation(
      {
        serves: this.#init.delegateFor ?? [],
        db,
        parse: spec => {
          // data is not there yet; the rest is checked where the job is started
          const found = findReferences(spec)
          return found.length === 0 ? parseSpec(spec) : (spec as TaskSpec)
        },
        copyData: submission.copyData,
        submit: (spec, id, options) => submission.submit(spec, options, id),
        job: id => this.#jobHere(id)
      },
      { network, ledger, logger }
    )
  }

  async submit(input: unknown, { delegate, id, ...options }: SubmitOptions = {}): Promise<Job> {
    const { submission, delegation } = this.#open()
    if (delegate == null || delegate === this.#components.network.peerId.toString())
      return submission.submit(input, options, id)
    if (delegation == null)
      throw new DelegateError('this node', 'NotServedError', 'its ledger cannot pay a delegate')
    return delegation.submit(asText(input), delegate, options)
  }

  async submitMany(
    inputs: unknown[],
    { id, ...options }: Omit<SubmitOptions, 'delegate'> = {}
  ): Promise<Job> {
    return this.#open().submission.submitMany(inputs, options, id)
  }

  async quote(input: unknown, options?: { signal?: AbortSignal }): Promise<Quote> {
    return this.#open().submission.quote(input, options)
  }

  async data(cid: string, options?: { signal?: AbortSignal }): Promise<DataStream> {
    return this.#open().submission.data(cid, options)
  }

  async addData(
    source: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    options?: { signal?: AbortSignal }
  ): Promise<{ cid: string; size: number }> {
    return addData(this.#open().submission.blockstore(), source, options)
  }

  forecast(): Forecast {
    return this.#exchange.forecast()
  }

  job(id: string): Job | undefined {
    return this.#jobHere(id) ?? this.#open().delegation?.job(id)
  }

  #jobHere(id: string): Job | undefined {
    const { runs, submission } = this.#open()
    return runs.get(id) ?? submission.load(id)
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
    if (store.job(id) == null) return
    const now = Date.now()
    const open = runs.leases(id).map(({ at, ...lease }) => ({ ...lease, sinceMs: Math.max(0, now - at) }))
    const items = store.spans(id).map(({ paid, ...span }) => ({
      ...span,
      workers: paid.map(({ worker, price }) => ({ worker, paid: price }))
    }))
    return { items, open }
  }

  spec(id: string): TaskSpec | TaskSpec[] | undefined {
    const { store, delegation } = this.#open()
    const stored = store.job(id)
    if (stored == null) return delegation?.job(id)?.spec
    const specs = store.specs(id)
    return stored.type === 'batch' ? specs : specs[0]
  }

  workers(): WorkerInfo[] {
    return this.#started?.peers.list() ?? []
  }

  workDone(): WorkDone {
    return { running: this.#worker.lent, ...this.#open().work.today() }
  }

  receipts(job: string): { worker: string; slice: number; receipt: Uint8Array }[] {
    return this.#open().settlement.receipts(job)
  }

  #open(): Started {
    if (this.#started == null) throw new Error('The scheduler is not started')
    return this.#started
  }
}

/** A ledger without transfers can neither pay a delegate nor be one's. */
function canPay(ledger: Partial<DelegationLedger>): ledger is DelegationLedger {
  return ledger.transfer != null && ledger.transferOf != null
}

/** A delegate runs the code of others as its own jobs: then walls must stand for these too. */
const trustsOwn = ({ delegateFor = [] }: SchedulerInit): boolean => delegateFor.length === 0
