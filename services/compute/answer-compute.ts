import { hash } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { decodeValue, encodeValue } from '../../sandbox/index.ts'
import { asWritten, type Job, type Progress, type Scheduler } from '../../scheduler/index.ts'
import { type Call, createDeadline, type Handlers, type Jobs, RequestError } from '../host/index.ts'
import { type compute, FIND_DATA_MS } from './declaration.ts'
import { NotFinishedError, UnknownJobError } from './errors.ts'
import type { Idempotency } from './idempotency.ts'
import type { Contribution, ContributionPatch, Submitted } from './schema.ts'
import { taskTypeViews } from './task-types.ts'
import type { Webhooks } from './webhooks/index.ts'

const CURSOR = /^([0-9a-z]{1,11})\.([\w-]{1,64})$/
/** As large as a block of the store. */
const READ_BYTES = 1 << 20
/** Well within the silence that an operation may keep. */
const HEARTBEAT_MS = 10_000
/** A settlement takes a round trip to the witnesses; it goes on after this. */
const SETTLE_WAIT_MS = 3000

export interface AnswerComponents {
  jobs: Jobs
  scheduler: Pick<
    Scheduler,
    'addData' | 'data' | 'datasets' | 'forecast' | 'job' | 'jobs' | 'quote' | 'receipts' | 'slices' | 'spec'
  >
  idempotency: Pick<Idempotency, 'once'>
  webhooks: Pick<Webhooks, 'check' | 'list' | 'split' | 'start'>
  lending: Lending
}

/** What this machine gives to the jobs of others, and the switch for it. */
export interface Lending {
  contribution(): Contribution
  /** Counts at once, and after a restart. Throws ConfigError. */
  contribute(patch: ContributionPatch): Promise<Contribution>
}

