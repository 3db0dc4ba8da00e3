import { SLICES_AHEAD_PER_SLOT, TARGET_SLICE_MS } from '../market/match.ts'
import { MESSAGE_BYTES } from '../protocol/limits.ts'

// Below this a slice costs more to send than it is worth to share.
const MIN_SLICE_MS = 10

// The units of a job need not take equally long, as what is left of it shows only when it is done: slices that are not
// short anyway are such a part of what is left, per slot.
const PARTS_PER_SLOT = 8
const SHORT_SLICE_MS = 50

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
  const part = (perSlot: number): number => Math.ceil(left / (perSlot * slots))
  const byTail = Math.max(
    part(PARTS_PER_SLOT),
    Math.min(part(SLICES_AHEAD_PER_SLOT), within(SHORT_SLICE_MS)),
    within(MIN_SLICE_MS)
  )
  const byBytes = Math.max(1, Math.floor(MESSAGE_BYTES / bytes))
  // a worker may be slower than others by any factor
  const byGrowth = isNew ? Math.max(GROWTH, within(MIN_SLICE_MS)) : Math.max(1, Math.floor(measured * GROWTH))
  return Math.min(left, most, within(TARGET_SLICE_MS), byTail, byBytes, byGrowth)
}
