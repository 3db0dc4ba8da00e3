import { createReadStream } from 'node:fs'
import { networkId } from '../bootstrap/index.ts'
import type { HistoryEntry, Reputation } from '../ledger/index.ts'
import { decodeValue, encodeValue } from '../sandbox/index.ts'
import type {
  Forecast,
  Job,
  JobPage,
  JobQuery,
  JobReport,
  Progress,
  Quote,
  WorkerInfo
} from '../scheduler/index.ts'
import { COMPUTE_SERVICE, type Health, OWNER, toWire } from '../services/index.ts'
import type { ArtelNode } from './contract.ts'
import { UnknownJobError } from './errors.ts'
import { metricsOf } from './metrics.ts'
import { functionsAsText } from './sdk/wire.ts'
import { VERSION } from './version.ts'

// Jobs of a list where nobody says how many.
const JOBS = 50
// as large as a block of the store
const READ_BYTES = 1 << 20

/**
 * What the command line asks of a node, in this process or through the control socket. Everything is plain JSON:
 * credits are decimal strings of micro-credits, spec and result canonical values (sandbox/value.ts) in base64.
 */
export interface Operations {
  status(): Promise<Status>
  peers(): Promise<PeerRow[]>
  balance(): Promise<BalanceView>
  /**
   * Runs a job to its end; the job goes on when nobody listens any more.
   * `delegate`: peer that coordinates it in place of this node.
   */
  run(
    params: { spec: string; delegate?: string },
    options: RunOptions
  ): Promise<{ value: string; report: Plain<JobReport> }>
  /** What a job will cost; nothing is submitted. */
  quote(params: { spec: string }, options: { signal: AbortSignal }): Promise<QuoteView>
  /** the newest first; `limit`: default 50 */
  jobs(params?: Partial<JobQuery>): Promise<Plain<JobPage>>
  /** Throws UnknownJobError. With `follow` it tells the progress and ends with the job. */
  job(params: { job: string; follow?: boolean }, options: RunOptions): Promise<Plain<JobReport>>
  /** Waits for the end. Throws UnknownJobError, or why the job has no result. */
  result(params: { job: string }, options: { signal: AbortSignal }): Promise<{ value: string }>
  /** Ends it if it still runs. Throws UnknownJobError. */
  cancel(params: { job: string }): Promise<Plain<JobReport>>
  /** Puts a file of this machine into the block store. */
  addFile(params: { path: string }, options: { signal: AbortSignal }): Promise<{ cid: string; size: number }>
  metrics(): Promise<string>
  history(params: { limit: number }): Promise<HistoryView[]>
  /** `amount` in micro-credits */
  transfer(
    params: { to: string; amount: string; memo?: string },
    options?: { signal?: AbortSignal }
  ): Promise<void>
  /** base64 */
  receipts(params: { job: string }): Promise<ReceiptView[]>
  /** What is announced and who else offers it; `names`: services to look for besides. */
  services(params: { names: string[] }, options: { signal: AbortSignal }): Promise<ServicesView>
  /** Changes settings and keeps them; see ArtelNode. */
  /** Calls an operation of a service; see services/host. With `follow` it tells how it goes. */
  call(params: { service: string; operation: string; input: unknown }, options: CallOptions): Promise<unknown>
  /** How the services of this node are. */
  health(): Promise<Health[]>
  configure(params: { patch: Record<string, unknown> }): Promise<void>
  /** one account (default: the own), or the best */
  reputation(params: { account?: string; top?: number }): Promise<ReputationView[]>
}

export interface ServicesView {
  /** `holders`: nodes that took the last announcement */
  announced: { service: string; holders: number }[]
  items: { service: string; providers: string[] }[]
}

export type HistoryView = Plain<HistoryEntry>
export type ReputationView = Plain<Reputation> & { account: string }

export interface ReceiptView {
  worker: string
  slice: number
  receipt: string
}

export interface CallOptions {
  onProgress?(progress: unknown): void
  signal: AbortSignal
}

export interface RunOptions {
  onProgress(progress: Plain<Progress>): void
  signal: AbortSignal
}

/** bigint → decimal string */
export type Plain<T> = T extends bigint ? string : T extends object ? { [K in keyof T]: Plain<T[K]> } : T

export interface Status {
  version: string
  id: string
  role: string
  network: string
  addresses: string[]
  peers: number
  workers: number
  walled: boolean
  /** address of the dashboard, when it is served */
  dashboard?: string
  pid: number
}

export interface PeerRow {
  peer: string
  address: string
  direction: 'inbound' | 'outbound'
  /** last measured round trip */
  rttMs?: number
  /** what it offers, when it is a worker */
  worker?: Plain<WorkerInfo>
}

export interface BalanceView {
  account: string
  available: string
  reserved: string
  supply: { granted: string; burnt: string; total: string }
  accounts: Record<string, { available: string; reserved: string }>
}

export interface QuoteView {
  quote: Plain<Quote>
  forecast: Plain<Forecast>
}

// Among 20 nodes the first provider takes milliseconds; nobody waits for the last.
const FIND_DEADLINE_MS = 3000
// A settlement takes a round trip to the witnesses; it goes on after this.
const SETTLE_WAIT_MS = 3000

