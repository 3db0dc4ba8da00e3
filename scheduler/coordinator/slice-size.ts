import { SLICES_AHEAD_PER_SLOT, TARGET_SLICE_MS } from '../market/match.ts'
import { MESSAGE_BYTES } from '../protocol/limits.ts'

// Below this a slice costs more to send than it is worth to share.
const MIN_SLICE_MS = 10

// A rate measured on little work is uncertain (a cold compiler): a slice is at most this many times what was measured.
const GROWTH = 16

/**
 * Units for the next slice.
 * `rate`: expected ms per unit; `bytes`: of a unit's result; `measured`: units that both were measured on; `left`: units
 * not leased yet; `slots`: slots of all workers, so that the tail is shared out; `most`: units whose inputs fit into
 * one message; `isNew`: the worker itself was not measured on them yet.
 */
export function sliceUnits(init: {
  rate: number
  bytes: number
  measured: number
  left: number
  slots: number
  most: number
  isNew?: boolean
}): number {
  const { rate, bytes, measured, left, slots, most, isNew } = init
  const within = (ms: number): number => Math.max(1, Math.floor(ms / rate))
  const byTail = Math.max(Math.ceil(left / (SLICES_AHEAD_PER_SLOT * slots)), within(MIN_SLICE_MS))
  const byBytes = Math.max(1, Math.floor(MESSAGE_BYTES / bytes))
  // a worker may be slower than others by any factor
  const byGrowth = isNew ? Math.max(GROWTH, within(MIN_SLICE_MS)) : Math.max(1, Math.floor(measured * GROWTH))
  return Math.min(left, most, within(TARGET_SLICE_MS), byTail, byBytes, byGrowth)
}
