import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { decodeValue, encodeValue } from '../../../sandbox/index.ts'
import { AUTHORED, type Job } from '../../../scheduler/index.ts'
import { DEFAULT_DEADLINE_MS } from '../../host/index.ts'
import { type App, type Context, patience, problems } from '../app.ts'
import { NotFinishedError, RequestError, UnknownJobError } from '../errors.ts'
import { streamJob } from '../event-stream.ts'
import { plain, plainReport, readable } from '../plain.ts'
import {
  idempotencyHeader,
  jobPage,
  jobParams,
  jobReport,
  jobsQuery,
  MAX_WAIT_MS,
  receiptRows,
  slices,
  submitQuery,
  submitted,
  taskBatch,
  taskSpec,
  VALUE_TYPE,
  waitQuery
} from '../schema.ts'

/** Specs with their data inline; more goes into the block store. */
const SPEC_BYTES = 64 * 1024 * 1024
const CURSOR = /^([0-9a-z]{1,11})\.([\w-]{1,64})$/
/** What a client may ask to wait, and what it takes to submit. */
const WAITING_MS = MAX_WAIT_MS + DEFAULT_DEADLINE_MS

const tags = ['tasks']
const read = { scope: 'read' } as const
const submit = { scope: 'submit' } as const
const waiting = { deadlineMs: WAITING_MS }

