import { z } from 'zod'

/* What nodes say to each other about files. */

/** What block exchanges of IPFS carry at most. */
export const MAX_BLOCK_BYTES = 2 << 20
/** Blocks of one request: 16 MiB of the usual ones, which flow as fast as they are written. */
export const MAX_BLOCKS = 64
/** Blocks of one proof. */
export const MAX_PROOFS = 16
export const NONCE_BYTES = 32

const cid = z.string().min(40).max(100)
const bytesOf = (min: number, max: number) =>
  z.custom<Uint8Array>(
    value => value instanceof Uint8Array && value.length >= min && value.length <= max,
    `must be ${min} to ${max} bytes`
  )

export const messages = {
  /** Do you have all of it, or some? */
  has: {
    request: z.object({ cid }),
    answer: z.object({ has: z.boolean(), hasSome: z.boolean().default(false) })
  },
  /**
   * Will you hold a copy that costs this much, how far is it? Said again until it is held, and then now and then: a
   * copy that nobody asks about for a month is let go.
   */
  hold: {
    peers: 'allowed' as const,
    request: z.object({ cid, cost: z.int().positive().max(Number.MAX_SAFE_INTEGER) }),
    answer: z.object({
      is: z.enum(['copying', 'held', 'refused']),
      bytes: z.int().nonnegative(),
      why: z.string().max(200).optional()
    })
  },
  /** SHA-256 of the nonce and each block; nothing for one that is not there. */
  prove: {
    // 16 blocks of a slow disk
    deadlineMs: 30_000,
    request: z.object({
      cid,
      nonce: bytesOf(NONCE_BYTES, NONCE_BYTES),
      blocks: z.array(cid).min(1).max(MAX_PROOFS)
    }),
    answer: z.object({ hashes: z.array(bytesOf(0, 32)).max(MAX_PROOFS) })
  },
  /**
   * Give me these blocks: one item each, in this order, empty for what is not there. CrowdedError: I give to others now,
   * ask again.
   */
  blocks: {
    request: z.object({ cids: z.array(cid).min(1).max(MAX_BLOCKS) }),
    answer: z.object({}),
    items: bytesOf(0, MAX_BLOCK_BYTES),
    maxBytes: MAX_BLOCK_BYTES + 1024,
    // of the silence between two
    deadlineMs: 30_000,
    atOnce: 4
  },
  /** You need not hold it for me any more. */
  release: {
    request: z.object({ cid }),
    answer: z.object({})
  }
}

export type Messages = typeof messages
/** Those that are one question and one answer. */
export type Kind = Exclude<keyof Messages, 'blocks'>
export type Request<K extends Kind> = z.output<Messages[K]['request']>
export type Answer<K extends Kind> = z.output<Messages[K]['answer']>

/** What the parts use of the network. */
export interface Peers {
  /** Others that share files, each once. */
  find(options: { signal: AbortSignal }): AsyncIterable<string>
  ask<K extends Kind>(
    peer: string,
    kind: K,
    request: Request<K>,
    options: { signal: AbortSignal }
  ): Promise<Answer<K>>
  /** Blocks in the order of the CIDs; what the peer does not have is empty. */
  blocks(peer: string, cids: readonly string[], options: { signal: AbortSignal }): AsyncIterable<Uint8Array>
}
