import type { DatabaseSync } from 'node:sqlite'
import type { Logger } from '@libp2p/interface'
import type { Registry } from 'prom-client'
import type { z } from 'zod'
import type { Grant } from './access.ts'
import type { Granted } from './capabilities.ts'
import type { Group, Handlers, Operations } from './operation.ts'
import type { Calls, MessageHandlers, Peers, Protocol } from './protocol.ts'
import type { ServiceSettings } from './settings.ts'
import type { Verdicts } from './verdict.ts'

/**
 * A service as it is declared, without its code: everything that the node, its faces and other nodes must know of it.
 * Pure and light, for it is loaded also where the service is off.
 */
export interface Declaration extends Omit<Group, 'setting'> {
  /** small letters, digits and dashes: folder, config section, scopes, prefix of logs and metrics; artel/<name>/<version> */
  name: string
  version: number
  /** fields with `describe()` and defaults; `meta({ live: true })` for what may change while it runs */
  config?: z.ZodObject
  /** whether it runs where nobody says anything; default: off */
  isOnByDefault?: boolean
  /** It is of the node itself: it runs always, without a section of settings, and its operations have the node's scopes. */
  isResident?: true
  /** what its nodes ask of each other beside operations */
  messages?: Protocol
  /** exit code and HTTP status of its own errors, by name; what is not here is a fault of the service */
  errors?: Verdicts
  /** what it works with, see `Capabilities`; also the names of other services, started before it */
  needs?: readonly string[]
  /** the same where it is there, and other services while they run; it runs without them as well */
  wants?: readonly string[]
  /** it has a page in the dashboard: `page` in its folder, loaded when opened */
  page?: { icon: string; titles: Record<'en' | 'ru', string> }
  /** What it needs of this machine, for `artel doctor`: where it is switched on, also while the node does not run. */
  checks?(config: never, folder: string): AsyncIterable<Check>
}

/** A declaration with its code, which is loaded when the service is switched on. */
export interface ServiceModule extends Declaration {
  load(): Promise<(host: never) => Service | Promise<Service>>
}

export type ConfigOf<D extends Declaration> = ServiceSettings &
  (D['config'] extends z.ZodObject ? z.output<D['config']> : unknown)
type MessagesOf<D extends Declaration> = D['messages'] extends Protocol ? D['messages'] : Record<never, never>
type NeedsOf<D extends Declaration> = D['needs'] extends readonly (infer N)[] ? N : never
type WantsOf<D extends Declaration> = D['wants'] extends readonly (infer W)[] ? W : never

/** Who may hear something, among those who may read the service. */
export type Hearers = (grant: Grant) => boolean

/** What a service gets. Everything here ends when it stops. */
export type HostOf<D extends Declaration> = Host<
  ConfigOf<D>,
  Calls<D['operations'], MessagesOf<D>>,
  NeedsOf<D>,
  WantsOf<D>
>
/** What a service gives. */
export type ServiceOf<D extends Declaration> = Service<D['operations'], MessagesOf<D>>

/** Texts in files of the owner alone (0600), by names that a schema has looked at. */
export interface Secrets {
  read(name: string): Promise<string | undefined>
  set(name: string, value: string): Promise<void>
  remove(name: string): Promise<void>
  names(): Promise<string[]>
}

export interface Host<C = unknown, M extends Protocol = Protocol, N = unknown, W = unknown> {
  readonly name: string
  /** as its owner changed it last */
  readonly config: C
  /** aborted when the service stops */
  readonly signal: AbortSignal
  /** ms since 1970 */
  now(): number
  /** services/<name> in the data folder, 0700 */
  readonly folder: string
  /**
   * Its SQLite file, opened once and closed when the service stops: WAL, every commit on disk. `migrations` are SQL
   * scripts; those that the file does not have yet run in their order, each once. Add to the list, never change it.
   *
   * @throws {MigrationError} a newer version has written it
   */
  database(migrations: readonly string[]): DatabaseSync
  /** What only its owner may read, in `folder` below its own. */
  secrets(folder: string): Secrets
  /** artel:<name> */
  readonly log: Logger
  /** names get the prefix artel_<name>_ */
  readonly metrics: Registry
  /** Lets others find this node by the service, or no longer. Off until it is said. */
  announce(isOpen: boolean): void
  readonly peers: Peers<M>
  /** Tells the open pages of the dashboard (WebSocket events of type `<name>:<topic>`), all or those of some. */
  tell(topic: string, value: unknown, to?: Hearers): void
  /** Ed25519 of the node over `artel/<name>/<domain>`, a zero byte, and the bytes. */
  sign(domain: string, bytes: Uint8Array): Uint8Array
  /** Whether `peer` signed so. Never throws. */
  isSigned(peer: string, domain: string, bytes: Uint8Array, signature: Uint8Array): boolean
  /** what `needs` names */
  readonly use: Granted<N>
  /** what `wants` names, as far as it runs at this moment: look when it is used */
  readonly wanted: Partial<Granted<W>>
  /** Does `work` now and `everyMs` after its end, until the service stops. What it throws is in the health, and it goes on with growing waits. */
  repeat(name: string, everyMs: number, work: (signal: AbortSignal) => unknown): void
  /** Something does not work though the service runs; undefined: it works again. Shown in its health. */
  degraded(what: string, reason: string | undefined): void
  /** It cannot go on: it is stopped, and started again with growing waits. */
  fail(error: Error): void
}

/** A running service. */
export interface Service<O extends Operations = Operations, M extends Protocol = Protocol> {
  operations: Handlers<O>
  /** required where the declaration has messages */
  messages?: MessageHandlers<M>
  /** what other services get by naming this one in `needs` or `wants`; see `ServiceApis` */
  api?: unknown
  start?(): void | Promise<void>
  /**
   * The node ends because its owner said so: ends what lives outside of it and should not outlive it, before `stop`.
   * Not called where only the service stops or fails, and what a crash leaves behind is found again at the next start.
   */
  end?(): Promise<void>
  /** how long `end` would take now; default: it has nothing to end. Whoever is impatient ends the node at once. */
  endMs?(): number
  /** Ends what it began; has 2 s. */
  stop?(): void | Promise<void>
  /** The live settings have changed; `host.config` has them. */
  configured?(): void | Promise<void>
}

export type State = 'off' | 'starting' | 'running' | 'degraded' | 'failed'

export interface Health {
  service: string
  version: number
  summary: string
  state: State
  /** why, unless it runs or is off */
  reason?: string | undefined
  /** name of the error with which it failed */
  error?: string | undefined
  /** ms since 1970 of the next try, where it failed */
  retryAt?: number
}

/** One thing that a service needs. `detail` says what was found and, unless it is fine, what to do. */
export interface Check {
  name: string
  state: 'ok' | 'warn' | 'fail'
  detail: string
}
