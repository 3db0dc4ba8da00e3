import type { Chains } from './delivery/chains.ts'
import type { Series } from './series/series.ts'

/** What the health names of each kind at most. */
const MAX_NAMED = 5
const MINUTE_MS = 60_000

export interface TroublesInit {
  chains: Pick<Chains, 'all'>
  series: Pick<Series, 'ahead'>
  now(): number
  /** something that its owner must know; undefined: over */
  degraded(what: string, why: string | undefined): void
}

/** What is wrong with logs that are kept here, for who looks after the node. */
export function createTroubles({ chains, series, now, degraded }: TroublesInit) {
  const told = (what: string, found: readonly string[], about: (named: string) => string): void =>
    degraded(what, found.length === 0 ? undefined : about(found.slice(0, MAX_NAMED).join(', ')))

  return {
    /** What was damaged and is not back. */
    missing: (): void =>
      told(
        'damage',
        chains
          .all()
          .filter(({ holes }) => holes.length > 0)
          .map(({ chain, holes }) => `${chain.agent}/${chain.number} from entry ${holes[0]!.from} on`),
        named => `not back yet is what was damaged: ${named}`
      ),
    /** Whose clock is ahead. */
    ahead: (): void =>
      told(
        'clocks',
        [...series.ahead.now()].map(([of, ms]) => `${of} by ${Math.round((ms - now()) / MINUTE_MS)} min`),
        named => `ahead of the clock here: ${named}; what they say counts as of when it comes`
      ),
    fork: (of: string, number: number): void =>
      degraded(`fork of ${of}`, `it signed two entries of one number in chain ${number}`)
  }
}
