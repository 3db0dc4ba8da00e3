import { join } from 'node:path'
import type { ComponentLogger, PeerId } from '@libp2p/interface'
import { type Ledger, type Signer, signWork } from '../ledger/index.ts'
import type { Sandbox } from '../sandbox/index.ts'
import type { SchedulerEvents } from './contract.ts'
import type { Blocks } from './data/chunked-data.ts'
import { datasetIn, findReferences } from './data/references.ts'
import { SpecError } from './errors.ts'
import { createDatasets } from './jobs/datasets.ts'
import { createDelegating } from './jobs/delegate-job.ts'
import { createDelegationBook } from './jobs/delegation-book.ts'
import { createPeers } from './jobs/hear-workers.ts'
import { createQuotes } from './jobs/quote-job.ts'
import { createBounds } from './jobs/reserve-bound.ts'
import { createDataAccess } from './jobs/resolve-data.ts'
import { resumeJobs } from './jobs/resume-jobs.ts'
import { createRuns } from './jobs/running-jobs.ts'
import { createDelegates } from './jobs/serve-delegates.ts'
import { createSettlement } from './jobs/settle-job.ts'
import { createSubmission } from './jobs/submit-job.ts'
import { runtimes } from './market/match.ts'
import type { OfferPubSub } from './market/offer-gossip.ts'
import { createExchange } from './market/workers-on-offer.ts'
import type { OfferMessage } from './protocol/compute-messages.ts'
import type { ComputeNetwork } from './protocol/network.ts'
import type { PeerCosts } from './protocol/peer-costs.ts'
import { createDatasetRows } from './store/dataset-rows.ts'
import { createJobPages } from './store/job-pages.ts'
import { openStore } from './store/job-store.ts'
import { createMemo } from './store/memo.ts'
import { createBlockExchange } from './streams/block-exchange.ts'
import { createOutbox } from './streams/lease-outbox.ts'
import { createReleases } from './streams/release-kept.ts'
import { createLinks } from './streams/worker-links.ts'
import { keepOf } from './tasks/fields.ts'
import { parseSpec } from './tasks/parse-spec.ts'
import type { TaskSpec } from './tasks/registry.ts'
import { createKeptBlocks } from './worker/kept-blocks.ts'
import { openKeptData } from './worker/kept-data.ts'
import type { WorkerPolicy } from './worker/lending-policy.ts'
import { createWorkBook } from './worker/lent-today.ts'
import { createCredit } from './worker/unsecured-work.ts'
import { createWorker } from './worker/worker.ts'

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
  ledger: Pick<
    Ledger,
    | 'account'
    | 'balance'
    | 'network'
    | 'hold'
    | 'escrow'
    | 'settle'
    | 'hurry'
    | 'openEscrows'
    | 'escrowOf'
    | 'report'
    | 'reputation'
    | 'transfer'
    | 'transferOf'
    | 'addEventListener'
    | 'removeEventListener'
  >
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

