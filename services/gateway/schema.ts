import { z } from 'zod'

/**
 * Everything on the wire of the HTTP API: schemas, and the types that follow from them. Pure and free of Node, so that
 * the dashboard and other clients in a browser can import it. Credits are decimal strings of micro-credits
 * (1 credit = 1,000,000), times are ms since 1970, ids are strings.
 */

/** Media type of canonical values (sandbox/value.ts): bigint, typed arrays, bytes, NaN and −0 survive. */
export const VALUE_TYPE = 'application/vnd.artel.value'
export const PROBLEM_TYPE = 'application/problem+json'
/** longest `?wait=` */
export const MAX_WAIT_MS = 60_000
export const MAX_PAGE = 200
export const MAX_BATCH = 100_000
/** subprotocol of the WebSocket; beside it a client offers `bearer.<token>` */
export const WS_PROTOCOL = 'artel.v1'

const micro = z
  .string()
  .regex(/^-?\d+$/)
  .describe('micro-credits, 1 credit = 1000000')
const time = z.number().describe('ms since 1970')
const count = z.number().int().nonnegative()

export const problem = z
  .looseObject({
    type: z.string().describe('urn:artel:error:<Name>'),
    title: z.string().describe('name of the error'),
    status: z.int(),
    detail: z.string().describe('what was wrong, which value, what to do')
  })
  .describe('RFC 9457')
export type Problem = z.infer<typeof problem>

// ——— jobs

export const JOB_STATES = ['queued', 'running', 'completed', 'failed', 'cancelled', 'expired'] as const
export const jobState = z.enum(JOB_STATES)
export type JobState = z.infer<typeof jobState>

export const failure = z.object({
  name: z.enum(['threw', 'timeout', 'out-of-memory', 'invalid-result', 'aborted', 'wall-missing']),
  message: z.string(),
  stack: z.string().optional().describe("frames of the author's own code"),
  said: z.string().optional().describe('what the process had printed'),
  unit: z.number().optional().describe('item, block or row that failed')
})
export type Failure = z.infer<typeof failure>

export const workerShare = z.object({ worker: z.string(), slices: count, units: count, paid: micro })
export type WorkerShare = z.infer<typeof workerShare>

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
  shares: z.array(workerShare),
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
export type JobReport = z.infer<typeof jobReport>

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
export type Progress = z.infer<typeof progress>

/** A task. What each type takes says GET /types; functions are source text, data may be `{ cid, as?, size? }`. */
export const taskSpec = z.looseObject({ type: z.string() }).meta({ id: 'TaskSpec' })
export type TaskSpec = z.infer<typeof taskSpec>
export const taskBatch = z.object({ specs: z.array(taskSpec).max(MAX_BATCH) })
export type TaskBatch = z.infer<typeof taskBatch>

const wait = z.coerce
  .number()
  .int()
  .min(0)
  .max(MAX_WAIT_MS)
  .optional()
  .describe('ms to wait for the end of the job')
export const waitQuery = z.object({ wait })
export type WaitQuery = z.infer<typeof waitQuery>
export const submitQuery = waitQuery.extend({
  delegate: z.string().max(128).optional().describe('peer that coordinates the job in place of this node')
})
export const idempotencyHeader = z.object({
  'idempotency-key': z
    .string()
    .min(1)
    .max(255)
    .optional()
    .describe('the same key with the same body is the same job, also after a restart')
})
export const jobParams = z.object({ id: z.string().min(1).max(64) })

/** `result` where the job finished within `?wait=` */
export const submitted = z.object({ job: jobReport, result: z.unknown().optional() })
export type Submitted = z.infer<typeof submitted>

export const jobsQuery = z.object({
  limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(50),
  cursor: z.string().max(200).optional().describe('`next` of the page before'),
  state: jobState.optional(),
  type: z.string().max(50).optional()
})
export const jobPage = z.object({
  items: z.array(jobReport),
  next: z.string().optional().describe('cursor of the next page; absent on the last one'),
  total: count
})
export type JobPage = z.infer<typeof jobPage>

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
export type Slices = z.infer<typeof slices>

export const receiptRow = z.object({ worker: z.string(), slice: count, receipt: z.base64() })
export const receiptRows = z.object({ items: z.array(receiptRow) })
export type ReceiptRow = z.infer<typeof receiptRow>
export type ReceiptRows = z.infer<typeof receiptRows>

