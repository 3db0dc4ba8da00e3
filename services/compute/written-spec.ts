import { AUTHORED } from '../../scheduler/index.ts'
import type { TaskSpec } from './schema.ts'

/** A spec as its author wrote it: the scheduler keeps functions parsed. */
export function asWritten(spec: unknown): TaskSpec {
  const entries = Object.entries(spec as Record<string, unknown>)
  return Object.fromEntries(
    entries.map(([key, value]) => [
      key,
      AUTHORED.includes(key) ? ((value as { source?: string } | undefined)?.source ?? value) : value
    ])
  ) as TaskSpec
}
