import { meterModulus } from './tables/meters.ts'

/** What a meter has grown by since it was read last. */
export interface Growth {
  /** never below 0 */
  delta: bigint
  /** how that was found: it just grew, it went past its last digit, it was set to 0 */
  by: 'growth' | 'rollover' | 'reset'
}

/**
 * The growth of a meter from `before` to `now`. One that has fallen has either gone past its last digit, which is
 * believed when the way there is at most `most` (what the time between allows); or it was cleared, and counts from 0.
 */
export function growthOf(before: bigint, now: bigint, bytes: number, most: bigint): Growth {
  if (now >= before) return { delta: now - before, by: 'growth' }
  const around = meterModulus(bytes) - before + now
  return around <= most ? { delta: around, by: 'rollover' } : { delta: now, by: 'reset' }
}
