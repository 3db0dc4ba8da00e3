import type { Candidate } from '../market/match.ts'

/*
 * When work would be done, ms from now: at a worker after what it holds, after the bytes have travelled; here without
 * any travel. What would be done here before it came back from elsewhere stays here.
 */

/** What a worker holds. */
type Held = Pick<Candidate, 'slots' | 'outstanding' | 'outstandingMs'>

/** What a worker has to do before another slice. */
export const aheadMs = ({ slots, outstanding, outstandingMs }: Held): number =>
  (outstandingMs + outstanding) / slots

/** `travelMs`: what the way there and back takes. */
export function expectedEnd(
  worker: Held,
  { units, unitMs, travelMs }: { units: number; unitMs: number; travelMs: number }
): number {
  return aheadMs(worker) + travelMs + units * unitMs
}

/** When a worker would have done all that is left, all its slots together; a unit is done by one of them. */
export function endAlone(
  { slots, outstandingMs }: Held,
  { left, unitMs }: { left: number; unitMs: number }
): number {
  return outstandingMs / slots + Math.max(unitMs, (left * unitMs) / slots)
}
