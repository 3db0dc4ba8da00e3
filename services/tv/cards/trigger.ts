import { type Condition, parseCondition, type Values } from '../condition.ts'
import type { Trigger } from './card.ts'

/** What a trigger remembers of one TV. */
export interface Memory {
  /** since when it is so; undefined: it is not */
  since?: number
  /** it has acted, or a trigger has made it so: it acts again only after it was not so */
  isSpent: boolean
  actedAt?: number
}

export const FRESH: Memory = { isSpent: false }

/** When it acts if it stays so. */
const dueAt = ({ for: seconds, cooldown }: Trigger, { since = 0, actedAt }: Memory): number =>
  Math.max(since + seconds * 1000, actedAt == null ? 0 : actedAt + cooldown * 1000)

/**
 * One look. What a trigger has made so starts no other: `isCaused`. Pure.
 *
 * @param now ms
 */
export function step(
  trigger: Trigger,
  isSo: Condition,
  memory: Memory,
  values: Values,
  now: number,
  isCaused = false
): { memory: Memory; acts: boolean } {
  const { actedAt, since = now } = memory
  if (!isSo(values)) return { memory: { isSpent: false, actedAt }, acts: false }
  const isSpent = memory.isSpent || (isCaused && memory.since == null)
  const acts = !isSpent && !isCaused && now >= dueAt(trigger, { ...memory, since })
  return {
    memory: acts ? { since, isSpent: true, actedAt: now } : { since, isSpent, actedAt },
    acts
  }
}

export interface Sample {
  /** ms since 1970 */
  at: number
  values: Values
}

/** When a trigger would have acted on what was measured, the oldest first. Pure. */
export function replay(trigger: Trigger, samples: readonly Sample[], end: number): number[] {
  const isSo = parseCondition(trigger.when)
  const acted: number[] = []
  let memory = FRESH
  let values: Values = {}
  const look = (at: number): void => {
    const found = step(trigger, isSo, memory, values, at)
    memory = found.memory
    if (found.acts) acted.push(at)
  }
  for (const [i, sample] of samples.entries()) {
    values = { ...values, ...sample.values }
    look(sample.at)
    // between two samples nothing changes but the time
    const due = dueAt(trigger, memory)
    const until = samples[i + 1]?.at ?? end
    if (memory.since != null && !memory.isSpent && due > sample.at && due < until) look(due)
  }
  return acted
}