export const receiptBody = z.object({ receipt: z.base64().max(16_384) })
export const receipt = z.object({
  network: z.string(),
  job: z.string(),
  requester: z.string(),
  worker: z.string(),
  slice: count,
  amount: micro,
  digest: z.base64().describe('SHA-256 of the canonical result bytes of the slice'),
  root: z.base64().describe('stands in the order that settled the job')
})
export const receiptCheck = z.object({
  valid: z.boolean(),
  receipt: receipt.optional(),
  reason: z.string().optional()
})
export type Receipt = z.infer<typeof receipt>
export type ReceiptCheck = z.infer<typeof receiptCheck>

// ——— prices

const outlook = z.object({ level: z.number(), low: z.number(), high: z.number() })
export const forecast = z.object({
  now: z.number().describe('market factor; 1 is the base price'),
  inOneHour: outlook,
  inSixHours: outlook
})
export type Forecast = z.infer<typeof forecast>

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
export type Quote = z.infer<typeof quote>
export const quoteView = z.object({ quote, forecast })
export type QuoteView = z.infer<typeof quoteView>

export const taskType = z.object({
  type: z.string(),
  description: z.string(),
  schema: z.record(z.string(), z.unknown()).describe('JSON Schema of the spec'),
  example: taskSpec,
  limits: z.object({ timeoutMs: z.number().describe('of one slice'), items: z.number().describe('inline') })
})
export type TaskType = z.infer<typeof taskType>
export const taskTypes = z.array(taskType)

// ——— network

export const workerInfo = z.object({
  peer: z.string(),
  class: z.string().describe('determinism class: V8 version and architecture'),
  slots: count,
  walled: z.boolean(),
  multiplier: z.number(),
  minPrice: micro.describe('micro-credits per CPU second below which it refuses'),
  refusal: z.string().optional().describe('why it refused last'),
  connected: z.boolean(),
  leased: count,
  accepted: count,
  failed: count
})
export type WorkerInfo = z.infer<typeof workerInfo>
export const offers = z.object({ items: z.array(workerInfo) })
export type Offers = z.infer<typeof offers>

export const peerRow = z.object({
  peer: z.string(),
  address: z.string(),
  direction: z.enum(['inbound', 'outbound']),
  rttMs: z.number().optional(),
  worker: workerInfo.optional()
})
export type PeerRow = z.infer<typeof peerRow>
export const peers = z.object({ items: z.array(peerRow) })
export type Peers = z.infer<typeof peers>

export const supply = z.object({ granted: micro, burnt: micro, total: micro })
export const network = z.object({
  version: z.string(),
  id: z.string(),
  role: z.string(),
  network: z.string(),
  name: z.string(),
  addresses: z.array(z.string()),
  peers: count,
  workers: count,
  slots: count.describe('of all workers known'),
  walled: z.boolean(),
  pid: z.int(),
  dashboard: z.string().optional().describe('where it is served'),
  epoch: z.int(),
  witnesses: z.array(z.string()),
  supply,
  market: z.number().describe('market factor now; 1 is the base price')
})
export type Network = z.infer<typeof network>

export const serviceHealth = z.object({
  service: z.string(),
  version: count,
  summary: z.string(),
  state: z.enum(['off', 'starting', 'running', 'degraded', 'failed']),
  reason: z.string().optional().describe('why; told to who may read'),
  retryAt: time.optional().describe('when it is started again')
})
export type ServiceHealth = z.infer<typeof serviceHealth>
export const services = z.object({
  announced: z.array(
    z.object({ service: z.string(), holders: count.describe('nodes that took the last announcement') })
  ),
  items: z
    .array(z.object({ service: z.string(), providers: z.array(z.string()) }))
    .describe('empty where nobody was to be looked for'),
  here: z.array(serviceHealth).describe('of this node')
})
export type Services = z.infer<typeof services>

// ——— credits and reputation

export const balance = z.object({ account: z.string(), available: micro, reserved: micro, supply })
export type Balance = z.infer<typeof balance>

export const historyEntry = z.object({
  seq: count,
  time,
  type: z.enum(['grant', 'escrow', 'settle', 'transfer']),
  from: z.string(),
  to: z.string().optional(),
  amount: micro,
  job: z.string().optional(),
  memo: z.string().optional()
})
export type HistoryEntry = z.infer<typeof historyEntry>
export const historyQuery = z.object({ limit: z.coerce.number().int().min(1).max(10_000).default(100) })
export const history = z.object({ items: z.array(historyEntry) })
export type History = z.infer<typeof history>