export function taskRoutes(app: App, context: Context): void {
  const { scheduler, node, idempotency, stopping } = context

  app.route({
    method: 'POST',
    url: '/tasks',
    config: { ...submit, ...waiting },
    bodyLimit: SPEC_BYTES,
    schema: {
      operationId: 'submit',
      summary: 'Submit a task',
      description: `As JSON, or as a canonical value (${VALUE_TYPE}). With \`wait\` and a job that ends in time the answer has its result.`,
      tags,
      querystring: submitQuery,
      headers: idempotencyHeader,
      body: z.unknown().meta({ $ref: '#/components/schemas/TaskSpec' }),
      response: {
        200: submitted.describe('finished; without `result` when it failed'),
        202: submitted.describe('runs'),
        ...problems
      }
    },
    handler: async (req, reply) => {
      const { wait, delegate } = req.query
      const job = await once(req, id => node.submit(req.body, { id, delegate }), delegate)
      return answer(req, reply, job, wait)
    }
  })

  app.route({
    method: 'POST',
    url: '/tasks/batch',
    config: { ...submit, ...waiting },
    bodyLimit: SPEC_BYTES,
    schema: {
      operationId: 'submitBatch',
      summary: 'Submit many small tasks as one job',
      description: 'The result has one `{ ok: true, value }` or `{ ok: false, failure }` per task, in order.',
      tags,
      querystring: waitQuery,
      headers: idempotencyHeader,
      body: taskBatch,
      response: { 200: submitted, 202: submitted, ...problems }
    },
    handler: async (req, reply) => {
      const job = await once(req, id => node.submitMany(req.body.specs, { id }))
      return answer(req, reply, job, req.query.wait)
    }
  })

  app.route({
    method: 'GET',
    url: '/tasks',
    config: read,
    schema: {
      operationId: 'jobs',
      summary: "This node's jobs, newest first",
      tags,
      querystring: jobsQuery,
      response: { 200: jobPage, ...problems }
    },
    handler: async ({ query: { limit, cursor, state, type } }) => {
      const before = cursor == null ? undefined : placeOf(cursor)
      // one more tells whether there is a next page
      const { items, total } = scheduler.jobs({ limit: limit + 1, before, state, type: type as never })
      const page = items.slice(0, limit)
      const last = page.at(-1)
      return {
        items: page.map(plainReport),
        total,
        ...(items.length > limit ? { next: `${last!.submitted.toString(36)}.${last!.job}` } : {})
      }
    }
  })

  app.route({
    method: 'GET',
    url: '/tasks/:id',
    config: read,
    schema: {
      operationId: 'job',
      summary: 'One job',
      tags,
      params: jobParams,
      response: { 200: jobReport, ...problems }
    },
    handler: async ({ params }) => plainReport(jobOf(params.id).report())
  })

  app.route({
    method: 'GET',
    url: '/tasks/:id/spec',
    config: read,
    schema: {
      operationId: 'spec',
      summary: 'What a job is to do; of a batch the list of its tasks',
      tags,
      params: jobParams,
      response: { 200: z.union([taskSpec, z.array(taskSpec)]), ...problems }
    },
    handler: async ({ params: { id } }, reply) => {
      const spec = scheduler.spec(id)
      if (spec == null) throw new UnknownJobError(id)
      return sendJson(
        reply,
        JSON.stringify(readable(Array.isArray(spec) ? spec.map(asWritten) : asWritten(spec)))
      )
    }
  })

  app.route({
    method: 'GET',
    url: '/tasks/:id/result',
    config: { ...read, ...waiting },
    schema: {
      operationId: 'result',
      summary: 'The result of a job',
      description: `In JSON for people: bigint as decimal string, bytes as base64, NaN as null. With \`Accept: ${VALUE_TYPE}\` the canonical bytes, in which nothing is lost. 409 while it runs; what it failed of when it failed.`,
      tags,
      params: jobParams,
      querystring: waitQuery,
      response: { 200: z.unknown(), ...problems }
    },
    handler: async (req, reply) => {
      const job = jobOf(req.params.id)
      const bytes = await finished(job, reply, req.query.wait ?? 0)
      if (bytes == null) throw new NotFinishedError(job.id, job.report().state)
      if (wantsValue(req)) return reply.type(VALUE_TYPE).send(Buffer.from(bytes))
      return sendJson(reply, JSON.stringify(readable(decodeValue(bytes))))
    }
  })

  app.route({
    method: 'POST',
    url: '/tasks/:id/cancel',
    config: submit,
    schema: {
      operationId: 'cancel',
      summary: 'End a job; what was accepted is paid',
      tags,
      params: jobParams,
      response: { 200: jobReport, ...problems }
    },
    handler: async ({ params }) => {
      const job = jobOf(params.id)
      await job.cancel('its owner asked')
      return plainReport(job.report())
    }
  })

  app.route({
    method: 'GET',
    url: '/tasks/:id/events',
    config: read,
    schema: {
      operationId: 'jobEvents',
      summary: 'Progress and end of a job, as server-sent events',
      description: 'Events `progress` (Progress) and, last, `end` (JobReport).',
      tags,
      params: jobParams,
      response: { 200: { content: { 'text/event-stream': { schema: z.string() } } }, ...problems }
    },
    handler: (req, reply) => {
      const job = jobOf(req.params.id)
      reply.hijack()
      streamJob(job, reply.raw, reply.getHeaders() as Record<string, string>, stopping)
    }
  })

  app.route({
    method: 'GET',
    url: '/tasks/:id/slices',
    config: read,
    schema: {
      operationId: 'slices',
      summary: 'Where a job stands, slice by slice, and who did what',
      tags,
      params: jobParams,
      response: { 200: slices, ...problems }
    },
    handler: async ({ params: { id } }) => {
      const found = scheduler.slices(id)
      if (found == null) throw new UnknownJobError(id)
      return plain(found)
    }
  })

  app.route({
    method: 'GET',
    url: '/tasks/:id/receipts',
    config: read,
    schema: {
      operationId: 'receipts',
      summary: 'Signed proofs of the work that was paid, one per slice',
      tags,
      params: jobParams,
      response: { 200: receiptRows, ...problems }
    },
    handler: async ({ params: { id } }) => {
      jobOf(id)
      const items = scheduler
        .receipts(id)
        .map(({ receipt, ...row }) => ({ ...row, receipt: Buffer.from(receipt).toString('base64') }))
      return { items }
    }
  })

  function jobOf(id: string): Job {
    const job = scheduler.job(id)
    if (job == null) throw new UnknownJobError(id)
    return job
  }

  async function once(
    req: FastifyRequest,
    start: (id?: string) => Promise<Job>,
    delegate = ''
  ): Promise<Job> {
    const key = req.headers['idempotency-key']
    if (key == null) return start()
    // how long the client waits is no part of what it wants
    const content = `${req.routeOptions.url} ${delegate} ${req.digest}`
    return idempotency.once(
      { key: String(key), owner: req.grant!.id, content },
      id => scheduler.job(id),
      start
    )
  }

  /** The bytes of a result, or undefined when the job did not end in time. Throws what it failed of. */
  async function finished(job: Job, reply: FastifyReply, waitMs: number): Promise<Uint8Array | undefined> {
    if (waitMs === 0 && job.report().finished == null) return undefined
    // what has ended needs no patience
    if (waitMs === 0) return job.resultBytes()
    const signal = patience(reply, waitMs, stopping)
    try {
      return await job.resultBytes({ signal })
    } catch (err) {
      if (job.report().finished == null && signal.aborted) return undefined
      throw err
    }
  }

  async function answer(
    req: FastifyRequest,
    reply: FastifyReply,
    job: Job,
    waitMs = 0
  ): Promise<FastifyReply> {
    reply.header('location', `/api/v1/tasks/${job.id}`)
    // a failed job was submitted all the same: its report says so
    const bytes = await finished(job, reply, waitMs).catch(err => {
      if (job.report().finished == null) throw err
      return undefined
    })
    const report = job.report()
    reply.code(report.finished == null ? 202 : 200)
    if (wantsValue(req)) {
      const shown = JSON.parse(JSON.stringify(plainReport(report)))
      const body = bytes == null ? { job: shown } : { job: shown, result: decodeValue(bytes) }
      return reply.type(VALUE_TYPE).send(Buffer.from(encodeValue(body)))
    }
    const shown = JSON.stringify(plainReport(report))
    return sendJson(
      reply,
      bytes == null
        ? `{"job":${shown}}`
        : `{"job":${shown},"result":${JSON.stringify(readable(decodeValue(bytes)))}}`
    )
  }
}

const sendJson = (reply: FastifyReply, text: string): FastifyReply =>
  reply.header('content-type', 'application/json; charset=utf-8').send(text)

const wantsValue = ({ headers }: FastifyRequest): boolean => headers.accept?.includes(VALUE_TYPE) === true

function placeOf(cursor: string): { submitted: number; id: string } {
  const [, submitted, id] = CURSOR.exec(cursor) ?? []
  if (submitted == null || id == null)
    throw new RequestError(`cursor: ${cursor} is none; take \`next\` of the page before`)
  return { submitted: Number.parseInt(submitted, 36), id }
}

/** The scheduler keeps functions parsed. */
function asWritten(spec: unknown): unknown {
  const entries = Object.entries(spec as Record<string, unknown>)
  return Object.fromEntries(
    entries.map(([key, value]) => [
      key,
      AUTHORED.includes(key) ? ((value as { source?: string } | undefined)?.source ?? value) : value
    ])
  )
}
