import type { MeterValue } from '../frames.ts'
import { growthOf } from '../meters.ts'
import { METERS } from '../tables/meters.ts'

/** Meters by name, in credits. */
export type Totals = Record<string, number>

/** Meters as they are written down: where they stand, and by how much they have grown since they were written last. */
export interface MeterRow {
  /** counted up for each row of the machine */
  block: number
  why: 'first' | 'start' | 'growth' | 'hourly'
  totals: Totals
  grown: Totals
  /** meters that went past their last digit, or were cleared and count from 0 */
  fell?: Record<string, 'rollover' | 'reset'>
}

/** Credits that a machine counts in one second at most. */
const MOST_PER_SECOND = 10_000n
/** … and what may come together, as a jackpot. */
const MOST_AT_ONCE = 1_000_000n

export const totalsOf = (meters: readonly MeterValue[]): Totals =>
  Object.fromEntries(
    meters.flatMap(({ code, value }) => (METERS[code] == null ? [] : [[METERS[code], Number(value)]]))
  )

/** Whether a meter stands below where it stood. */
export const hasFallen = (before: Totals, now: Totals): boolean =>
  Object.entries(now).some(([name, value]) => value < (before[name] ?? 0))

/**
 * How the meters have grown. `seconds` since they were read; `isCleared`: the machine has said that it set them to 0,
 * so that one which has fallen did not go past its last digit.
 */
export function grownBetween(
  before: Totals,
  meters: readonly MeterValue[],
  { seconds, isCleared }: { seconds: number; isCleared: boolean }
): Pick<MeterRow, 'grown' | 'fell'> {
  const most = isCleared ? -1n : MOST_AT_ONCE + MOST_PER_SECOND * BigInt(Math.max(0, Math.ceil(seconds)))
  const grown: Totals = {}
  const fell: NonNullable<MeterRow['fell']> = {}
  for (const { code, value, bytes } of meters) {
    const name = METERS[code]
    if (name == null) continue
    // a meter that was not read before has not grown since
    const { delta, by } = growthOf(BigInt(before[name] ?? value), value, bytes, most)
    if (delta > 0n) grown[name] = Number(delta)
    if (by !== 'growth') fell[name] = by
  }
  return Object.keys(fell).length === 0 ? { grown } : { grown, fell }
}
