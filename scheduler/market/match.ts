import type { TrustLevel } from '../../ledger/index.ts'
import type { OfferFields } from '../protocol/compute-messages.ts'
import { DEFAULT_MEMORY_MB } from '../tasks/parse-spec.ts'
import { kindOf, TASK_KINDS, type TaskSpec } from '../tasks/registry.ts'
import { reputationFactor } from './price.ts'

/** A slice is cut to take about this long: long beside a round trip, short beside a person's patience and a lost lease. */
export const TARGET_SLICE_MS = 200
/** Two slices per slot keep a worker busy while results travel. */
export const SLICES_AHEAD_PER_SLOT = 2

/** What placement knows of a worker. */
export interface Candidate {
  slots: number
  /** most slices that it takes at a time */
  window: number
  outstanding: number
  /** expected ms of work that it holds already */
  outstandingMs: number
  /** what it costs beside others (costOf); default 1 */
  cost?: number
  /** expected ms that a slice takes to it and back; default 0 */
  travelMs?: number
}

/** true when the worker can take another slice without queueing more than it needs to stay busy */
export function hasRoom({ slots, window, outstanding, outstandingMs }: Candidate): boolean {
  return slots > 0 && outstanding < window && outstandingMs < slots * SLICES_AHEAD_PER_SLOT * TARGET_SLICE_MS
}

/**
 * The worker with the lowest rank is served first: expected ms until it would have done another slice, times what
 * it costs. So one that asks twice as much is taken when those at the base price have two slices more to do per slot.
 */
export function rank({ slots, outstanding, outstandingMs, cost = 1, travelMs = 0 }: Candidate): number {
  return ((outstandingMs + outstanding) / slots + travelMs + TARGET_SLICE_MS) * cost
}

// A relay adds a way, carries little and may end the connection after minutes.
const RELAYED_COST = 1.25

/** What a worker costs beside one at the base price: its price, and the work that is lost on a worker of low standing. */
export function costOf(init: { multiplier: number; level?: TrustLevel; relayed?: boolean }): number {
  return init.multiplier * reputationFactor(init.level) * (init.relayed === true ? RELAYED_COST : 1)
}

/** What a task asks of a worker. */
export interface Needs {
  type: string
  ramMb: number
  tags?: readonly string[]
  /** among its runtimes, for elsewhere the same work gives other bits */
  runtime?: string
}

export function needsOf(spec: TaskSpec): Needs {
  const { ramMb = DEFAULT_MEMORY_MB, tags } = spec.requirements
  return { type: spec.type, ramMb, tags, runtime: kindOf(spec.type)!.runtime?.() }
}

/** What all nodes of this version can run whose results are of a class of their own. */
export const runtimes = (): string[] =>
  TASK_KINDS.flatMap(kind => ('runtime' in kind ? (kind.runtime!() ?? []) : []))

/** What of an offer says which tasks the worker takes. */
export type Servable = Pick<OfferFields, 'slots' | 'ramMb' | 'types' | 'tags' | 'runtimes'>

/** Why an offer does not do: the worker lends nothing now, or not what is needed. */
export type Lack = 'closed' | 'memory' | 'type' | 'tags'

/** The first that the task needs and the worker does not offer. */
export function lacks(needs: Needs, offer: Servable): Lack | undefined {
  if (offer.slots === 0) return 'closed'
  if (offer.ramMb < needs.ramMb) return 'memory'
  if (offer.types?.includes(needs.type) === false) return 'type'
  if (needs.runtime != null && offer.runtimes?.includes(needs.runtime) !== true) return 'type'
  if (!hasTags(needs, offer)) return 'tags'
}

/** true when the worker offers all that the task needs */
export const mayServe = (needs: Needs, offer: Servable): boolean => lacks(needs, offer) == null

/** What the owner's own machine must have, too: its other limits are for others. */
export const hasTags = ({ tags = [] }: Needs, offer: Servable): boolean =>
  tags.every(tag => offer.tags.includes(tag))

/**
 * Up to `most` of the offers to open streams to, the best first: drawn without replacement with the weight
 * free slots / cost³ (Efraimidis & Spirakis 2006). Drawn rather than sorted, because all requesters would
 * otherwise run to the same few workers. `random` in [0, 1).
 */
export function draw<T extends { free: number; cost: number }>(
  offers: readonly T[],
  most: number,
  random: () => number
): T[] {
  return offers
    .map(offer => ({
      offer,
      // a busy worker may soon be free: it comes last, not never
      key: -Math.log(1 - random()) * (offer.cost ** 3 / Math.max(offer.free, 0.01))
    }))
    .sort((a, b) => a.key - b.key)
    .slice(0, most)
    .map(({ offer }) => offer)
}
