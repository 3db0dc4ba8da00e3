/** A slice is cut to take about this long: long beside a round trip, short beside a person's patience and a lost lease. */
export const TARGET_SLICE_MS = 200

// Two slices per slot keep a worker busy while results travel.
const SLICES_AHEAD_PER_SLOT = 2

// Below this a slice costs more to send than it is worth to share.
const MIN_SLICE_MS = 10

// A rate measured on little work is uncertain (a cold compiler): a slice is at most this many times what was measured.
const GROWTH = 16

/** What placement knows of a worker. */
export interface Candidate {
  slots: number
  /** most slices that it takes at a time */
  window: number
  outstanding: number
  /** expected ms of work that it holds already */
  outstandingMs: number
}

/** true when the worker can take another slice without queueing more than it needs to stay busy */
export function hasRoom({ slots, window, outstanding, outstandingMs }: Candidate): boolean {
  return slots > 0 && outstanding < window && outstandingMs < slots * SLICES_AHEAD_PER_SLOT * TARGET_SLICE_MS
}

/** How busy a worker is, in expected ms of work per slot: the least busy one is served first. */
export function backlog({ slots, outstanding, outstandingMs }: Candidate): number {
  return (outstandingMs + outstanding) / slots
}

/**
 * Units for the next slice.
 * `rate`: expected ms per unit; `measured`: units that it was measured on; `left`: units not leased yet;
 * `slots`: slots of all workers, so that the tail is shared out; `most`: units that fit into one message.
 */
export function sliceUnits(init: {
  rate: number
  measured: number
  left: number
  slots: number
  most: number
}): number {
  const { rate, measured, left, slots, most } = init
  const within = (ms: number): number => Math.max(1, Math.floor(ms / rate))
  const byTail = Math.max(Math.ceil(left / (SLICES_AHEAD_PER_SLOT * slots)), within(MIN_SLICE_MS))
  return Math.min(left, most, within(TARGET_SLICE_MS), byTail, Math.max(1, Math.floor(measured * GROWTH)))
}
