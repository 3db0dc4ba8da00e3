import { z } from 'zod'
import { type AskOptions, message, NONCE_BYTES } from '../host/index.ts'
import { MAX_COMMAND_BYTES, MAX_SIGNERS, OUTCOMES } from './commands/command.ts'
import { MAX_DOCUMENT_BYTES, RISKS } from './fleet/document.ts'
import { type Batch, MAX_BATCH_BYTES, MAX_BATCH_ENTRIES } from './log/batch.ts'
import { type Body, HASH_BYTES, MAX_ENTRY_BYTES } from './log/entry.ts'
import { MAX_CHAIN_NUMBER } from './log/folders.ts'

/* What nodes say to each other about device logs. */

/** Chains of one answer. */
export const MAX_CHAINS = 256
/** Answers that are asked for; a witness keeps fewer chains. */
const MAX_PAGES = 16
/** A batch of entries, or one of the largest, with room for lengths. */
const FRAME_BYTES = MAX_BATCH_BYTES + MAX_ENTRY_BYTES + 16 * 1024
/** A slow disk of a busy node. */
const WRITE_MS = 30_000

const bytesOf = (min: number, max: number) =>
  z.custom<Uint8Array>(
    value => value instanceof Uint8Array && value.length >= min && value.length <= max,
    `must be ${min} to ${max} bytes`
  )
const seq = z.int().min(-1)
/** it becomes the name of a folder */
const number = z.int().min(0).max(MAX_CHAIN_NUMBER)
const head = { seq, hash: bytesOf(HASH_BYTES, HASH_BYTES) }
const batch = () =>
  z.object({
    from: z.int().min(0),
    entries: z.array(bytesOf(1, MAX_ENTRY_BYTES)).max(MAX_BATCH_ENTRIES),
    signature: bytesOf(64, 64)
  })
const agent = z.string().min(40).max(100)

const signature = bytesOf(64, 64)
const risk = z.literal([...RISKS])
const value = z.union([z.number(), z.string().max(500), z.boolean()])
const text = z.string().max(500)
/** As the series give it: bytes and large numbers are text. */
const json = () => z.record(z.string(), z.json()) as unknown as z.ZodType<Body>
const device = z.string().max(128)
const name = z.string().max(64)
const alertKeys = z.array(z.string().max(64)).max(100)

/** Of a document of the fleet: 0 and '' for none. */
const known = { version: z.int().min(0), hash: z.string().max(64) }
const document = () => z.object({ issuer: agent, bytes: bytesOf(2, MAX_DOCUMENT_BYTES), signature })
/** The longest command of a driver. */
const COMMAND_MS = 11 * 60_000
const STATE_BYTES = 1024 * 1024
/** Devices of one item; each says at most as much as an entry holds, and what it says of itself. */
export const ROWS_AT_ONCE = 16
const WATCHED_MS = 20_000
/** As many as an agent may have devices that one operation is about. */
const COMMANDS_AT_ONCE = 64

const releaseState = () =>
  z.object({
    version: z.string().max(64).optional().describe('that runs; default: what was installed'),
    wanted: z.string().max(64).optional(),
    isOnTrial: z.boolean(),
    why: text.optional().describe('why it does not run what is wanted')
  })
export type AgentRelease = z.output<ReturnType<typeof releaseState>>
/** Of one answer. */
export const RELEASE_CHUNK_BYTES = 256 * 1024

/** How a node beside devices is, as far as the fleet says something of it. */
export const agentState = () =>
  z.object({
    settings: z
      .array(
        z.object({
          device,
          name,
          wanted: value,
          actual: value.optional(),
          why: text.optional().describe('why it is not as wanted')
        })
      )
      .max(500),
    devices: z
      .array(
        z.object({
          id: device,
          commands: z.array(z.object({ name, summary: text, risk })).max(100)
        })
      )
      .max(256)
      .describe('those that can be commanded'),
    release: releaseState()
  })

const nonceAnswer = () => z.object({ nonce: bytesOf(NONCE_BYTES, NONCE_BYTES), risk })
const signedCommand = () =>
  z.object({
    bytes: bytesOf(1, MAX_COMMAND_BYTES),
    signatures: z
      .array(z.object({ signer: agent, signature }))
      .min(1)
      .max(MAX_SIGNERS)
  })
const outcomeAnswer = () =>
  z.object({ is: z.enum(OUTCOMES), why: text.optional(), result: z.unknown().optional() })

