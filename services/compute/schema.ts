import { z } from 'zod'
import { base64, micro } from '../host/index.ts'

/** What travels about jobs. Pure: a browser can load it. Times are ms since 1970. */

/** longest `wait` */
export const MAX_WAIT_MS = 60_000
export const MAX_PAGE = 200
export const MAX_BATCH = 100_000

const time = z.number().describe('ms since 1970')
const count = z.number().int().nonnegative()

export const JOB_STATES = ['queued', 'running', 'completed', 'failed', 'cancelled', 'expired'] as const
export const jobState = z.enum(JOB_STATES)
export type JobState = z.output<typeof jobState>

export const failure = z.object({
  name: z.enum(['threw', 'timeout', 'out-of-memory', 'invalid-result', 'aborted', 'wall-missing']),
  message: z.string(),
  stack: z.string().optional().describe("frames of the author's own code"),
  said: z.string().optional().describe('what the process had printed'),
  unit: z.number().optional().describe('item, block or row that failed')
})
export type Failure = z.output<typeof failure>

export const waiting = z
  .object({
    message: z.string().describe('why nothing of it is at work, and what to do'),
    unmet: z
      .array(
        z.object({
          requirement: z.enum(['memory', 'type', 'tags', 'price']),
          asked: z.string(),
          offered: z.string().describe('the best that there is')
        })
      )
      .describe('what it asks for and nobody offers')
  })
  .describe('absent while anything is at work, and after the end')

export const jobReport = z.object({
  job: z.string(),
  type: z.string().describe('task type, or batch'),
  name: z.string().optional(),
  state: jobState,
  submitted: time,
  finished: time.optional(),
  done: z.number().describe('units accepted'),
  total: z.number().describe('units in all'),
  retries: count,
  bound: micro.describe('the charge never exceeds it, micro-credits'),
  paid: micro,
  shares: z.array(
    z.object({
      worker: z.string(),
      slices: count,
      units: count,
      paid: micro,
      why: z
        .partialRecord(z.enum(['here', 'holder', 'measure', 'soonest', 'check', 'late']), count)
        .optional()
        .describe(
          'why it got slices: here (no way to go), holder (it has the inputs), measure (its speed was to be measured), soonest (expected to be done there first), check (an answer is compared), late (who had them was late)'
        )
    })
  ),
  verification: z
    .object({
      replicas: z.number().describe('copies computed per accepted unit; 1 = nothing beside the work'),
      compared: count.describe('slices that more than one worker answered'),
      audited: count.describe('units that the coordinating node calculated again'),
      canaries: count.describe('slices handed out again although their result was known'),
      confidence: z.number().optional().describe('the least credibility with which a slice was accepted')
    })
    .optional(),
  cid: z.string().optional().describe('content id of the canonical result bytes'),
  failure: failure.optional(),
  memoOf: z.string().optional().describe('the job whose result it took'),
  waiting: waiting.optional(),
  barred: z
    .array(z.object({ worker: z.string(), reason: z.string(), until: time.optional() }))
    .optional()
    .describe('who gets nothing of it, why, and until when')
})
export type JobReport = z.output<typeof jobReport>

export const progress = z.object({
  job: z.string(),
  state: jobState,
  done: z.number(),
  total: z.number(),
  workers: count.describe('workers that hold a lease now'),
  retries: count,
  elapsedMs: z.number(),
  remainingMs: z.number().optional(),
  paid: micro,
  waiting: waiting.optional()
})
export type Progress = z.output<typeof progress>

/** A task. What each type takes says GET /types; functions are source text, data may be `{ cid, as?, size? }`. */
export const taskSpec = z.looseObject({ type: z.string() })
export type TaskSpec = z.output<typeof taskSpec>

export const submitted = z.object({
  job: jobReport,
  result: z.unknown().optional().describe('where the job finished well within `wait`')
})
export type Submitted = z.output<typeof submitted>

export const jobPage = z.object({
  items: z.array(jobReport),
  next: z.string().optional().describe('cursor of the next page; absent on the last one'),
  total: count
})
export type JobPage = z.output<typeof jobPage>

export const slices = z.object({
  items: z
    .array(
      z.object({
        part: count,
        first: z.number().describe('first unit'),
        count,
        workers: z.array(z.object({ worker: z.string(), paid: micro }))
      })
    )
    .describe('accepted'),
  open: z
    .array(z.object({ part: count, first: z.number(), count, worker: z.string(), sinceMs: z.number() }))
    .describe('leased now')
})

export const receiptRow = z.object({ worker: z.string(), slice: count, receipt: base64 })
export type ReceiptRow = z.output<typeof receiptRow>

const outlook = z.object({ level: z.number(), low: z.number(), high: z.number() })
export const forecast = z.object({
  now: z.number().describe('market factor; 1 is the base price'),
  inOneHour: outlook,
  inSixHours: outlook
})
export type Forecast = z.output<typeof forecast>

export const quote = z.object({
  expected: micro,
  bound: micro,
  fair: micro.describe('without the bound; where it is more than the bound, workers may refuse'),
  basis: z.enum(['measured', 'calibrated', 'default']),
  cpuMs: z.number().optional(),
  factors: z.object({
    market: z.number(),
    scarcity: z.number(),
    reputation: z.number(),
    multiplier: z.number(),
    verification: z.number(),
    priority: z.number()
  })
})
export type Quote = z.output<typeof quote>
export const quoteView = z.object({ quote, forecast })
export type QuoteView = z.output<typeof quoteView>

export const taskType = z.object({
  type: z.string(),
  description: z.string(),
  schema: z.record(z.string(), z.unknown()).describe('JSON Schema of the spec'),
  example: taskSpec,
  limits: z.object({ timeoutMs: z.number().describe('of one slice'), items: z.number().describe('inline') })
})
export type TaskType = z.output<typeof taskType>

const limits = z.object({
  slots: z.int().min(0).max(1024).describe('slices of others at the same time'),
  maxRamMb: z.number().positive().describe('of all sandbox processes together'),
  minPrice: z.number().min(0).max(1e6).describe('credits per CPU second'),
  onlyIdle: z.boolean(),
  quietHours: z.array(z.string().max(20)).max(50).describe('22:00-07:00, local time')
})
export const contribution = z.object({
  enabled: z.boolean(),
  open: z.boolean().describe('whether work is taken now'),
  reason: z.string().optional().describe('why not'),
  limits,
  today: z.object({ slices: count, cpuMs: z.number(), earned: micro, requesters: count, since: time })
})
export type Contribution = z.output<typeof contribution>
export const contributionPatch = z.strictObject({
  enabled: z.boolean().optional(),
  limits: limits.partial().strict().optional()
})
export type ContributionPatch = z.output<typeof contributionPatch>

export const added = z.object({ cid: z.string(), size: count.describe('bytes') })
