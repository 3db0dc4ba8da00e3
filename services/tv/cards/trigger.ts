import { isIn } from '../../host/index.ts'
import { type Condition, parseCondition, type Values } from '../condition.ts'
import type { Trigger } from './card.ts'

const MINUTE_MS = 60_000

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
 * @param now ms since 1970
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
  if (!isSo(values) || !isIn(trigger.hours, now)) return { memory: { isSpent: false, actedAt }, acts: false }
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

const nextMinute = (at: number): number => (Math.floor(at / MINUTE_MS) + 1) * MINUTE_MS

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
    const until = samples[i + 1]?.at ?? end
    // between two samples nothing changes but the time
    const wait = (from: number, to: number): void => {
      const due = dueAt(trigger, memory)
      if (memory.since != null && !memory.isSpent && due > from && due < to) look(due)
    }
    let at = sample.at
    // hours begin and end with minutes
    if (trigger.hours.length > 0)
      for (let next = nextMinute(at); next < until; next = nextMinute(at)) {
        wait(at, next)
        look(next)
        at = next
      }
    wait(at, until)
  }
  return acted
}
