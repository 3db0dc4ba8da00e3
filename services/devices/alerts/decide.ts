import type { StoredRule } from './rule.ts'

/** An alert that is not over. */
export interface Open {
  state: 'pending' | 'firing' | 'acknowledged'
  /** ms since 1970, as its agent says */
  openedAt: number
  /** when this node heard of it */
  heardAt: number
}
/** What becomes of it; `drop`: it was never told, and is forgotten. */
export type Step = 'pending' | 'firing' | 'resolved' | 'drop' | undefined

type Condition = Pick<StoredRule, 'above' | 'below' | 'clear' | 'forSeconds'>

/**
 * What a value changes. It fires beyond the limit and is over at `clear`; in between, what fires goes on and what is
 * pending does not. Pure.
 */
export function onValue(
  { above, below, clear, forSeconds }: Condition,
  open: Open | undefined,
  value: number,
  at: number
): Step {
  const sign = above != null ? 1 : -1
  const limit = above ?? below!
  const isBeyond = sign * value > sign * limit
  if (open == null) return isBeyond ? (forSeconds === 0 ? 'firing' : 'pending') : undefined
  if (open.state === 'pending') {
    if (!isBeyond) return 'drop'
    return at - open.openedAt >= forSeconds * 1_000 ? 'firing' : undefined
  }
  return sign * value <= sign * (clear ?? limit) && !isBeyond ? 'resolved' : undefined
}

/** What time alone changes: a value stays as it was said last. Pure. */
export const onTime = ({ forSeconds }: Pick<Condition, 'forSeconds'>, open: Open, now: number): Step =>
  open.state === 'pending' && now - open.heardAt >= forSeconds * 1_000 ? 'firing' : undefined

/**
 * Whether what an entry says is older than the rule, which is about what comes. A clock that nobody has set does not
 * decide: better one alert too many. Pure.
 */
export const isOld = ({ since }: Pick<StoredRule, 'since'>, at: number, clock: string): boolean =>
  clock !== 'unset' && at < since

/** How much a reading grows in so many seconds; undefined where no time has passed. Pure. */
export const rateOf = (
  before: { at: number; value: number },
  after: { at: number; value: number },
  perSeconds: number
): number | undefined =>
  after.at > before.at
    ? ((after.value - before.value) * perSeconds * 1_000) / (after.at - before.at)
    : undefined
