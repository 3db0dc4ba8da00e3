import { z } from 'zod'
import { trigger } from './cards/card.ts'
import { documentName, KINDS } from './documents/target.ts'

/* What nodes say to each other about TVs beside commands of their devices. Who may what decides the node beside the TV. */

export const MAX_TVS = 64
const FRAME_BYTES = 4 * 1024 * 1024
export const MAX_DOCUMENT_BYTES = 256 * 1024
const LOOK_MS = 2 * 60_000
/** a screen that stands still sends no pictures until it is recorded anew */
const STILL_MS = 5 * 60_000

const ms = z.int().min(0).max(8.64e15)
const value = z.union([z.string().max(500), z.number(), z.boolean()])
const tv = z.string().min(1).max(40)
/** who asks at the node that asks */
const account = z.string().min(1).max(100).optional()

export const booking = z.object({ tv, who: z.string().max(300), from: ms, to: ms, why: z.string().max(200) })

export const tvState = z.object({
  name: tv,
  tags: z.record(z.string().max(40), z.string().max(100)),
  lamp: z.enum(['down', 'tcp', 'auth', 'shell']).describe('how far it is up: shell is all the way'),
  reason: z.string().max(500).optional().describe('why it is no further up'),
  readings: z.record(z.string().max(64), value),
  bookings: z.array(booking).max(200)
})

export const outcome = z.object({
  is: z.enum(['done', 'failed', 'refused', 'expired', 'unknown']),
  why: z.string().max(1000).optional(),
  out: z.string().max(20_000).optional(),
  readings: z.record(z.string().max(64), value).optional()
})
const bytesUpTo = (max: number) =>
  z.custom<Uint8Array>(each => each instanceof Uint8Array && each.length < max, 'must be bytes')
const pictureBytes = bytesUpTo(FRAME_BYTES)
const documentBytes = bytesUpTo(MAX_DOCUMENT_BYTES + 1)
const signatureBytes = bytesUpTo(1000)

/** How a campaign is on one TV. */
export const campaignState = z.object({
  tv,
  /** of its files, how many are there, looked at on the TV */
  files: z.int().min(0),
  shown: z.int().min(0),
  isShowing: z.boolean()
})
export const rehearsal = z.object({
  when: z.string().max(300),
  at: z.array(ms).max(1000).describe('when it would have acted, ms since 1970')
})

export const messages = {
  /** Which TVs have you, and how are they? Those that the asker may read. */
  tvs: {
    request: z.object({}),
    answer: z.object({ tvs: z.array(tvState).max(MAX_TVS) }),
    maxBytes: FRAME_BYTES
  },
  /** Do this, which only looks. */
  look: {
    request: z.object({
      tv,
      name: z.string().max(64),
      args: z.record(z.string().max(64), z.union([z.string().max(8000), z.number(), z.boolean()])),
      account
    }),
    answer: outcome.extend({ picture: pictureBytes.optional() }),
    maxBytes: FRAME_BYTES,
    deadlineMs: LOOK_MS,
    atOnce: MAX_TVS
  },
  /** Your TV's screen as it is, until I go. */
  watch: {
    request: z.object({ tv, account }),
    items: z.object({ isKey: z.boolean(), bytes: pictureBytes }),
    answer: z.object({}),
    maxBytes: FRAME_BYTES,
    deadlineMs: STILL_MS
  },
  /** Here is what I, or somebody else, has signed; keep it where it is for your TVs. */
  document: {
    request: z.object({
      kind: z.enum(KINDS),
      issuer: z.string().min(1).max(100),
      bytes: documentBytes,
      signature: signatureBytes
    }),
    answer: z.object({
      why: z.string().max(500).optional().describe('why it is not kept'),
      newer: z
        .object({ bytes: documentBytes, signature: signatureBytes })
        .optional()
        .describe('what is here and counts more: only what its issuer has signed makes him go beyond it')
    }),
    maxBytes: 2 * MAX_DOCUMENT_BYTES
  },
  /** How are the campaigns that I have signed? */
  states: {
    request: z.object({}),
    answer: z.object({ items: z.array(campaignState.extend({ name: documentName })).max(MAX_TVS * 200) }),
    maxBytes: FRAME_BYTES
  },
  /** When would these have acted on what you have measured? */
  replay: {
    request: z.object({ tv, triggers: z.array(trigger).max(20), hours: z.number().min(0.01).max(168) }),
    answer: z.object({ items: z.array(rehearsal).max(20) }),
    maxBytes: 512 * 1024
  },
  hold: {
    request: booking.omit({ who: true }).extend({ isOverride: z.boolean(), account }),
    answer: z.object({ who: z.string().max(300) })
  },
  letGo: {
    request: z.object({ tv, account }),
    answer: z.object({ had: z.boolean() })
  }
}
