import { z } from 'zod'
import { CHUNK_BYTES } from '../data/chunked-data.ts'
import {
  MAX_FRAME_BYTES,
  MAX_HOLDERS,
  MAX_HOLDERS_PER_BLOCK,
  MAX_INPUTS_PER_SLICE,
  MAX_OUTPUT_BYTES,
  MAX_PIECES,
  MAX_SLICES_PER_MESSAGE
} from './limits.ts'

/**
 * Requester → worker and back on one persistent stream, canonical values in the frames of all protocols.
 * Every message of a requester gets an answer: `loaded`, `result` or `refused`. The number changes also where the same
 * work has another answer, for an honest one would be in dispute: 4 keeps results, and sends more groups inline.
 */
export const COMPUTE_PROTOCOL = '/artel/compute/4'

const bytes = z.custom<Uint8Array>(value => value instanceof Uint8Array, 'must be bytes')
const id = z.string().min(1).max(64)
const text = z.string().max(2000)
const ms = z.number().min(0).max(1e9)

const source = z.object({ kind: z.enum(['function', 'expression']), source: z.string().max(1 << 20) })

/** Code and everything that it needs beside its input. */
const load = z.object({
  t: z.literal('load'),
  /** content id of the rest of the message, chosen by the requester and valid within the stream */
  program: id,
  kind: z.enum(['function', 'module', 'expression', 'wasm', 'wasi', 'python', 'onnx']),
  source: z.union([z.string().max(1 << 20), bytes]),
  export: z.string().max(200).optional(),
  functions: z.record(z.string().max(64), source).optional(),
  driver: z
    .string()
    .max(1 << 20)
    .optional(),
  context: bytes.optional(),
  seed: z.string().max(128).optional(),
  /** task type, for workers that accept only some */
  type: z.string().max(32).optional(),
  timeoutMs: ms,
  memoryMb: z.int().min(16).max(65_536)
})

const sha256 = z.custom<Uint8Array>(
  value => value instanceof Uint8Array && value.length === 32,
  'must be 32 bytes'
)

const at = z.array(z.int().min(0).max(MAX_HOLDERS)).max(MAX_HOLDERS_PER_BLOCK)

/** bytes that are partly in blocks of the requester or of other workers (pieced-input.ts) */
const pieces = z.object({
  size: z.int().min(0).max(MAX_FRAME_BYTES),
  holders: z.array(z.string().max(128)).max(MAX_HOLDERS).optional(),
  pieces: z
    .array(
      z.union([
        bytes,
        z.object({
          block: sha256,
          from: z.int().min(0).max(CHUNK_BYTES),
          to: z.int().min(0).max(CHUNK_BYTES),
          /** places in `holders`; absent: the requester has it */
          at: at.optional()
        }),
        // items of a chunk that other workers keep
        z.object({
          chunk: z.custom<Uint8Array>(
            value => value instanceof Uint8Array && value.length > 0 && value.length % 32 === 0,
            'must be digests of 32 bytes'
          ),
          items: z.int().min(1).max(MAX_OUTPUT_BYTES),
          size: z.int().min(1).max(MAX_OUTPUT_BYTES),
          from: z.int().min(0).max(MAX_OUTPUT_BYTES),
          to: z.int().min(1).max(MAX_OUTPUT_BYTES),
          at
        })
      ])
    )
    .max(MAX_PIECES)
})

const slice = z.object({
  id: z.int().min(0),
  program: id,
  inputs: z
    .array(z.union([bytes, pieces]))
    .min(1)
    .max(MAX_INPUTS_PER_SLICE),
  /** what the requester expects it to take; 0 = unknown */
  expectedMs: ms,
  /** the requester's name for the job; with the slice's number and the price it is what the worker signs */
  job: id,
  /** micro-credits that the requester pays for it when it is accepted */
  price: z.int().min(0),
  /** a large answer stays at the worker, and what is sent and signed are its digests (tasks/shuffle/shuffle.ts) */
  keep: z.boolean().optional(),
  /** the results stay at the worker for later jobs, and what is sent and signed are their digests (data/kept-items.ts) */
  stay: z.boolean().optional()
})

