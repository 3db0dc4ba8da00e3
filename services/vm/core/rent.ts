export const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** What a host takes, in micro-credits. */
export interface Prices {
  /** for each GB of RAM and hour that a machine is on */
  ramGbHour: number
  /** for each GB of disk and hour that it is kept */
  diskGbHour: number
}

/** Of an owner whose account is empty: first he is told, then his machines stand still, end, and go into the trash. */
export type Stage = 'fine' | 'notice' | 'pause' | 'stop' | 'trash'

const STAGES: readonly [stage: Stage, fromMs: number][] = [
  ['trash', 7 * DAY_MS],
  ['stop', 2 * DAY_MS],
  ['pause', DAY_MS],
  ['notice', 0]
]

/** Micro-credits for what an owner had during `ms`; never less than what he had, a fraction counts whole. */
export function costOf(had: { ramMb: number; diskGb: number }, prices: Prices, ms: number): number {
  const anHour = (had.ramMb / 1024) * prices.ramGbHour + had.diskGb * prices.diskGbHour
  return Math.ceil((anHour * ms) / HOUR_MS)
}

/** @param emptySince ms since 1970; undefined where there is something in the account */
export function stageOf(emptySince: number | undefined, now: number): Stage {
  if (emptySince === undefined) return 'fine'
  return STAGES.find(([, fromMs]) => now - emptySince >= fromMs)?.[0] ?? 'notice'
}
