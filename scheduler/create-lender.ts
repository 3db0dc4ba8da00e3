import type { ComponentLogger, Startable } from '@libp2p/interface'
import { type Ledger, type Signer, signWork } from '../ledger/index.ts'
import type { Sandbox } from '../sandbox/index.ts'
import { COMPUTE_PROTOCOL } from './protocol/compute-messages.ts'
import type { ComputeNetwork } from './protocol/network.ts'
import { UNCOUNTED } from './protocol/peer-costs.ts'
import { createBlockExchange } from './streams/block-exchange.ts'
import { serveRequesters } from './streams/serve-requesters.ts'
import { createKeptBlocks } from './worker/kept-blocks.ts'
import type { KeptData } from './worker/kept-data.ts'
import type { WorkerPolicy } from './worker/lending-policy.ts'
import { createCredit } from './worker/unsecured-work.ts'
import { createWorker } from './worker/worker.ts'

// Of a page's memory: it does the work of small machines, and what it lost is calculated again.
const KEPT_BYTES = 64 * 1024 * 1024

const NO_ROOM = 'this worker keeps no data'
/** Results for later jobs have no place without a disk. */
const NOWHERE: KeptData = {
  objection: () => NO_ROOM,
  put: () => NO_ROOM,
  get: () => undefined,
  release: () => 0,
  expire: () => undefined,
  bytes: 0
}

export interface LenderInit {
  policy: WorkerPolicy
  /** id of the network, under which answers are signed */
  network: string
  /** Slices were done for somebody. */
  worked(requester: string, work: { slices: number; ms: number; earned: bigint }): void
}

export interface LenderComponents {
  network: Pick<ComputeNetwork, 'peerId' | 'handle' | 'unhandle' | 'dialProtocol'>
  sandbox: Sandbox
  /** of this peer's key, which is the account that is paid */
  signer: Signer
  /** as far as somebody tells: what it does not know of is done on the requester's word (unsecured-work.ts) */
  ledger: Pick<Ledger, 'escrowOf'>
  logger: ComponentLogger
}

/** The worker's side of a scheduler alone: lends to whoever opens a stream, coordinates nothing and keeps nothing on disk. */
export function createLender(
  { policy, network: id, worked }: LenderInit,
  { network, sandbox, signer, ledger, logger }: LenderComponents
): Startable & { readonly lent: number } {
  const log = logger.forComponent('artel:lender')
  const kept = createKeptBlocks({ maxBytes: KEPT_BYTES })
  const blocks = createBlockExchange({ network, kept, logger })
  const worker = createWorker(
    { policy, trustsOwn: false, runtimes: [] },
    {
      sandbox,
      blocks,
      kept,
      stays: NOWHERE,
      logger,
      worked,
      costs: UNCOUNTED,
      sign: (job, work) => signWork(signer, id, job, [work]).signature,
      credit: createCredit(ledger)
    }
  )
  return {
    get lent() {
      return worker.lent
    },
    async start() {
      await blocks.start()
      await serveRequesters(network, { worker, costs: UNCOUNTED, log })
    },
    async stop() {
      worker.stop()
      await network.unhandle(COMPUTE_PROTOCOL)
      await blocks.stop()
    }
  }
}
