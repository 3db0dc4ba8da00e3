import type { Libp2p } from '@libp2p/interface'
import type { Registry } from 'prom-client'
import type { ArtelServices, HeliaNode, NetworkDefinition } from '../bootstrap/index.ts'
import type { Ledger } from '../ledger/index.ts'
import type { Sandbox } from '../sandbox/index.ts'
import type { Job, Scheduler, SubmitOptions } from '../scheduler/index.ts'
import type { Directory } from '../services/index.ts'
import type { Config } from './settings.ts'

/** A running node. `stop` ends everything that it started, in reverse order; `await using` does so too. */
export interface ArtelNode extends AsyncDisposable {
  /** peer id and account */
  readonly id: string
  readonly role: NodeRole
  readonly config: Config
  readonly network: NetworkDefinition
  readonly libp2p: Libp2p<ArtelServices>
  readonly helia: HeliaNode['helia']
  readonly ledger: Ledger
  readonly sandbox: Sandbox
  readonly scheduler: Scheduler
  readonly directory: Directory
  /** Prometheus registry; empty when `metrics` is off */
  readonly registry: Registry
  /** multiaddrs with peer id that others can dial */
  addresses(): string[]
  /**
   * Starts a job (tasks.md). A fresh account first waits for its grant.
   * Throws SpecError or InsufficientCreditsError.
   */
  submit(spec: unknown, options?: SubmitOptions): Promise<Job>
  submitMany(specs: unknown[], options?: { signal?: AbortSignal }): Promise<Job>
  /** Idempotent. Jobs go on after the next start. */
  stop(): Promise<void>
}

export type NodeRole = 'seed' | 'node'
