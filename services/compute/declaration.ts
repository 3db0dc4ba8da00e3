import { z } from 'zod'
import { TASK_TYPES } from '../../scheduler/tasks/types.ts'
import { bytes, DEFAULT_DEADLINE_MS, declare, encoded, operation } from '../host/index.ts'
import {
  added,
  contribution,
  contributionPatch,
  forecast,
  jobPage,
  jobReport,
  jobState,
  MAX_BATCH,
  MAX_PAGE,
  MAX_WAIT_MS,
  progress,
  quoteView,
  receiptRow,
  type Submitted,
  slices,
  submitted,
  taskSpec,
  taskType
} from './schema.ts'
import { notify, webhook } from './webhooks/notify.ts'

/** Specs with their data inline; more goes into the block store. */
const SPEC_BYTES = 64 * 1024 * 1024
/** What the block store takes at most (scheduler): 25,000 blocks of 1 MiB. */
const DATA_BYTES = 25_000 * 2 ** 20
/** That at 15 MB/s. */
const DATA_MS = 30 * 60_000
/** What a client may ask to wait, and what it takes to submit. */
const SUBMIT_MS = MAX_WAIT_MS + DEFAULT_DEADLINE_MS

/** To find out that nobody has it. */
export const FIND_DATA_MS = 10_000

const id = z.string().min(1).max(64).describe('id of the job, as `artel run` and `artel jobs` show it')
const wait = z.int().min(0).max(MAX_WAIT_MS).optional().describe('ms to wait for the end of the job')
// the scheduler looks at it, and says what is wrong with it; `notify` is not for the scheduler
const spec = z.unknown().meta({
  type: 'object',
  description:
    'What each type takes says GET /types, with an example that runs. Functions are source text, bytes base64; data may be `{ cid, as?, size? }`.',
  properties: {
    type: { type: 'string', enum: TASK_TYPES },
    notify: z.toJSONSchema(notify, { io: 'input' }) as object
  },
  required: ['type']
})
const key = z
  .string()
  .min(1)
  .max(255)
  .optional()
  .describe('the same key with the same body is the same job, also after a restart')

/** 202 while it runs */
const answer = ({ job }: Submitted) => ({
  status: job.finished == null ? 202 : 200,
  headers: { location: `/api/v1/tasks/${job.job}` }
})
const onSubmit = {
  method: 'POST',
  bodyBytes: SPEC_BYTES,
  headers: { key: 'idempotency-key' },
  statuses: [202],
  answer
} as const
const read = { scope: 'read', command: false } as const
const submit = { scope: 'submit', command: false } as const
const admin = { scope: 'admin', command: false } as const

