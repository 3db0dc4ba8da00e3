import { Cron } from 'croner'

const JITTER = 0.1

/** Patterns that were read, the oldest first: reading one takes more than anything that is asked of it. */
const read = new Map<string, Cron>()
const MOST_READ = 256

function cronOf(pattern: string, timeZone: string): Cron {
  const key = `${timeZone} ${pattern}`
  const known = read.get(key)
  if (known != null) return known
  const cron = new Cron(pattern, { timezone: timeZone, paused: true, mode: '5-part' })
  if (read.size === MOST_READ) read.delete(read.keys().next().value!)
  read.set(key, cron)
  return cron
}

/**
 * When a pattern is due next after `after`, in ms since 1970. What was missed while the node did not run is one time, not
 * many: whoever is late calls this with the present.
 *
 * @param chance 0 to 1: rules of many nodes do not come at the same moment, but within ±10 % of the distance between two
 *   times of the pattern. Undefined: on time.
 * @throws {RangeError} pattern or time zone is none, or never comes
 */
export function nextTime(pattern: string, timeZone: string, after: number, chance?: number): number {
  try {
    const cron = cronOf(pattern, timeZone)
    const next = cron.nextRun(new Date(after))
    if (next == null) throw new RangeError('it never comes')
    if (chance == null) return next.getTime()
    const second = cron.nextRun(next) ?? next
    const shift = (chance * 2 - 1) * JITTER * (second.getTime() - next.getTime())
    return Math.max(after + 1, Math.round(next.getTime() + shift))
  } catch (error) {
    throw new RangeError(`the time "${pattern}" in ${timeZone}: ${(error as Error).message}`)
  }
}
