import type { Values } from './condition.ts'

/** They change all the time, and stand in the full state only. */
const SLOW = new Set(['uptime', 'space', 'temperature'])
const FULL_MS = 5 * 60_000

/** What is worth an entry: what has changed, and everything every five minutes. Pure but for what it remembers. */
export function createTelemetry() {
  let last: Values = {}
  let fullAt = Number.NEGATIVE_INFINITY
  return (values: Values, now: number): Values => {
    const isFull = now - fullAt >= FULL_MS
    if (isFull) fullAt = now
    const changed = Object.entries(values).filter(
      ([name, value]) => isFull || (!SLOW.has(name) && value !== last[name])
    )
    last = { ...last, ...values }
    return Object.fromEntries(changed)
  }
}
