import { z } from 'zod'
import { region, ruleSchema } from './rule.ts'

/* What nodes ask of each other about pages. */

/** Of a rule that others look at too: its host is read with a pause between two. */
export const MAX_SHARED_PAGES = 10
export const MAX_SHARED_ITEMS = 20_000
/** of all items of a look, as JSON */
export const MAX_SHARED_CHARS = 16_000_000
/** Items are sent in parts of about so much. */
export const PART_CHARS = 200_000
const PART_BYTES = 2 << 20
export const PART_ITEMS = 5_000

const hash = z.string().regex(/^[0-9a-f]{64}$/)

/** What of a rule others need to see the same. Nothing of it is secret. */
export const sharedRule = z.strictObject(
  ruleSchema.pick({ urls: true, pages: true, extract: true, key: true }).shape
)
export type SharedRule = z.output<typeof sharedRule>

const statement = z.object({
  at: z.int().nonnegative(),
  snapshot: hash,
  root: hash,
  // where it says that it is; a node of before says nothing
  region: region.or(z.literal('')).default(''),
  signature: z.custom<Uint8Array>(
    value => value instanceof Uint8Array && value.length === 64,
    'must be 64 bytes'
  )
})

export const messages = {
  /** Look at these pages for me: the items by their key, then what was seen, signed. */
  look: {
    peers: 'allowed' as const,
    request: z.object({
      rule: sharedRule,
      /** `at` of the look that you told me last: I want a newer one */
      after: z.int().min(0)
    }),
    answer: statement,
    items: z.array(z.record(z.string().max(40), z.string())).max(PART_ITEMS),
    maxBytes: PART_BYTES,
    // of the silence before the first part: all pages, with the pauses between them
    deadlineMs: 600_000,
    atOnce: 2
  }
}

/** What a node saw: bytes of the pages (`snapshot`) and items (`root` of a Merkle tree), both SHA-256 in hex. */
export type Statement = z.output<typeof statement>
