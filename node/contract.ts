import type { Libp2p } from '@libp2p/interface'
import type { Registry } from 'prom-client'
import type { ArtelServices, HeliaNode, NetworkDefinition } from '../bootstrap/index.ts'
import type { Ledger } from '../ledger/index.ts'
import type { Sandbox } from '../sandbox/index.ts'
import type { Job, Scheduler, SubmitOptions } from '../scheduler/index.ts'
import type { Compute, Directory, Gateway, Services } from '../services/index.ts'
import type { Config } from './settings.ts'

/** A running node. `stop` ends everything that it started, in reverse order; `await using` does so too. */
export interface ArtelNode extends AsyncDisposable {
  /** peer id and account */
  readonly id: string
  readonly role: NodeRole
  /** as its owner changed it last */
  readonly config: Config
  readonly network: NetworkDefinition
  readonly libp2p: Libp2p<ArtelServices>
  readonly helia: HeliaNode['helia']
  readonly ledger: Ledger
  readonly sandbox: Sandbox
  readonly scheduler: Scheduler
  readonly directory: Directory
  readonly services: Services
  /** HTTP API and dashboard; undefined when the setting `gateway.enabled` is off */
  readonly gateway?: Pick<Gateway, 'faceUrl' | 'token' | 'url'>
  /** Prometheus registry; empty when `metrics` is off */
  readonly registry: Registry
  /** multiaddrs with peer id that others can dial */
  addresses(): string[]
  /**
   * Starts a job (its types: scheduler/README.md). A fresh account first waits for its grant.
   * Throws SpecError or InsufficientCreditsError.
   */
  submit(spec: unknown, options?: SubmitOptions): Promise<Job>
  submitMany(specs: unknown[], options?: { signal?: AbortSignal }): Promise<Job>
  /**
   * Changes settings (dotted path → value, null for the default) and keeps them in the config file. Those that are
   * live (settings.ts) count at once, the others after the next start. Throws ConfigError.
   */
  configure(patch: Record<string, unknown>): Promise<void>
  /** What this machine gives to others, and what it did for them today. */
  contribution(): Compute.Contribution
  /** Changes it at once and for good. Throws ConfigError. */
  contribute(patch: Compute.ContributionPatch): Promise<Compute.Contribution>
  /** Resolves with the reason when the node cannot go on: another process speaks with its key. Whoever started it stops it. */
  readonly failed: Promise<Error>
  /** Idempotent. Jobs go on after the next start. */
  stop(): Promise<void>
}

export type NodeRole = 'seed' | 'node'
