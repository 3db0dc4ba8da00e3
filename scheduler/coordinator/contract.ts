import type { Failure } from '../../sandbox/index.ts'
import type { Why } from '../contract.ts'
import type { Needs, Servable } from '../market/match.ts'
import type { Home } from '../tasks/contract.ts'
import type { TaskSpec } from '../tasks/registry.ts'
import type { Assurance, Trust, Verification } from '../trust/credibility.ts'

export interface WorkerOffer {
  slots: number
  window: number
  /** determinism class of its results; trust is kept per class */
  class?: string
  /** owner or address group: two replicas of a slice never go to the same; default: every worker is its own */
  group?: string
  /** This node itself. It is believed. */
  own?: boolean
  /** This node lends nothing: it only compares where nobody else can. */
  lastResort?: boolean
  /** its price beside the base price; default 1 */
  multiplier?: number
  /** micro-credits per CPU second below which it refuses; default 0 */
  minPrice?: number
  /** what it costs in all beside others (match.ts, costOf); default 1 */
  cost?: number
  /** task types and memory that it takes; default: everything */
  serves?: Servable
}

/** What the coordinator must know of a job to place it. */
export interface JobInit {
  id: string
  /** function class: rates measured for it serve later jobs as well */
  program: string
  units: number
  /** most units of one slice, so that a message stays small */
  mostUnits: number
  priority: TaskSpec['priority']
  retries: number
  timeoutMs: number
  verification: Verification
  /** function class that trust is kept for */
  kind: string
  /** answers have a part of their own for every unit (`Answer.part`); default false */
  auditable?: boolean
  /** Whether an answer that differs can be held against who gave it: not where the program may keep something; default: it can. */
  isBlamable?(): boolean
  bound: bigint
  /** product of what multiplies the base price beside priority and worker; default 1 */
  factor?: number
  /** what it asks of a worker; default: nothing */
  needs?: Needs
  /** bytes that travel with each unit, and once to each worker; default 0 */
  unitBytes?: number
  onceBytes?: number
  /** name and bytes of what is loaded once at each worker, which has room for so much; default: nothing to speak of */
  load?: { program: string; bytes: number }
  /** memory of its processes, MB; default 0 */
  memoryMb?: number
  /** the only workers that may see it; undefined = all */
  allowed?: ReadonlySet<string>
  /** Who has the inputs of which units: they are preferred. All units, in order; undefined: nobody is. */
  homes?: readonly Home[]
  /** true for units that cannot be given out now, for their inputs are being calculated again; default: never */
  isWaiting?(first: number, count: number): boolean
  /** For units whose inputs other workers keep: what is accepted where nobody can get them, given what workers said. */
  unavailable?(reports: unknown[]): unknown
  /** intervals that were accepted before a restart */
  accepted?: { first: number; count: number; price: bigint }[]
}

/** An answer as the coordinator weighs it. `digest` stands for the value: equal digests, equal bytes. */
export type Answer =
  | {
      digest: string
      payload: unknown
      /** of the payload */
      bytes?: number
      ms: number
      proof?: unknown
      /** The digest that an answer to the units [first, first + count) of the slice alone has if this one is right. */
      part?(first: number, count: number): string
    }
  | { failure: Failure; ms: number }

export interface Accepted {
  job: string
  slice: number
  first: number
  count: number
  payload: unknown
  /** who is paid what */
  paid: { worker: string; price: bigint }[]
  /** the workers' signatures under the accepted answer */
  proofs: unknown[]
  assurance: Assurance
}

export interface Effects {
  lease(lease: {
    worker: string
    job: string
    slice: number
    first: number
    count: number
    expectedMs: number
    /** agreed now, paid when the result is accepted */
    price: bigint
    why: Why
  }): void
  revoke(revoked: { worker: string; job: string; slice: number }): void
  /** Stores an accepted slice, or what stands for one that is unavailable, which is nobody's. A malformed payload counts as a wrong answer. */
  accept(accepted: Accepted): 'stored' | 'malformed'
  /** One more worker is paid for units that were accepted before: it was to be seen whether it brings the same. */
  pay(canary: {
    job: string
    first: number
    count: number
    worker: string
    price: bigint
    proof?: unknown
  }): void
  /** An accepted slice is in doubt: it counts as not accepted until it is accepted again. */
  retract(retracted: { job: string; first: number; count: number }): void
  /** What is known of a peer changed. */
  trust(key: string, trust: Trust): void
  /** Two answers to one slice differ, and which one was accepted. */
  evidence(evidence: { job: string; first: number; count: number; accepted: Vote[]; wrong: Vote[] }): void
  /** `tick` is to be called in so many ms, if not before. */
  wake(inMs: number): void
  /** The job came to its end; nothing of it is leased any more. */
  end(ended: {
    job: string
    state: 'completed' | 'failed' | 'cancelled'
    failure?: Failure
    first?: number
  }): void
}

export interface Vote {
  worker: string
  /** its owner or address group when it answered */
  group: string
  digest: string
  /** undefined where the result was accepted before and is not kept in memory */
  payload: unknown
  ms: number
  price: bigint
  /** the worker's signature under its answer */
  proof?: unknown
  part?(first: number, count: number): string
  /** units of it that were recalculated here and found right */
  audited: number
}
