import type { ComponentLogger, Startable, TypedEventTarget } from '@libp2p/interface'
import type { Ledger } from '../../ledger/index.ts'
import type {
  Job,
  JobReport,
  JobState,
  Progress,
  Scheduler,
  SubmitOptions,
  WorkerInfo
} from '../../scheduler/index.ts'
import type { Directory } from '../directory/index.ts'
import type { Contribution, ContributionPatch, Network, PeerRow, Setting } from './schema.ts'

export interface GatewayInit {
  /** default: 127.0.0.1 */
  host: string
  /** 0: any free one */
  port: number
  /** Nobody asked for this very port: when it is in use, take a free one. */
  portIsDefault?: boolean
  /** keeps tokens and idempotency keys; `gateway.json` there tells clients of this machine the address */
  dataFolder: string
  /** web origins beside our own that may call, as in https://example.org */
  origins: readonly string[]
  /** further names that the Host header may have, for a node behind a proxy */
  hosts?: readonly string[]
  /** folder of the built dashboard; without it only the API is served */
  ui?: string
}

/** HTTP API and dashboard of one node. */
export interface Gateway extends Startable {
  /** http://host:port, or undefined while it is not started */
  readonly url: string | undefined
  /** the admin token of the data folder; made at the first start */
  readonly token: string | undefined
}

export interface GatewayComponents {
  scheduler: GatewayScheduler
  ledger: Pick<
    Ledger,
    | 'account'
    | 'balance'
    | 'supply'
    | 'history'
    | 'transfer'
    | 'reputation'
    | 'top'
    | 'epoch'
    | 'addEventListener'
    | 'removeEventListener'
  >
  directory: Pick<Directory, 'announced' | 'find'>
  node: GatewayNode
  metrics: { metrics(): Promise<string>; contentType: string }
  /** the one table from the name of an error to its HTTP status */
  verdict(error: { name: string }): { status: number }
  logger: ComponentLogger
}

export interface GatewaySchedulerEvents {
  'worker:add': CustomEvent<WorkerInfo>
  'worker:remove': CustomEvent<WorkerInfo>
  'job:add': CustomEvent<JobReport>
  'job:progress': CustomEvent<Progress>
  'job:end': CustomEvent<JobReport>
}

export interface JobQuery {
  limit: number
  /** place after which the page begins: the last job of the page before */
  before?: { submitted: number; id: string }
  state?: JobState
  type?: string
}

/** What the gateway uses of the scheduler. */
export interface GatewayScheduler
  extends Pick<Scheduler, 'quote' | 'forecast' | 'addData' | 'job' | 'workers' | 'receipts'>,
    Pick<TypedEventTarget<GatewaySchedulerEvents>, 'addEventListener' | 'removeEventListener'> {
  /** newest first; `total` counts all that match, not only the page */
  jobs(query: JobQuery): { items: JobReport[]; total: number }
  /** as its author wrote it; undefined for a job that is not known */
  spec(job: string): unknown
  slices(job: string): JobSlices | undefined
  /** Data of the block store. Throws DataMissingError, the first time before the first chunk. */
  data(
    cid: string,
    options?: { signal?: AbortSignal }
  ): Promise<{ size: number; chunks: AsyncIterable<Uint8Array> }>
}

export interface JobSlices {
  /** accepted */
  items: { part: number; first: number; count: number; workers: { worker: string; paid: bigint }[] }[]
  /** leased now */
  open: { part: number; first: number; count: number; worker: string; sinceMs: number }[]
}

/** The node itself, as the shell around the rooms knows it. */
export interface GatewayNode {
  submit(spec: unknown, options?: SubmitOptions): Promise<Job>
  submitMany(specs: unknown[], options?: { signal?: AbortSignal }): Promise<Job>
  status(): Promise<Omit<Network, 'supply' | 'market' | 'slots' | 'epoch' | 'name' | 'witnesses'>>
  peers(): Promise<PeerRow[]>
  /** of the network's definition */
  readonly network: { name: string; witnesses: readonly string[] }
  /** what work for others takes now, for the charts */
  usage(): { slices: number; memoryMb: number }
  config(): Setting[]
  /** Checks and keeps all of the patch or nothing. Throws ConfigError. */
  configure(patch: Record<string, unknown>): Promise<void>
  contribution(): Contribution
  /** Counts at once, and after a restart. Throws ConfigError. */
  contribute(patch: ContributionPatch): Promise<Contribution>
  /** why it could not do a job now; empty when it could */
  unready(): string[]
}