export function createOperations(node: ArtelNode): Operations {
  return {
    async status() {
      return {
        version: VERSION,
        id: node.id,
        role: node.role,
        network: networkId(node.network),
        addresses: node.addresses(),
        peers: node.libp2p.getPeers().length,
        workers: node.scheduler.workers().length,
        walled: node.sandbox.walled,
        dashboard: node.gateway?.url,
        pid: process.pid
      }
    },

    async peers() {
      const workers = new Map(node.scheduler.workers().map(worker => [worker.peer, worker]))
      const rows = new Map<string, PeerRow>()
      for (const connection of node.libp2p.getConnections()) {
        const peer = connection.remotePeer.toString()
        const worker = workers.get(peer)
        rows.set(peer, {
          peer,
          address: connection.remoteAddr.toString(),
          direction: connection.direction,
          ...(connection.rtt == null ? {} : { rttMs: connection.rtt }),
          ...(worker == null ? {} : { worker: plain(worker) })
        })
      }
      return [...rows.values()]
    },

    async balance() {
      const { ledger } = node
      return {
        account: ledger.account,
        ...plain(ledger.balance()),
        supply: plain(ledger.supply()),
        accounts: Object.fromEntries(
          [...ledger.balances()].map(([account, balance]) => [account, plain(balance)])
        )
      }
    },

    async run({ spec, delegate }, { onProgress, signal }) {
      const job = await node.submit(decodeValue(Buffer.from(spec, 'base64')), { signal, delegate })
      const listener = ({ detail }: CustomEvent<Progress>): void => onProgress(plain(detail))
      job.addEventListener('progress', listener)
      try {
        const value = await job.resultBytes({ signal })
        // the result does not wait for witnesses that are away
        const settled = AbortSignal.any([signal, AbortSignal.timeout(SETTLE_WAIT_MS)])
        const report = await job.settled({ signal: settled }).catch(() => job.report())
        return { value: Buffer.from(value).toString('base64'), report: plain(report) }
      } finally {
        job.removeEventListener('progress', listener)
      }
    },

    async quote({ spec }, { signal }) {
      const quote = await node.scheduler.quote(decodeValue(Buffer.from(spec, 'base64')), { signal })
      return { quote: plain(quote), forecast: plain(node.scheduler.forecast()) }
    },

    jobs: async (query = {}) => plain(node.scheduler.jobs({ limit: JOBS, ...query })),

    async job({ job: id, follow }, { onProgress, signal }) {
      const job = jobOf(node, id)
      if (follow !== true) return plain(job.report())
      const listener = ({ detail }: CustomEvent<Progress>): void => onProgress(plain(detail))
      job.addEventListener('progress', listener)
      try {
        return plain(await job.settled({ signal }))
      } finally {
        job.removeEventListener('progress', listener)
      }
    },

    async result({ job }, { signal }) {
      return { value: Buffer.from(await jobOf(node, job).resultBytes({ signal })).toString('base64') }
    },

    async cancel({ job: id }) {
      const job = jobOf(node, id)
      await job.cancel('its owner asked')
      return plain(job.report())
    },

    addFile: ({ path }, { signal }) =>
      node.scheduler.addData(createReadStream(path, { highWaterMark: READ_BYTES }), { signal }),

    metrics: () => metricsOf(node),

    async history({ limit }) {
      return node.ledger.history({ limit }).map(plain)
    },

    async transfer({ to, amount, memo }, { signal } = {}) {
      await node.ledger.transfer(to, BigInt(amount), { memo, signal })
    },

    async receipts({ job }) {
      return node.scheduler
        .receipts(job)
        .map(({ receipt, ...rest }) => ({ ...rest, receipt: Buffer.from(receipt).toString('base64') }))
    },

    async services({ names }, { signal }) {
      const announced = [...node.directory.announced()].map(([service, holders]) => ({ service, holders }))
      const wanted = new Set([COMPUTE_SERVICE, ...announced.map(({ service }) => service), ...names])
      const items = [...wanted].map(async service => {
        const providers: string[] = []
        for await (const { id } of node.directory.find(service, { signal, deadlineMs: FIND_DEADLINE_MS }))
          providers.push(id.toString())
        return { service, providers }
      })
      return { announced, items: await Promise.all(items) }
    },

    call: async ({ service, operation, input }, { onProgress, signal }) =>
      JSON.parse(
        toWire(
          await node.services.call(service, operation, input, {
            caller: OWNER,
            signal,
            send: progress => onProgress?.(JSON.parse(toWire(progress)))
          })
        )
      ),

    health: async () => node.services.health(),

    configure: ({ patch }) => node.configure(patch),

    async reputation({ account = node.ledger.account, top }) {
      const rows =
        top == null ? [{ account, reputation: node.ledger.reputation(account) }] : node.ledger.top(top)
      return rows.map(row => ({ account: row.account, ...plain(row.reputation) }))
    }
  }
}

function jobOf(node: ArtelNode, id: string): Job {
  const job = node.scheduler.job(id)
  if (job == null) throw new UnknownJobError(id)
  return job
}

/** A spec as `run` wants it: functions travel as their source text. */
export function encodeSpec(spec: unknown): string {
  return Buffer.from(encodeValue(functionsAsText(spec))).toString('base64')
}

function plain<T>(value: T): Plain<T> {
  return JSON.parse(
    JSON.stringify(value, (_, child) => (typeof child === 'bigint' ? child.toString() : child))
  )
}
