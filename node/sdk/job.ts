import { raceSignal } from 'race-signal'
import type { Compute } from '../../services/index.ts'
import type { Job, JobEvents, JobReport, Progress, Waiting } from './contract.ts'
import { ArtelError } from './errors.ts'
import type { Http } from './http.ts'
import { thenable } from './thenable.ts'
import type { Watch } from './watch.ts'

/** What a submission answers: the report, and the result where the job ended at once. */
export type Submitted = Compute.Submitted

export interface JobComponents {
  http: Http
  watch: Watch
}

const ID = /^[\w-]{1,64}$/

/** A job on the node: what a submission answered, or one that is there already, of which nothing is asked before somebody waits. */
export function createJob<R>(
  from: Promise<Submitted> | string,
  { http, watch }: JobComponents,
  signal?: AbortSignal
): Job<R> {
  const listeners: { [E in keyof JobEvents]: Set<(detail: JobEvents[E]) => void> } = {
    progress: new Set(),
    end: new Set()
  }
  const id = idOf(from)
  let outcome: Promise<R> | undefined
  let lastReport: JobReport | undefined

  async function run(): Promise<R> {
    const submitted = typeof from === 'string' ? undefined : await from
    const job = await id
    lastReport = submitted?.job.finished == null ? await watched(job) : submitted.job
    for (const listener of listeners.end) listener(lastReport)
    return submitted != null && 'result' in submitted
      ? (submitted.result as R)
      : http.call(`/api/v1/tasks/${job}/result`)
  }

  const watched = (job: string): Promise<JobReport> =>
    new Promise((resolve, reject) => {
      const onProgress = (progress: Progress): void => {
        for (const listener of listeners.progress) listener(progress)
      }
      watch.add(job, { onProgress, onEnd: resolve, onLost: reject })
    })

  function wait(): Promise<R> {
    if (outcome == null) {
      outcome = run()
      outcome.catch(() => {}) // who waits for it sees it
    }
    return outcome
  }

  async function cancel(options?: Waiting): Promise<JobReport> {
    const job = await raceSignal(id, options?.signal)
    return http.call(`/api/v1/tasks/${job}/cancel`, { method: 'POST', ...options })
  }

  if (typeof from !== 'string') {
    const onAbort = (): void => {
      cancel().catch(() => {}) // it was not accepted, or has ended
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    const forget = (): void => signal?.removeEventListener('abort', onAbort)
    wait().then(forget, forget)
  }

  const result = (options?: Waiting): Promise<R> => raceSignal(wait(), anyOf(signal, options?.signal))
  const job: Job<R> = {
    id,
    on(event, listener) {
      listeners[event].add(listener)
      if (event === 'end' && lastReport != null) {
        const report = lastReport
        queueMicrotask(() => {
          if (listeners.end.has(listener as (detail: JobReport) => void)) listener(report as never)
        })
      }
      void wait()
      return job
    },
    off(event, listener) {
      listeners[event].delete(listener)
      return job
    },
    result,
    async report(options) {
      if (lastReport != null) return lastReport
      return http.call(`/api/v1/tasks/${await raceSignal(id, options?.signal)}`, options)
    },
    cancel,
    ...thenable(result)
  }
  return job
}

function idOf(from: Promise<Submitted> | string): Promise<string> {
  const id =
    typeof from !== 'string'
      ? from.then(({ job }) => job.job)
      : ID.test(from)
        ? Promise.resolve(from)
        : Promise.reject(new ArtelError('UnknownJobError', `"${from.slice(0, 64)}" is no id of a job`))
  id.catch(() => {}) // who waits for it sees it
  return id
}

function anyOf(...signals: (AbortSignal | undefined)[]): AbortSignal {
  return AbortSignal.any(signals.filter(signal => signal != null))
}