const names = (most: number) => z.array(z.string().min(1).max(32)).max(most)

/** What a worker lends and asks; it also travels by gossip (offer-book.ts). */
export const offerFields = z.object({
  /** determinism class of its results */
  class: z.string().max(64),
  /** slices that run at the same time; 0 = nothing at present */
  slots: z.int().min(0).max(4096),
  /** slots without work when this was said */
  free: z.int().min(0).max(4096),
  /** most slices that may be outstanding */
  window: z.int().min(0).max(65_536),
  /** every wall of its sandbox stands */
  walled: z.boolean(),
  /** memory of one process, MB */
  ramMb: z.int().min(0),
  /** what it asks beside the base price */
  multiplier: z.number().min(0.01).max(100),
  /** micro-credits per CPU second below which it refuses */
  minPriceMicro: z.int().min(0),
  /** task types that it accepts; undefined = all */
  types: names(64).optional(),
  /** abilities by name: gpu, … */
  tags: names(16),
  /** determinism classes of what it can run beside its own class: pyodide-314.0.7 */
  runtimes: names(8).optional()
})
export type OfferFields = z.output<typeof offerFields>

const failure = z.object({
  name: z.enum(['threw', 'timeout', 'out-of-memory', 'invalid-result', 'aborted', 'wall-missing']),
  message: text,
  stack: z.string().max(8000).optional()
})

export const fromRequester = z.discriminatedUnion('t', [
  load,
  z.object({ t: z.literal('lease'), slices: z.array(slice).min(1).max(MAX_SLICES_PER_MESSAGE) }),
  z.object({ t: z.literal('revoke'), slices: z.array(z.int().min(0)).min(1).max(MAX_SLICES_PER_MESSAGE) })
])

export const fromWorker = z.discriminatedUnion('t', [
  /** first message of a worker and again whenever it changes */
  offerFields.extend({ t: z.literal('offer') }),
  z.object({ t: z.literal('loaded'), program: id }),
  z.object({
    t: z.literal('result'),
    slices: z
      .array(
        z.object({
          id: z.int().min(0),
          ms,
          /** of the worker under job, slice, digest of the outcomes (answer-digest.ts) and price (signWork of the ledger) */
          signature: z.custom<Uint8Array>(
            value => value instanceof Uint8Array && value.length === 64,
            'must be 64 bytes'
          ),
          outcomes: z
            .array(z.union([bytes, failure]))
            .min(1)
            .max(MAX_INPUTS_PER_SLICE),
          /** what the process had printed, where an outcome is a failure; for the author, and not signed */
          said: text.optional()
        })
      )
      .min(1)
      .max(MAX_SLICES_PER_MESSAGE)
  }),
  z.object({
    t: z.literal('refused'),
    program: id.optional(),
    slices: z.array(z.int().min(0)).max(MAX_SLICES_PER_MESSAGE),
    reason: text,
    /** blocks of other workers that cannot be had */
    missing: z.array(sha256).max(MAX_PIECES).optional()
  }),
  /** heartbeat while anything is leased */
  z.object({ t: z.literal('alive') })
])

export type FromRequester = z.output<typeof fromRequester>
export type FromWorker = z.output<typeof fromWorker>
export type LoadMessage = z.output<typeof load>

/** What a program takes of a worker's memory: everything of it whose length its requester chooses. */
export function programBytes({ source, functions = {}, driver = '', context }: LoadMessage): number {
  const others = Object.entries(functions).reduce(
    (sum, [name, each]) => sum + name.length + each.source.length,
    0
  )
  return source.length + others + driver.length + (context?.length ?? 0)
}

export type LeasedSlice = z.output<typeof slice>
export type SliceResult = Extract<FromWorker, { t: 'result' }>['slices'][number]
export type OfferMessage = Extract<FromWorker, { t: 'offer' }>
