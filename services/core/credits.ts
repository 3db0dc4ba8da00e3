import { z } from 'zod'
import { group, micro, operation } from '../host/index.ts'

/** most entries of one answer */
export const MAX_LISTED = 10_000

const count = z.number().int().nonnegative()
const account = z.string().min(1).max(128)

export const supply = z.object({ granted: micro, burnt: micro, total: micro })
export type Supply = z.output<typeof supply>
const share = z.object({ available: micro, reserved: micro })
export const balance = share.extend({
  account: z.string(),
  supply,
  accounts: z.record(z.string(), share).optional().describe('every account of the network, where asked for')
})
export type Balance = z.output<typeof balance>

export const historyEntry = z.object({
  seq: count,
  time: z.number().describe('ms since 1970'),
  type: z.enum(['grant', 'escrow', 'settle', 'transfer']),
  from: z.string(),
  to: z.string().optional(),
  amount: micro,
  job: z.string().optional(),
  memo: z.string().optional()
})
export type HistoryEntry = z.output<typeof historyEntry>

const part = z.number().describe('0 to 1')
export const reputation = z.object({
  account: z.string(),
  score: part,
  level: z.enum(['excellent', 'good', 'average', 'poor', 'terrible']),
  success: part,
  quality: part,
  consistency: part,
  age: part,
  cooperation: part,
  isCapped: z.boolean().describe('proven wrong answers that are not worked off')
})
export type Reputation = z.output<typeof reputation>

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
const receiptCheck = z.object({
  valid: z.boolean(),
  receipt: receipt.optional(),
  reason: z.string().optional()
})

/** A text on the wire; a program may give the bigint. */
const amount = z.union([
  z
    .string()
    .regex(/^[1-9]\d{0,30}$/, 'must be a positive whole number of micro-credits as a string')
    .transform(BigInt),
  z.bigint().positive()
])

export const credits = group({
  name: 'credits',
  summary: 'the own account, its credits and the standing of all',
  operations: {
    balance: operation({
      summary: 'The own account, and the supply of the network',
      input: z.object({ all: z.boolean().default(false).describe('every account of the network') }),
      output: balance,
      http: { method: 'GET', path: '/credits/balance' },
      scope: 'read',
      command: false
    }),
    history: operation({
      summary: 'Certified orders of and for the own account, newest first',
      input: z.object({ limit: z.int().min(1).max(MAX_LISTED).default(100).describe('at most this many') }),
      output: z.object({ items: z.array(historyEntry) }),
      http: { method: 'GET', path: '/credits/history' },
      scope: 'read',
      command: false
    }),
    transfer: operation({
      summary: 'Give credits to another account; answers the new balance once the witnesses certified it',
      input: z.strictObject({ to: account, amount, memo: z.string().max(256).optional() }),
      output: balance,
      http: { method: 'POST', path: '/credits/transfer' },
      scope: 'credits',
      command: false
    }),
    top: operation({
      summary: 'The accounts with the best standing',
      input: z.object({ top: z.int().min(1).max(MAX_LISTED).default(10) }),
      output: z.object({ items: z.array(reputation) }),
      http: { method: 'GET', path: '/reputation' },
      scope: 'read',
      command: false
    }),
    reputation: operation({
      summary: 'Standing of one account, part by part',
      input: z.object({ account }),
      output: reputation,
      http: { method: 'GET', path: '/reputation/:account' },
      scope: 'read',
      command: false
    }),
    verifyReceipt: operation({
      summary: 'Check a receipt with nothing but its bytes',
      input: z.object({ receipt: z.base64().max(16_384) }),
      output: receiptCheck,
      http: { method: 'POST', path: '/receipts/verify' },
      scope: 'read',
      isIdempotent: true,
      command: false
    })
  }
})
