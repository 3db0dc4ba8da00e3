import type { StoredSlice } from '../store/job-rows.ts'
import type { Part, Work } from '../tasks/contract.ts'
import type { JobHandle } from './job-handle.ts'

/** A job under way: what others see of it, and what drives it. */
export interface RunningJob {
  readonly handle: JobHandle
  readonly work: Work
  /** numbers of the parts that run now */
  readonly open: Set<number>
  /** those of them that something was leased of */
  readonly begun: Set<number>
  /** what was accepted before a restart, of parts that have not started again yet */
  readonly replay: Map<number, StoredSlice[]>
  /** product of what multiplies its base price beside priority and worker */
  readonly factor: number
  /** aborted at its end */
  readonly ended: AbortController
}

/** A part of a job that runs now. */
export interface RunningPart {
  readonly job: RunningJob
  readonly part: Part
  readonly index: number
}

/** How the coordinator calls a part of a job. */
export const partId = (job: string, index: number): string => `${job}/${index}`
