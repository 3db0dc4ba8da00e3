import { z } from 'zod'
import { micro } from '../host/index.ts'
import { modelId, name } from './provider/provider.ts'

/* What nodes of one group ask of each other: answers that were kept under the key that all of them have; and what is sold. */

/** compressed and sealed */
export const MAX_ENTRY_BYTES = 1024 * 1024
export const MAX_QUESTION_BYTES = 3 * 1024 * 1024
/** of an answer that is sold */
export const MAX_PIECE_BYTES = 1024 * 1024
/** Its provider may take a minute to begin, and be tried again. */
const SILENCE_MS = 2 * 60_000

const bytesOf = (min: number, max: number) =>
  z.custom<Uint8Array>(
    value => value instanceof Uint8Array && value.length >= min && value.length <= max,
    `must be ${min} to ${max} bytes`
  )
const key = bytesOf(32, 32).describe('HMAC of the question')
const at = z.int().nonnegative().describe('ms since 1970')

/** Who had the answer, from whom, and when; it proves who says so, and not that the provider did. */
export const statement = z.object({
  signer: z.string().max(100),
  provider: name,
  model: modelId,
  created: at,
  expires: at,
  signature: bytesOf(64, 64)
})
export type Statement = z.output<typeof statement>

const entry = z.object({ sealed: bytesOf(1, MAX_ENTRY_BYTES), statement })
export type SharedEntry = z.output<typeof entry>

const sold = z.enum(['chat', 'embeddings'])
const questionId = z.string().min(16).max(64)
export const offer = z.object({
  left: micro.describe('of what was paid to the node'),
  models: z
    .array(
      z.object({
        id: modelId,
        use: sold,
        inputPerMillion: micro,
        outputPerMillion: micro,
        maxOutputTokens: z.number()
      })
    )
    .max(40_000)
})

const usual = { peers: 'allowed', maxBytes: MAX_ENTRY_BYTES + 64 * 1024 } as const

export const messages = {
  /** The answer to this question, if you have it. */
  cached: {
    ...usual,
    request: z.object({ key }),
    answer: z.object({ entry: entry.optional() }),
    deadlineMs: 10_000
  },
  /** Keep an answer of mine for the group. */
  share: {
    ...usual,
    request: z.object({ key, entry }),
    answer: z.object({}),
    deadlineMs: 10_000
  },
  /** Ask a provider of yours, on what my node has paid: the status of HTTP, then its body. */
  buy: {
    peers: 'allowed',
    request: z.object({
      use: sold,
      body: bytesOf(1, MAX_QUESTION_BYTES),
      id: questionId
        .optional()
        .describe('of the question; where it comes again, its answer does, and costs nothing more'),
      from: z.int().nonnegative().optional().describe('items of the answer that came before')
    }),
    items: z.union([
      // first, where the question has an id
      z.object({ isKept: z.literal(true) }),
      z.object({
        status: z.int().min(100).max(599),
        isStream: z.boolean(),
        retryAfter: z.string().max(100).optional()
      }),
      z.object({ bytes: bytesOf(0, MAX_PIECE_BYTES) })
    ]),
    answer: z.object({}),
    maxBytes: MAX_QUESTION_BYTES + 64 * 1024,
    deadlineMs: SILENCE_MS
  },
  /** Nobody here wants the answer to this question any more. */
  leave: {
    peers: 'allowed',
    request: z.object({ id: questionId }),
    answer: z.object({})
  },
  /** What is there for my node, and what is left of what it has paid. */
  offer: {
    peers: 'allowed',
    request: z.object({}),
    answer: offer,
    maxBytes: 1024 * 1024
  }
} as const
