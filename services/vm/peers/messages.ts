import { z } from 'zod'

/* What nodes say to each other about machines, beside the offer. */

/** Of a signed command; the whole message is below the limit of a frame. */
export const ENVELOPE_BYTES = 60 * 1024
const SIGNATURE_BYTES = 64

export const bytesOf = (min: number, max: number) =>
  z.custom<Uint8Array>(
    value => value instanceof Uint8Array && value.length >= min && value.length <= max,
    `must be ${min} to ${max} bytes`
  )

export const signed = z.object({
  envelope: bytesOf(1, ENVELOPE_BYTES),
  signature: bytesOf(SIGNATURE_BYTES, SIGNATURE_BYTES)
})

export const messages = {
  /** An operation, by who has signed it; the answer is that of the operation, as JSON. */
  command: {
    peers: 'allowed' as const,
    request: signed,
    answer: z.unknown(),
    // the longest of an operation that can be asked of another host
    deadlineMs: 120_000
  }
}