export const messages = {
  /** These are on my disk; write them to yours. `first`: the oldest entry that I still have. */
  append: message({
    peers: 'allowed',
    request: () => batch().extend({ number, first: z.int().min(0) }),
    answer: () =>
      z.discriminatedUnion('is', [
        /** all up to `seq` are on this disk, and that they have this hash is signed */
        z.object({ is: z.literal('receipt'), ...head, timeMs: z.int(), signature: bytesOf(64, 64) }),
        /** what comes before is missing here: go on after `seq` */
        z.object({ is: z.literal('behind'), ...head }),
        /** you signed another entry with one of these numbers */
        z.object({ is: z.literal('fork'), ...head }),
        z.object({ is: z.literal('full') })
      ]),
    maxBytes: FRAME_BYTES,
    deadlineMs: WRITE_MS,
    atOnce: 4
  }),
  /** This is the head of my chain: sign that you have seen it. The answer may be about one of before, or behind it. */
  attest: message({
    peers: 'everybody',
    request: () => z.object({ number, ...head, signature }),
    answer: () => z.object({ ...head, timeMs: z.int(), signature, headSignature: signature })
  }),
  /** Which chains do you keep, of this agent or of all, and how far? `after`: so many were told before. */
  chains: message({
    // who may is decided with the request: also the witnesses of a node may read its log
    peers: 'everybody',
    request: () => z.object({ agent: agent.optional(), after: z.int().min(0).optional() }),
    answer: () =>
      z.object({
        chains: z.array(z.object({ agent, number, first: z.int(), ...head })).max(MAX_CHAINS)
      })
  }),
  /**
   * Of these alerts, which have your receivers heard of? 1: that it fires, 2: that it is over, 3: that nobody looks
   * after it, 4: that this is over, too.
   */
  told: message({
    peers: 'everybody',
    request: () => z.object({ keys: alertKeys, step: z.literal([1, 2, 3, 4]) }),
    answer: () =>
      z.object({ keys: alertKeys, escalated: alertKeys.default([]).describe('with 3: not only seen to') })
  }),
  /** This is the document of the fleet that I have, by number and hash, or whole; which have you, and how are you? */
  document: message({
    // who may is decided with the request: those whom the document names
    peers: 'everybody',
    request: () => z.object({ ...known, document: document().optional() }),
    answer: () =>
      z.object({
        ...known,
        document: document().optional().describe('where mine is newer'),
        why: text.optional().describe('why yours was not taken'),
        state: agentState()
      }),
    maxBytes: STATE_BYTES
  }),
  /** A piece of a packed release; nothing where you do not have it. */
  release: message({
    peers: 'everybody',
    request: () => z.object({ sha256: z.string().regex(/^[\da-f]{64}$/), from: z.int().min(0) }),
    answer: () => z.object({ bytes: bytesOf(0, RELEASE_CHUNK_BYTES) }),
    maxBytes: RELEASE_CHUNK_BYTES + 1024
  }),
  /** Give me something for a command that nobody could have made before. */
  nonce: message({
    peers: 'everybody',
    request: () => z.object({ device, name }),
    answer: nonceAnswer,
    atOnce: COMMANDS_AT_ONCE
  }),
  /** Do this, unless you have done it. Anybody may bring what others have signed. */
  perform: message({
    peers: 'everybody',
    request: signedCommand,
    answer: outcomeAnswer,
    deadlineMs: COMMAND_MS,
    atOnce: COMMANDS_AT_ONCE
  }),
  /** The same two things of a node that I cannot reach, for what I have signed. `waiting`: nor can you; you keep trying. */
  carryNonce: message({
    peers: 'everybody',
    request: () => z.object({ agent, device, name }),
    answer: nonceAnswer,
    atOnce: COMMANDS_AT_ONCE
  }),
  carry: message({
    peers: 'everybody',
    request: signedCommand,
    answer: () => outcomeAnswer().extend({ is: z.enum([...OUTCOMES, 'waiting']) }),
    deadlineMs: COMMAND_MS,
    atOnce: COMMANDS_AT_ONCE
  }),
  /** I want this done, and it needs you to sign it too. */
  propose: message({
    peers: 'everybody',
    request: () => z.object({ bytes: bytesOf(1, MAX_COMMAND_BYTES) }),
    answer: () => z.object({})
  }),
  /** You have proposed this; it has a nonce now. */
  countersign: message({
    peers: 'everybody',
    request: () => z.object({ bytes: bytesOf(1, MAX_COMMAND_BYTES) }),
    answer: () => z.object({ signature })
  }),
  /** How are the devices that you have and I may read? Then those that change; nothing is a sign of life. */
  watch: message({
    peers: 'everybody',
    request: () => z.object({}),
    answer: () => z.object({}),
    items: () =>
      z.object({
        rows: z
          .array(
            z.object({
              id: device,
              about: json().optional(),
              readings: json(),
              readAt: z.number().optional(),
              eventAt: z.number().optional()
            })
          )
          .max(ROWS_AT_ONCE)
      }),
    maxBytes: STATE_BYTES,
    deadlineMs: WATCHED_MS,
    // who comes back may come before his last one is seen to be gone
    atOnce: 2
  }),
  /** Entries from the newest one of that kind on which that agent wrote about that device; nothing where you have none. */
  latest: message({
    peers: 'everybody',
    request: () => z.object({ agent, device, kind: name }),
    answer: () => z.object({ number, batch: batch().optional() }),
    maxBytes: FRAME_BYTES,
    deadlineMs: WRITE_MS
  }),
  /** Entries from `from` on, as many as go into one batch; nothing where you do not have them. */
  read: message({
    peers: 'everybody',
    request: () => z.object({ agent, number, from: z.int().min(0) }),
    answer: () => z.object({ batch: batch().optional() }),
    maxBytes: FRAME_BYTES,
    deadlineMs: WRITE_MS
  })
}

export type Messages = typeof messages
export type Kind = keyof Messages
export type Request<K extends Kind> = K extends 'append' ? AppendRequest : z.input<Messages[K]['request']>
export type Reply<K extends Kind> = z.output<Messages[K]['answer']>
export type AppendRequest = Batch & { number: number; first: number }

/** What the parts use of the network. */
export interface Peers {
  find(): AsyncIterable<string>
  ask<K extends Kind>(peer: string, kind: K, request: Request<K>, options?: AskOptions): Promise<Reply<K>>
}

/** All chains that a peer keeps, of one agent or of all, page by page. */
export async function* chainsAt(
  peer: string,
  peers: Peers,
  agent: string | undefined,
  signal: AbortSignal
): AsyncGenerator<Reply<'chains'>['chains'][number]> {
  for (let after = 0; after < MAX_PAGES * MAX_CHAINS; after += MAX_CHAINS) {
    const { chains } = await peers.ask(peer, 'chains', { agent, after }, { signal })
    yield* chains
    if (chains.length < MAX_CHAINS) return
  }
}
