import { z } from 'zod'
import { modelId, name } from './provider/provider.ts'

/* What nodes of one group ask of each other: answers that were kept under the key that all of them have. */

/** compressed and sealed */
export const MAX_ENTRY_BYTES = 1024 * 1024

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
  }
}
