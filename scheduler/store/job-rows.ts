import type { Failure } from '../../sandbox/index.ts'
import type { JobState, VerificationReport, WorkerShare } from '../contract.ts'
import type { TaskType } from '../tasks/registry.ts'

/** A job as it lies on disk. */
export interface StoredJob {
  id: string
  type: TaskType | 'batch'
  state: JobState
  submitted: number
  finished?: number
  bound: bigint
  settled: boolean
  cid?: string
  failure?: Failure & { unit?: number }
  name?: string
  /** how it ended; undefined while it runs */
  end?: JobEnd
}

/** What was done and paid for a job until it ended. */
export interface JobEnd {
  done: number
  total: number
  retries: number
  shares: WorkerShare[]
  verification?: VerificationReport
}

/** An accepted slice: units [first, first + count) of one part of a job. */
export interface StoredSlice {
  part: number
  first: number
  count: number
  value: Uint8Array
  paid: { worker: string; price: bigint }[]
}

/** A row of the table jobs. One that is damaged says so as its failure: it costs this job, not the list that it is in. */
export function toJob(row: Record<string, unknown>): StoredJob {
  const job = {
    id: row.id as string,
    type: row.type as StoredJob['type'],
    state: row.state as JobState,
    submitted: row.submitted as number,
    finished: (row.finished as number | null) ?? undefined,
    bound: BigInt(row.bound as number),
    settled: row.settled === 1,
    cid: (row.cid as string | null) ?? undefined,
    name: (row.name as string | null) ?? undefined
  }
  try {
    return { ...job, failure: fromJson(row.failure), end: row.shares == null ? undefined : toEnd(row) }
  } catch (err) {
    const message = `what is kept of job ${job.id} is damaged: ${(err as Error).message}`
    return { ...job, failure: { name: 'aborted', message } }
  }
}

const fromJson = (json: unknown) => (json == null ? undefined : JSON.parse(json as string))

const toEnd = (row: Record<string, unknown>): JobEnd => ({
  done: row.done as number,
  total: row.total as number,
  retries: row.retries as number,
  shares: fromJson(row.shares).map(({ paid, ...share }: { paid: string }) => ({
    ...share,
    paid: BigInt(paid)
  })),
  verification: fromJson(row.verification)
})

/** Nothing for a row that is damaged. */
export function toSpans({ part, first, count, paid }: Record<string, unknown>): Omit<StoredSlice, 'value'>[] {
  try {
    const shares = fromJson(paid).map(([worker, price]: [string, string]) => ({
      worker,
      price: BigInt(price)
    }))
    return [{ part: part as number, first: first as number, count: count as number, paid: shares }]
  } catch {
    // whoever reads slices to go on with them forgets this one; others see one fewer
    return []
  }
}
