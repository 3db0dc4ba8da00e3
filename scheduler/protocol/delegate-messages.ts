import { z } from 'zod'

/**
 * A job that another node coordinates. One request and one answer per stream, canonical values behind a varint length.
 * The submitter is the authenticated peer of the connection; nobody else can ask for, fetch or cancel its jobs.
 * It pays the bound in advance by a ledger transfer, and gets back what the job did not cost.
 */
export const DELEGATE_PROTOCOL = '/artel/delegate/1'

const key = z.string().regex(/^[0-9a-f]{32}$/)
const job = z.string().regex(/^[0-9a-f]{16}$/)
const spec = z.custom<Uint8Array>(value => value instanceof Uint8Array, 'must be bytes')
export const delegateRequest = z.discriminatedUnion('t', [
  /** would you, and for how much at most? */
  z.object({ t: z.literal('ask'), spec }),
  /** the bound is paid under this key */
  z.object({ t: z.literal('start'), key, spec }),
  z.object({ t: z.literal('result'), job }),
  z.object({ t: z.literal('cancel'), job })
])
export type DelegateRequest = z.output<typeof delegateRequest>

const micro = z.bigint().min(0n)
const report = z.object({
  job: z.string(),
  type: z.string(),
  state: z.enum(['queued', 'running', 'completed', 'failed', 'cancelled', 'expired']),
  submitted: z.number(),
  finished: z.number().optional(),
  done: z.number(),
  total: z.number(),
  retries: z.number(),
  bound: micro,
  paid: micro,
  shares: z
    .array(z.object({ worker: z.string(), slices: z.number(), units: z.number(), paid: micro }))
    .max(10_000),
  cid: z.string().optional(),
  failure: z
    .object({
      name: z.enum(['threw', 'timeout', 'out-of-memory', 'invalid-result', 'aborted', 'wall-missing']),
      message: z.string(),
      stack: z.string().optional(),
      said: z.string().optional(),
      unit: z.number().optional()
    })
    .optional(),
  memoOf: z.string().optional()
})
export const delegateAnswer = z.discriminatedUnion('t', [
  z.object({ t: z.literal('price'), bound: micro }),
  z.object({ t: z.literal('job'), job, report }),
  z.object({ t: z.literal('report'), report, result: spec.optional() }),
  z.object({ t: z.literal('error'), name: z.string().max(64), message: z.string().max(4000) })
])
export type DelegateAnswer = z.output<typeof delegateAnswer>

/** What a transfer says that pays for the job of this key. */
export const memoOf = (key: string): string => `delegate ${key}`

/** A payment is certified by the witnesses well within this time, or not at all. */
export const PAYMENT_TIMEOUT_MS = 20_000
export const REQUEST_TIMEOUT_MS = PAYMENT_TIMEOUT_MS + 40_000