export const transferBody = z.strictObject({
  to: z.string().min(1).max(128),
  amount: z.string().regex(/^[1-9]\d{0,30}$/, 'must be a positive whole number of micro-credits as a string'),
  memo: z.string().max(256).optional()
})
export type TransferBody = z.infer<typeof transferBody>

const share = z.number().describe('0 to 1')
export const reputation = z.object({
  account: z.string(),
  score: share,
  level: z.enum(['excellent', 'good', 'average', 'poor', 'terrible']),
  success: share,
  quality: share,
  consistency: share,
  age: share,
  cooperation: share,
  isCapped: z.boolean().describe('proven wrong answers that are not worked off')
})
export type Reputation = z.infer<typeof reputation>
export const reputationQuery = z.object({ top: z.coerce.number().int().min(1).max(100).default(10) })
export const reputations = z.object({ items: z.array(reputation) })
export type Reputations = z.infer<typeof reputations>

// ——— this node

export const setting = z.object({
  setting: z.string().describe('keys from the root, joined by dots'),
  value: z.unknown().optional().describe('absent where this machine decides'),
  default: z.unknown().optional(),
  description: z.string(),
  live: z.boolean().describe('a change counts at once; of the others after the next start')
})
export type Setting = z.infer<typeof setting>
export const config = z.object({ items: z.array(setting) })
export type Config = z.infer<typeof config>
export const configPatch = z.record(z.string().max(100), z.unknown()).describe('setting → value')
export type ConfigPatch = z.infer<typeof configPatch>

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
  today: z.object({
    slices: count,
    cpuMs: z.number(),
    earned: micro,
    requesters: count,
    since: time
  })
})
export type Contribution = z.infer<typeof contribution>
export const contributionPatch = z.strictObject({
  enabled: z.boolean().optional(),
  limits: limits.partial().strict().optional()
})
export type ContributionPatch = z.infer<typeof contributionPatch>

export const added = z.object({ cid: z.string(), size: count.describe('bytes') })
export type Added = z.infer<typeof added>

export const SCOPES = ['read', 'submit', 'credits', 'admin'] as const
export const scope = z.union([
  z.enum(SCOPES),
  z.templateLiteral([z.string().regex(/[a-z][a-z0-9-]{0,31}/), ':', z.enum(['read', 'write', 'admin'])])
])
export type Scope = z.infer<typeof scope>
export const token = z.object({
  id: z.string(),
  name: z.string(),
  scopes: z.array(scope),
  created: time,
  expires: time.optional()
})
export type Token = z.infer<typeof token>
export const tokens = z.object({ items: z.array(token) })
export type Tokens = z.infer<typeof tokens>
export const tokenBody = z.strictObject({
  name: z.string().min(1).max(100),
  scopes: z.array(scope).min(1).max(100),
  expires: z.number().int().positive().optional().describe('ms since 1970; default: never')
})
export type TokenBody = z.infer<typeof tokenBody>
/** the only answer that holds the token itself */
export const newToken = token.extend({ token: z.string() })
export type NewToken = z.infer<typeof newToken>

export const health = z.object({
  status: z.literal('ok').describe('it answers'),
  services: z.array(serviceHealth)
})
export const ready = z.object({ ready: z.boolean(), reasons: z.array(z.string()) })
export type Ready = z.infer<typeof ready>

// ——— events of the WebSocket

export const stats = z.object({
  time,
  load: z.number().describe('share of all cores that is busy, 0 to 1'),
  slices: count.describe('slices of others that run here now'),
  memoryMb: z.number().describe('of the sandbox processes of this node'),
  peers: count,
  workers: count
})
export type Stats = z.infer<typeof stats>

export const event = z.discriminatedUnion('type', [
  z.object({ type: z.literal('progress'), progress }),
  z.object({ type: z.literal('job'), job: jobReport }).describe('a new job'),
  z.object({ type: z.literal('end'), job: jobReport }),
  z.object({ type: z.literal('peers'), peers: z.array(peerRow) }),
  z.object({ type: z.literal('balance'), balance }),
  z.object({ type: z.literal('worker:add'), worker: workerInfo }),
  z.object({ type: z.literal('worker:remove'), worker: workerInfo }),
  z.object({ type: z.literal('stats'), stats }).describe('each second'),
  z.object({ type: z.literal('service'), service: serviceHealth }).describe('how a service of this node is')
])
export type Event = z.infer<typeof event>
