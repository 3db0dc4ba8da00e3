import type { Helia } from 'helia'
import type { Ledger } from '../../ledger/index.ts'
import type { Sandbox } from '../../sandbox/index.ts'
import type { Job, Scheduler, SubmitOptions } from '../../scheduler/index.ts'
import type { AtHome, Grant } from './access.ts'

/** What the node can lend to a service that names it in `needs`. */
export interface Capabilities {
  /** new jobs of the owner */
  jobs: Jobs
  /** what there is of jobs, data, prices and workers */
  scheduler: Pick<
    Scheduler,
    | 'addData'
    | 'addEventListener'
    | 'data'
    | 'datasets'
    | 'forecast'
    | 'job'
    | 'jobs'
    | 'quote'
    | 'receipts'
    | 'removeEventListener'
    | 'slices'
    | 'spec'
    | 'workDone'
    | 'workers'
  >
  /** the owner's credits */
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
  /** the block store with its exchange: what is not here is fetched from peers */
  blocks: Helia['blockstore']
  /** walls for strangers' code */
  sandbox: Sandbox
  /** accounts of this node; there while the gateway runs */
  people: People
  /** who comes in over HTTP; there while the gateway runs */
  entries: Entries
}

/** What a person proves, and with what. */
export interface PersonAt {
  name: string
  password: string
  /** of the second factor */
  code?: string
  /** the mark of a browser that signed in before */
  device?: string
  /** as the browser or program calls itself */
  agent: string
}

/** A session as its home opens it. */
export interface Entered {
  /** good at the node alone that carries it, and not over HTTP */
  token: string
  /** ms since 1970 */
  expires: number
  device: string
  account: { id: string; name: string; role: string; created: number; hasSecondFactor: boolean }
}

/** People who have their account here; `peer`: the node at which they sit, which carries their session. */
export interface People {
  names(): string[]
  /**
   * What a person who has no password yet chooses one with: good once, and with the name only. Makes the account, and the
   * role. `expires`: ms since 1970. Undefined: he has a password, or another role.
   *
   * @throws {RequestError} nobody can be called so
   */
  giveFirstPassword(
    name: string,
    role: { name: string; scopes: readonly string[] }
  ): { code: string; expires: number } | undefined
  /**
   * Attempts count against `peer` as they would against an address.
   *
   * @throws {SignInError} {SecondFactorError} {AttemptsError}
   */
  signIn(person: PersonAt, peer: string): Promise<Entered>
  find(token: string, peer: string): Grant | undefined
  /** aborted when a session ends */
  ended(id: string): AbortSignal
  signOut(id: string): void
}

/** Somebody followed what happens here or stopped, at one listener; or did not prove who he says he is. */
export type Entry =
  | { is: 'opened' | 'closed'; who: string; address: string; open: number }
  /** `account`: there is one of the name that was tried */
  | { is: 'failed'; address: string; account?: string }

export interface Entries {
  /** sockets at the listener that has most of them, and how many it takes */
  sockets(): { open: number; most: number }
  accounts(): {
    count: number
    /** names of administrators who prove nothing but a password */
    adminsByPassword: string[]
    /** whose password is kept by an older method until they sign in */
    outdated: number
  }
  /** Each entry from now on, until the signal. */
  watch(hear: (entry: Entry) => void, signal: AbortSignal): void
}

/** 32 bytes of a password and a salt (Argon2id); what they are for never learns the password. */
export type KeyOf = (salt: Uint8Array) => Promise<Uint8Array>

/** What is sealed here for people who have an account, each thing to be opened by its person's password. */
export interface Lockers {
  /** He has signed in. Where his password opens nothing, he is told when he asks for what is sealed. */
  opened(session: { id: string; account: string; ended: AbortSignal }, keyOf: KeyOf): Promise<void>
  /** He chooses another password: from now on both open it, and after the answer was called only the new one does. */
  changing(
    session: { id: string; account: string },
    before: KeyOf,
    after: KeyOf
  ): Promise<() => Promise<void>>
}

/** A person may call two of his devices the same. */
export interface FoundHomes {
  /** of the person there */
  name: string
  /** this node is one */
  isHere: boolean
  /** the others; with none of either, nobody's */
  peers: string[]
}

/** People who sit here and have their account at another node, their home. What is thrown there is thrown here. */
export interface Homes {
  /** what `name@home` means; undefined: the text is none, or there are no homes here */
  of(text: string): FoundHomes | undefined
  /** those that answer now, in their order; soon, whether they do or not */
  answering(peers: readonly string[]): Promise<string[]>
  /** @throws {UnreachableError} names the home */
  signIn(person: PersonAt, peer: string): Promise<Entered & { scopes: readonly string[] }>
  signOut(session: AtHome): Promise<void>
  /** What the home tells, and now and then that it is there, until the signal, the session or the way there ends. */
  watch(session: AtHome, signal: AbortSignal): AsyncIterable<{ type: string; value?: unknown }>
}

export interface Jobs {
  /** A fresh account first waits for its grant. */
  submit(spec: unknown, options?: SubmitOptions): Promise<Job>
  submitMany(specs: unknown[], options?: Omit<SubmitOptions, 'delegate'>): Promise<Job>
}

/**
 * What services give each other. A service adds its own in its contract:
 * `declare module '../host/capabilities.ts' { interface ServiceApis { files: Files } }`
 */
// biome-ignore lint/suspicious/noEmptyInterface: services fill it
export interface ServiceApis {}

type All = Capabilities & ServiceApis

export type Granted<N> = { [K in Extract<N, keyof All>]: All[K] }
