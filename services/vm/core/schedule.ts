import { Cron } from 'croner'
import type { Schedule, Snapshot } from '../contract.ts'
import { UsageError } from '../errors.ts'
import { shown } from './grammar.ts'

const PATTERN_CHARS = 100

function cron(pattern: string): Cron {
  return new Cron(pattern, { timezone: 'UTC', mode: '5-part' })
}

/** Minute, hour, day, month and weekday as cron has them, in UTC. @throws UsageError */
export function parsePattern(text: string): string {
  const refuse = (why: string) => new UsageError(`schedule ${shown(text)} ${why}`)
  if (text.length > PATTERN_CHARS) throw refuse(`is longer than ${PATTERN_CHARS} characters`)
  const pattern = text.trim()
  let next: Date | null
  try {
    next = cron(pattern).nextRun()
  } catch {
    throw refuse('is not a pattern of cron, such as "0 3 * * *" for every day at 3 (UTC)')
  }
  if (next === null) throw refuse('never comes')
  return pattern
}

/** Has a moment of the schedule come since the last snapshot that it made? Several that were missed are one. */
export function isDue({ pattern, since }: Schedule, last: number | undefined, now: number): boolean {
  const next = cron(pattern).nextRun(new Date(Math.max(since, last ?? 0)))
  return next !== null && next.getTime() <= now
}

/** Those that the schedule made and keeps no longer; what somebody made himself stays. */
export function expired(snapshots: readonly Snapshot[], { keep }: Schedule): Snapshot[] {
  const scheduled = snapshots.filter(({ isScheduled }) => isScheduled).sort((a, b) => b.at - a.at)
  return scheduled.slice(keep)
}