/** Answers what can be asked about jobs and lending. */
export function answerCompute({
  jobs,
  scheduler,
  idempotency,
  webhooks,
  lending
}: AnswerComponents): Handlers<(typeof compute)['operations']> {
  function jobOf(id: string): Job {
    const job = scheduler.job(id)
    if (job == null) throw new UnknownJobError(id)
    return job
  }

  /**
   * A key that came before is the job that it started. `about`: what else is in the request. `mayGoOn`: as of an idempotent
   * start.
   */
  async function submitOnce(
    { caller, digest, signal }: Call,
    key: string | undefined,
    about: string,
    specs: unknown,
    start: (options: { id?: string; signal?: AbortSignal }) => Promise<Job>,
    mayGoOn = false
  ): Promise<Job> {
    if (key == null) {
      const job = await start({ signal })
      // it came all the same, and who asked never learns its id
      if (signal.aborted) await job.cancel('who submitted it has gone')
      return job
    }
    const owner = caller.is === 'grant' ? caller.grant.id : caller.is
    const content = `${about} ${digest ?? hash('sha256', encodeValue(specs))}`
    // it goes on without who asked: the same key finds it
    return idempotency.once(
      { key, owner, content, mayGoOn },
      id => scheduler.job(id),
      id => start({ id })
    )
  }

  /** The bytes of a result, or undefined when the job did not end in time. Throws what it failed of. */
  async function finished(job: Job, waitMs: number, signal: AbortSignal): Promise<Uint8Array | undefined> {
    if (job.report().finished == null) {
      if (waitMs === 0) return undefined
      // AbortSignal.timeout would live as long as it may take
      using inTime = createDeadline(job.id, waitMs, [signal])
      try {
        return await job.resultBytes({ signal: inTime.signal })
      } catch (error) {
        if (job.report().finished == null && inTime.signal.aborted) return undefined
        throw error
      }
    }
    return job.resultBytes({ signal })
  }

  /** The bytes of a result as callers get them: of one that stayed at workers what there is, not who has which block. */
  function told(job: Job, bytes: Uint8Array): Uint8Array {
    if (!(job.spec as { keep?: unknown } | undefined)?.keep) return bytes
    const kept = scheduler.datasets.list().find(({ id }) => id === job.id)
    return encodeValue({ dataset: job.id, items: kept?.items, bytes: kept?.bytes })
  }

  async function answer(job: Job, waitMs: number, signal: AbortSignal): Promise<Submitted> {
    // a failed job was submitted all the same: its report says so
    const bytes = await finished(job, waitMs, signal).catch(error => {
      if (job.report().finished == null) throw error
      return undefined
    })
    return { job: job.report(), ...(bytes == null ? {} : { result: decodeValue(told(job, bytes)) }) }
  }

  return {
    async submit({ spec, wait = 0, delegate, key }, call) {
      const about = `/api/v1/tasks ${delegate ?? ''}`
      const { task, notify } = webhooks.split(spec)
      const start = (options: { id?: string; signal?: AbortSignal }): Promise<Job> =>
        webhooks.start(notify, options.id, id =>
          // a delegate gives its own, and by one that nobody asked for nobody comes again
          jobs.submit(task, { ...options, ...(delegate == null ? { id } : { delegate }) })
        )
      const job = await submitOnce(call, key, about, spec, start, delegate != null)
      return answer(job, wait, call.signal)
    },

    async submitBatch({ specs, notify, wait = 0, key }, call) {
      const told = notify == null ? undefined : webhooks.check(notify)
      const job = await submitOnce(call, key, '/api/v1/tasks/batch ', specs, options =>
        webhooks.start(told, options.id, id => jobs.submitMany(specs, { ...options, id }))
      )
      return answer(job, wait, call.signal)
    },

    jobs({ limit, cursor, state, type }) {
      const before = cursor == null ? undefined : placeOf(cursor)
      // one more tells whether there is a next page
      const { items, total } = scheduler.jobs({ limit: limit + 1, before, state, type: type as never })
      const page = items.slice(0, limit)
      const last = page.at(-1)
      const next = items.length > limit ? { next: `${last!.submitted.toString(36)}.${last!.job}` } : {}
      return { items: page, total, ...next }
    },

    job: ({ id }) => jobOf(id).report(),

    async follow({ id }, { signal, send }) {
      const job = jobOf(id)
      let last = progressOf(job)
      const tell = (): void => {
        // who has gone is told by the signal
        send(last).catch(() => {})
      }
      const onProgress = ({ detail }: CustomEvent<Progress>): void => {
        last = detail
        tell()
      }
      job.addEventListener('progress', onProgress)
      // a job may be silent for weeks, and an operation may not
      const heartbeat = setInterval(tell, HEARTBEAT_MS)
      try {
        if (job.report().finished == null) await once(job, 'end', { signal })
        const settled = AbortSignal.any([signal, AbortSignal.timeout(SETTLE_WAIT_MS)])
        // what is told does not wait for witnesses that are away
        return await job.settled({ signal: settled }).catch(() => job.report())
      } finally {
        clearInterval(heartbeat)
        job.removeEventListener('progress', onProgress)
      }
    },

    spec({ id }) {
      const spec = scheduler.spec(id)
      if (spec == null) throw new UnknownJobError(id)
      return Array.isArray(spec) ? spec.map(asWritten) : asWritten(spec)
    },

    async result({ id, wait = 0 }, { signal }) {
      const job = jobOf(id)
      const canonical = await finished(job, wait, signal)
      if (canonical == null) throw new NotFinishedError(id, job.report().state)
      return { canonical: told(job, canonical) }
    },

    async cancel({ id }) {
      const job = jobOf(id)
      await job.cancel('its owner asked')
      return job.report()
    },

    slices({ id }) {
      const found = scheduler.slices(id)
      if (found == null) throw new UnknownJobError(id)
      return found
    },

    receipts({ id }) {
      jobOf(id)
      return { items: scheduler.receipts(id) }
    },

    async quote({ spec }, { signal }) {
      const quote = await scheduler.quote(webhooks.split(spec).task, { signal })
      return { quote, forecast: scheduler.forecast() }
    },
    forecast: () => scheduler.forecast(),
    types: () => taskTypeViews(),
    webhooks: () => ({ items: webhooks.list() }),

    contribution: () => lending.contribution(),
    contribute: patch => lending.contribute(patch),

    addData: (_, { body, signal }) => scheduler.addData(body, { signal }),
    addFile: ({ path }, { signal }) =>
      scheduler.addData(createReadStream(path, { highWaterMark: READ_BYTES }), { signal }),
    async data({ cid }, { signal }) {
      const { size, chunks } = await scheduler.data(cid, { signal, expires: Date.now() + FIND_DATA_MS })
      // bytes of strangers: never to be looked at as a page
      return { chunks, size, headers: { etag: `"${cid}"`, 'content-disposition': 'attachment' } }
    }
  }
}

/** Before the first news of it. */
function progressOf(job: Job): Progress {
  const { job: id, state, done, total, retries, paid, submitted } = job.report()
  return { job: id, state, done, total, retries, paid, workers: 0, elapsedMs: Date.now() - submitted }
}

function placeOf(cursor: string): { submitted: number; id: string } {
  const [, submitted, id] = CURSOR.exec(cursor) ?? []
  if (submitted == null || id == null)
    throw new RequestError(`cursor: ${cursor} is none; take \`next\` of the page before`)
  return { submitted: Number.parseInt(submitted, 36), id }
}