export const compute = declare({
  name: 'compute',
  version: 1,
  isResident: true,
  needs: ['jobs', 'scheduler'],
  page: { icon: 'hand-heart', titles: { en: 'Contribute', ru: 'Вклад' } },
  summary: 'jobs of this node, what they cost, and what it lends to those of others',
  operations: {
    submit: operation({
      summary: 'Submit a task',
      description:
        'With `wait` and a job that ends in time the answer has its result; without `result` it failed.',
      input: z.object({
        spec,
        wait,
        delegate: z
          .string()
          .max(128)
          .optional()
          .describe('peer that coordinates the job in place of this node'),
        key
      }),
      output: submitted,
      http: { ...onSubmit, path: '/tasks', bodyField: 'spec' },
      deadlineMs: SUBMIT_MS,
      ...submit
    }),
    submitBatch: operation({
      summary: 'Submit many small tasks as one job',
      description: 'The result has one `{ ok: true, value }` or `{ ok: false, failure }` per task, in order.',
      input: z.object({
        specs: z.array(z.unknown()).max(MAX_BATCH),
        notify: notify.optional().describe('who is told how the job ended'),
        wait,
        key
      }),
      output: submitted,
      http: { ...onSubmit, path: '/tasks/batch', query: ['wait'] },
      deadlineMs: SUBMIT_MS,
      ...submit
    }),
    jobs: operation({
      summary: "This node's jobs, newest first",
      input: z.object({
        limit: z.int().min(1).max(MAX_PAGE).default(50),
        cursor: z.string().max(200).optional().describe('`next` of the page before'),
        state: jobState.optional(),
        type: z.string().max(50).optional()
      }),
      output: jobPage,
      http: { method: 'GET', path: '/tasks' },
      ...read
    }),
    job: operation({
      summary: 'One job',
      input: z.object({ id }),
      output: jobReport,
      http: { method: 'GET', path: '/tasks/:id' },
      ...read
    }),
    follow: operation({
      summary: 'Tell the progress of a job, and answer when it has ended',
      input: z.object({ id }),
      output: jobReport,
      progress,
      http: { method: 'GET', path: '/tasks/:id/follow' },
      ...read
    }),
    spec: operation({
      summary: 'What a job is to do; of a batch the list of its tasks',
      input: z.object({ id }),
      output: z.union([taskSpec, z.array(taskSpec)]),
      http: { method: 'GET', path: '/tasks/:id/spec' },
      ...read
    }),
    result: operation({
      summary: 'The result of a job',
      description:
        'In JSON for people: bigint as decimal string, bytes as base64, NaN as null; as a canonical value nothing is lost. 409 while it runs; what it failed of when it failed.',
      input: z.object({ id, wait }),
      output: encoded,
      http: { method: 'GET', path: '/tasks/:id/result' },
      deadlineMs: SUBMIT_MS,
      ...read
    }),
    cancel: operation({
      summary: 'End a job; what was accepted is paid',
      input: z.object({ id }),
      output: jobReport,
      http: { method: 'POST', path: '/tasks/:id/cancel' },
      isIdempotent: true,
      ...submit
    }),
    slices: operation({
      summary: 'Where a job stands, slice by slice, and who did what',
      input: z.object({ id }),
      output: slices,
      http: { method: 'GET', path: '/tasks/:id/slices' },
      ...read
    }),
    receipts: operation({
      summary: 'Signed proofs of the work that was paid, one per slice',
      input: z.object({ id }),
      output: z.object({ items: z.array(receiptRow) }),
      http: { method: 'GET', path: '/tasks/:id/receipts' },
      ...read
    }),
    quote: operation({
      summary: 'What a task will cost; nothing is submitted',
      input: z.object({ spec }),
      output: quoteView,
      http: { method: 'POST', path: '/quote', bodyField: 'spec', bodyBytes: SPEC_BYTES },
      isIdempotent: true,
      // a calibration runs a unit of the job here
      deadlineMs: 60_000,
      ...submit
    }),
    forecast: operation({
      summary: 'The price level now, in one hour and in six',
      input: z.object({}),
      output: forecast,
      http: { method: 'GET', path: '/forecast' },
      ...read
    }),
    types: operation({
      summary: 'Every task type: what it takes, an example, its limits',
      input: z.object({}),
      output: z.array(taskType),
      http: { method: 'GET', path: '/types' },
      ...read
    }),
    webhooks: operation({
      summary: 'Who may be told how jobs ended, with the secrets of the signatures, and what waits',
      input: z.object({}),
      output: z.object({ items: z.array(webhook) }),
      http: { method: 'GET', path: '/webhooks' },
      ...admin
    }),
    contribution: operation({
      summary: 'What this machine lends, and what it did today',
      input: z.object({}),
      output: contribution,
      http: { method: 'GET', path: '/contribution' },
      ...read
    }),
    contribute: operation({
      summary: 'Lend more or less, at once',
      input: contributionPatch,
      output: contribution,
      http: { method: 'PATCH', path: '/contribution' },
      ...admin
    }),
    addData: operation({
      summary: 'Put bytes into the block store, for `{ cid }` in place of data in a task',
      description:
        'The body is taken as it is, of any content type and length up to 24 GiB, and is streamed.',
      input: z.object({}),
      output: added,
      http: { method: 'POST', path: '/data', body: 'bytes', bodyBytes: DATA_BYTES, status: 201 },
      isIdempotent: true,
      deadlineMs: DATA_MS,
      ...submit
    }),
    addFile: operation({
      summary: 'Put a file of this machine into the block store',
      input: z.object({ path: z.string().min(1).max(4096).meta({ isPath: true }) }),
      output: added,
      http: { method: 'POST', path: '/data/from-path', status: 201 },
      deadlineMs: DATA_MS,
      // it reads whatever the node may read
      ...admin
    }),
    data: operation({
      summary: 'Bytes of the block store, streamed',
      description: `What nobody is found to have within ${FIND_DATA_MS / 1000} s is missing: DataMissingError.`,
      input: z.object({ cid: z.string().min(1).max(128) }),
      output: bytes,
      http: { method: 'GET', path: '/data/:cid' },
      ...read
    })
  }
})
