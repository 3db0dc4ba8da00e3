import { z } from 'zod'
import { message } from '../../host/index.ts'

/* What nodes say to each other about machines, beside the offer. Schemas are made when the service starts. */

/** Of a signed command; the whole message is below the limit of a frame. */
export const ENVELOPE_BYTES = 60 * 1024
const SIGNATURE_BYTES = 64

export const bytesOf = (min: number, max: number) =>
  z.custom<Uint8Array>(
    value => value instanceof Uint8Array && value.length >= min && value.length <= max,
    `must be ${min} to ${max} bytes`
  )

export const signed = () =>
  z.object({
    envelope: bytesOf(1, ENVELOPE_BYTES),
    signature: bytesOf(SIGNATURE_BYTES, SIGNATURE_BYTES)
  })

/** Bytes of one piece of a layer. */
export const CHUNK_BYTES = 1 << 20
const MAX_LAYERS = 1_000
/** Bytes of one piece of a connection into a guest. */
export const TUNNEL_BYTES = 32 * 1024
export const port = () => z.coerce.number().int().min(1).max(65_535)
/** A layer by what is in it. */
const content = () =>
  z.object({
    layer: z.uuid(),
    bytes: z
      .int()
      .min(0)
      .max(2 ** 46),
    cid: z.string().max(100)
  })

/** A description as its target reads it: a node whose service is off does not carry the code for it. */
const unread = () => z.record(z.string(), z.unknown())

export const messages = {
  /** An operation, by who has signed it; the answer is that of the operation, as JSON. */
  command: message({
    peers: 'allowed',
    request: signed,
    answer: () => z.unknown(),
    // the longest of an operation: a move
    deadlineMs: 24 * 3_600_000
  }),

  /** A connection to a port of a guest; nothing in an item says that the guest sends no more. */
  tunnel: message({
    peers: 'allowed',
    request: () => z.object({ vm: z.string().max(100), port: port() }),
    sends: () => z.object({ bytes: bytesOf(1, TUNNEL_BYTES) }),
    items: () => z.object({ bytes: bytesOf(0, TUNNEL_BYTES) }),
    answer: () => z.object({}),
    // of the silence: people leave a shell open
    deadlineMs: 24 * 3_600_000,
    atOnce: 64
  }),

  /*
   * A machine goes to another host: the command of its owner, its description, then its layers, those that are known
   * by content left out. With the source's signed release it runs there and nowhere else; with the signed receipt the
   * source deletes it.
   */
  moveBegin: message({
    request: () => z.object({ move: z.uuid(), command: signed(), description: unread() }),
    answer: () => z.object({}),
    maxBytes: 1 << 20
  }),
  moveKnown: message({
    request: () => z.object({ move: z.uuid(), known: z.array(content()).max(MAX_LAYERS) }),
    answer: () => z.object({ missing: z.array(z.uuid()).max(MAX_LAYERS) }),
    maxBytes: 1 << 20,
    // it may have to read its own layers
    deadlineMs: 600_000
  }),
  moveLayer: message({
    // without a name for its content: memory of a guest that runs meanwhile; it has at most so many bytes
    request: () => content().extend({ move: z.uuid(), cid: content().shape.cid.optional() }),
    sends: () => z.object({ at: z.int().min(0), bytes: bytesOf(1, CHUNK_BYTES) }),
    answer: () => z.object({ cid: content().shape.cid }),
    maxBytes: CHUNK_BYTES + 1024,
    // of the silence between two pieces
    deadlineMs: 60_000,
    atOnce: 4
  }),
  moveRelease: message({
    request: () => z.object({ move: z.uuid(), description: unread(), release: signed() }),
    answer: () => z.object({ receipt: bytesOf(SIGNATURE_BYTES, SIGNATURE_BYTES) }),
    maxBytes: 1 << 20,
    deadlineMs: 60_000
  }),
  /** It is not to be: the target forgets it. */
  moveAbort: message({
    request: () => z.object({ move: z.uuid() }),
    answer: () => z.object({})
  })
}