/** What there is of a scheduler between start and stop. `tell`: what happens to jobs and workers. */
export function assembleScheduler(
  init: SchedulerInit & { tell(event: keyof SchedulerEvents, detail: unknown): void },
  components: SchedulerComponents
) {
  const { directory, policy, findWorkers, tell, delegateFor = [] } = init
  const { network, sandbox, ledger, signer, logger, costs, blocks: blockstore } = components
  const log = logger.forComponent('artel:scheduler')
  const requester = network.peerId.toString()
  const controller = new AbortController()
  const { signal } = controller
  // a delegate runs the code of others as its own jobs: then walls must stand for these too
  const trustsOwn = delegateFor.length === 0
  /** what linked workers said last, over their stream */
  const offers = new Map<string, OfferMessage>()
  const kept = createKeptBlocks()
  const stays = openKeptData({ folder: join(directory, 'kept'), self: requester })

  const store = openStore(join(directory, 'jobs.sqlite'))
  const memo = createMemo(store.db)
  const pages = createJobPages(store.db)
  const work = createWorkBook(store.db, log)

  // ---- with other nodes ----

  const blocks = createBlockExchange({
    ...components,
    kept: { get: block => kept.get(block) ?? stays.get(block) },
    onMissing: digest => runs.missing(digest)
  })
  const worker = createWorker(
    { policy, trustsOwn, runtimes: runtimes() },
    {
      sandbox,
      blocks,
      kept,
      stays,
      costs,
      logger,
      sign: (job, work) => signWork(signer, ledger.network, job, [work]).signature,
      worked: work.add,
      credit: createCredit(ledger)
    }
  )
  const links = createLinks(
    {
      findWorkers: options => peers.find(options),
      events: {
        message: (from, message, spentMs) => peers.message(from, message, spentMs),
        gone: from => peers.gone(from)
      }
    },
    { network, worker, costs, logger }
  )
  const exchange = createExchange(
    { topic: init.offersTopic, offer: () => worker.offer(), linked: offers },
    components
  )

  // ---- a job's way ----

  const outbox = createOutbox(links.get)
  const settlement = createSettlement({ signal }, { store, ledger, signer, log })
  const runs = createRuns(
    {
      directory,
      trustsOwn,
      signal,
      tell,
      refusal: from => peers.refusal(from),
      onBusy: isBusy => {
        links.hungry = isBusy
      }
    },
    { requester, store, memo, sandbox, exchange, offers, outbox, settlement, log }
  )
  const peers = createPeers(
    { policy, findWorkers, signal, tell },
    { offers, network, ledger, exchange, links, outbox, runs, costs, log }
  )
  const releases = createReleases({ network, stays, log })
  const datasets = createDatasets(
    {
      signal,
      user: runs.user,
      failUsers: runs.failUsers,
      submit: spec => submission.submit(spec)
    },
    { self: requester, store, rows: createDatasetRows(store.db), blocks, stays, releases, log }
  )
  const data = createDataAccess({ signal }, { blockstore, blocks, datasets })
  const bounds = createBounds({ ledger, exchange, rate: program => runs.coordinator.rate(program) })
  const submission = createSubmission(
    { directory, tell },
    { store, memo, sandbox, ledger, data, runs, settlement, bounds, datasets }
  )
  const quote = createQuotes(
    { signal },
    { requester, store, sandbox, blocks, data, exchange, bounds, offers, runs, log }
  )
  const job = (id: string) => runs.get(id) ?? submission.load(id)

  // ---- jobs of others, and own ones elsewhere ----

  // data is not there yet; the rest is checked where the job is started
  const parse = (spec: unknown): TaskSpec => {
    // what stayed at workers is known to the node that asked for it
    if (datasetIn(spec) != null)
      throw new SpecError('items', 'a dataset is for jobs that its own node coordinates')
    if (keepOf(Object(spec))) throw new SpecError('keep', 'is for jobs that this node coordinates itself')
    return findReferences(spec).length === 0 ? parseSpec(spec) : (spec as TaskSpec)
  }
  const book = createDelegationBook(store.db)
  const delegating = createDelegating({ parse }, { network, ledger, book, logger })
  const delegates = createDelegates(
    {
      serves: delegateFor,
      parse,
      copyData: data.copy,
      submit: (spec, id, options) => submission.submit(spec, options, id),
      job,
      now: () => performance.now()
    },
    { network, ledger, book, logger }
  )

  return {
    store,
    memo,
    pages,
    work,
    worker,
    exchange,
    settlement,
    runs,
    peers,
    data,
    submission,
    quote,
    job,
    delegating,
    datasets,

    async start(): Promise<void> {
      await blocks.start()
      await links.start()
      await exchange.start()
      await releases.start()
      datasets.start()
      settlement.takeUp()
      resumeJobs({ store, data, runs, settlement, log })
      delegating.start()
      await delegates.start()
    },

    async stop(): Promise<void> {
      controller.abort()
      runs.stop()
      datasets.stop()
      delegating.stop()
      await delegates.stop()
      await exchange.stop()
      worker.stop()
      await links.stop()
      await releases.stop()
      await blocks.stop()
      work.flush()
      store.close()
    }
  }
}

export type AssembledScheduler = ReturnType<typeof assembleScheduler>
