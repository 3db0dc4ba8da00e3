import type { JobState } from './wire.ts'

/** The schema itself would bring zod into the browser. The type checks that none is missing. */
const ALL: Record<JobState, true> = {
  queued: true,
  running: true,
  completed: true,
  failed: true,
  cancelled: true,
  expired: true
}
export const JOB_STATES = Object.keys(ALL) as JobState[]
