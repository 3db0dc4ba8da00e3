import { z } from 'zod'
import { decodeValue } from '../../sandbox/index.ts'
import type { Why } from '../contract.ts'
import { MAX_SPEC_VALUES } from './limits.ts'

/**
 * A job that another node coordinates. One request and one answer per stream, canonical values behind a varint length.
 * The submitter is the authenticated peer of the connection; nobody else can ask for, fetch or cancel its jobs.
 * It pays the bound in advance by a ledger transfer, and gets back what the job did not cost.
 */
export const DELEGATE_PROTOCOL = '/artel/delegate/1'

// Workers of one job that are told one by one.
const MAX_SHARES = 10_000

const key = z.string().regex(/^[0-9a-f]{32}$/)
const job = z.string().regex(/^[0-9a-f]{16}$/)
const spec = z.custom<Uint8Array>(value => value instanceof Uint8Array, 'must be bytes')
const request = z.discriminatedUnion('t', [
  /** would you, and for how much at most? */
  z.object({ t: z.literal('ask'), spec }),
  /** the bound is paid under this key */
  z.object({ t: z.literal('start'), key, spec }),
  z.object({ t: z.literal('result'), job }),
  z.object({ t: z.literal('cancel'), job })
])
export type DelegateRequest = z.output<typeof request>

const micro = z.bigint().min(0n)
const name = z.string().max(128)
const text = z.string().max(64 * 1024)
const count = z.number().optional()
const why = z.object({
  here: count,
  holder: count,
  measure: count,
  soonest: count,
  check: count,
  late: count
} satisfies Record<Why, unknown>)
const report = z.object({
  job: name,
  type: name,
  state: z.enum(['queued', 'running', 'completed', 'failed', 'cancelled', 'expired']),
  submitted: z.number(),
  finished: z.number().optional(),
  done: z.number(),
  total: z.number(),
  retries: z.number(),
  bound: micro,
  paid: micro,
  shares: z
    .array(
      z.object({ worker: name, slices: z.number(), units: z.number(), paid: micro, why: why.optional() })
    )
    .max(MAX_SHARES),
  cid: name.optional(),
  failure: z
    .object({
      name: z.enum(['threw', 'timeout', 'out-of-memory', 'invalid-result', 'aborted', 'wall-missing']),
      message: text,
      stack: text.optional(),
      said: text.optional(),
      unit: z.number().optional()
    })
    .optional(),
  memoOf: name.optional(),
  waiting: z
    .object({
      message: text,
      unmet: z
        .array(
          z.object({ requirement: z.enum(['memory', 'type', 'tags', 'price']), asked: text, offered: text })
        )
        .max(8)
    })
    .optional(),
  barred: z
    .array(z.object({ worker: name, reason: text, until: z.number().optional() }))
    .max(64)
    .optional()
})
const answer = z.discriminatedUnion('t', [
  z.object({ t: z.literal('price'), bound: micro }),
  z.object({ t: z.literal('job'), job, report }),
  z.object({ t: z.literal('report'), report, result: spec.optional() }),
  z.object({ t: z.literal('error'), name: z.string().max(64), message: z.string().max(4000) })
])
export type DelegateAnswer = z.output<typeof answer>

// A request has four values, an answer a report with at most twelve for each worker.
const MAX_REQUEST_VALUES = 16
const MAX_ANSWER_VALUES = 1024 + 16 * MAX_SHARES

/** undefined for what is none. Throws ValueError for what is no value. */
export const readRequest = (bytes: Uint8Array): DelegateRequest | undefined =>
  request.safeParse(decodeValue(bytes, { maxItems: MAX_REQUEST_VALUES })).data
export const readAnswer = (bytes: Uint8Array): DelegateAnswer | undefined =>
  answer.safeParse(decodeValue(bytes, { maxItems: MAX_ANSWER_VALUES })).data
/** A task as its author wrote it. Throws ValueError. */
export const readSpec = (bytes: Uint8Array): unknown => decodeValue(bytes, { maxItems: MAX_SPEC_VALUES })

/** What a transfer says that pays for the job of this key. */
export const memoOf = (key: string): string => `delegate ${key}`

/** A payment is certified by the witnesses well within this time, or not at all. */
export const PAYMENT_TIMEOUT_MS = 20_000
export const REQUEST_TIMEOUT_MS = PAYMENT_TIMEOUT_MS + 40_000
