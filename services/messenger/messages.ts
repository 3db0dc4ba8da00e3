import { z } from 'zod'
import { backup, backupId } from './admin/declared.ts'
import { bytesOf, count, hash32, keyName, signedOf, time } from './core/codec.ts'
import { headSchema, MAX_EVENT_BYTES } from './core/event.ts'
import { MAX_DEVICES, MAX_GENERATION_BYTES } from './core/generation.ts'
import { MAX_STATEMENT_BYTES, title, userId } from './core/statement.ts'
import { MAX_ENVELOPE_BYTES, MAX_PAGE, PAGE_BYTES } from './mailbox/envelope.ts'

/* What nodes of a school say to each other. Only those that the roster names are heard. */

export const MAX_STATEMENTS = 16
export const MAX_PACKAGES = 50
const FRAME_BYTES = PAGE_BYTES + 64 * 1024
const SLOW_MS = 30_000
/** Longer than any operation may take, which ends before. */
const OPERATION_MS = 330_000
/** So long a code of a device is good, and its person may take to type the digits. */
export const PAIRING_MS = 300_000
/** Of an input or output of an operation, as one frame. */
export const PART_BYTES = 512 * 1024
/** Operations of one person that a node has under way at his home; further ones wait there for their turn. */
export const ASKS_AT_ONCE = 6
/** A page takes a line that is silent for 10 s to be dead. */
export const HERE_MS = 4_000
/** What a home opens to who is signed in elsewhere. */
export const CARRIED_SCOPES = ['messenger:read', 'messenger:write'] as const
/** A stream that is followed says so often that it lives. */
export const ALIVE_MS = 10_000

const school = hash32
/** A token, or the mark of a browser. */
const bearer = z.string().min(1).max(200)
/** Which of the devices on the node that asks; where there is one, it need not say so. */
const device = keyName.optional()
/** Of a device that is not in the roster yet: that it has the invitation of this person. */
const pass = z.object({ user: userId, signature: bytesOf(64) }).optional()
const ballot = z.tuple([z.int().min(0).max(1e9), z.string().max(64)])
const value = bytesOf(1, MAX_GENERATION_BYTES + MAX_STATEMENT_BYTES)
/** A place of the roster, or whatever a key of a group names; `at`: position of the roster whose mailboxes decide. */
const slot = z.object({ key: hash32.optional(), at: count })
const reply = z.discriminatedUnion('is', [
  z.object({ is: z.literal('promise'), accepted: z.object({ ballot, value }).optional() }),
  z.object({ is: z.literal('vote'), signature: bytesOf(64) }),
  z.object({ is: z.literal('refused'), promised: ballot })
])
/** The votes that decided a slot. */
export const decisionSchema = z.object({
  ballot,
  votes: z.array(z.tuple([keyName, bytesOf(64)])).max(5)
})
export type Decision = z.output<typeof decisionSchema>

const statement = z.object({ statement: signedOf(MAX_STATEMENT_BYTES), decision: decisionSchema.optional() })
const envelope = bytesOf(1, MAX_ENVELOPE_BYTES)
const event = signedOf(MAX_EVENT_BYTES)
const gone = z.tuple([keyName, count, hash32, time])

/** What one node keeps for another: a backup, and the hash of its sealed bytes. */
export const copySchema = z.object({
  sha256: z.string().regex(/^[\da-f]{64}$/),
  about: backup.extend({
    id: backupId,
    of: backupId.optional(),
    bytes: z
      .int()
      .min(1)
      .max(2 ** 40)
  })
})
export type Copy = z.output<typeof copySchema>
export const COPY_PART_BYTES = 512 * 1024
export const MAX_COPIES = 100
const copyPart = bytesOf(1, COPY_PART_BYTES)

export const messages = {
  /** Statements from this position on. */
  roster: {
    request: z.object({ school, from: count, pass }),
    answer: z.object({ statements: z.array(statement).max(MAX_STATEMENTS) }),
    maxBytes: MAX_STATEMENTS * (MAX_STATEMENT_BYTES + 4096)
  },
  /** My roster is this long; ask for it. */
  news: { request: z.object({ school, head: count }), answer: z.object({}) },
  /**
   * I have the code that you show, and am another device of your person. Each throws in a nonce, the one that asks having
   * said its hash before; with the second item the digits of both can be typed, and when they were the answer comes.
   */
  pair: {
    request: z.object({
      school,
      /** that shows the code */
      by: device,
      secret: bytesOf(16),
      device: keyName,
      name: title,
      commitment: hash32
    }),
    items: z.union([z.object({ nonce: hash32 }), z.object({ waits: z.literal(true) })]),
    sends: z.object({ nonce: hash32, consent: bytesOf(64) }),
    answer: z.object({}),
    maxBytes: 4096,
    deadlineMs: PAIRING_MS + SLOW_MS,
    atOnce: 1
  },
  prepare: {
    request: z.object({ school, slot, ballot, pass }),
    answer: reply,
    maxBytes: 256 * 1024,
    deadlineMs: SLOW_MS
  },
  accept: {
    request: z.object({ school, slot, ballot, value, pass }),
    answer: reply,
    maxBytes: 256 * 1024,
    deadlineMs: SLOW_MS
  },
  /** Keep what I send for whoever knows its address. Each sending is answered in its turn. */
  put: {
    request: z.object({ school }),
    sends: z.array(envelope).min(1).max(MAX_PAGE),
    items: z.enum(['kept', 'full']),
    answer: z.object({}),
    maxBytes: FRAME_BYTES,
    deadlineMs: SLOW_MS
  },
  /** What comes at these addresses, from each position on; without addresses all, for other mailboxes. */
  follow: {
    request: z.object({
      school,
      life: z.string().max(64),
      after: count,
      addresses: z
        .array(z.tuple([hash32, count]))
        .max(2_000)
        .optional()
    }),
    items: z.object({
      /** of the disk; with another one positions begin anew */
      life: z.string().max(64),
      envelopes: z.array(z.tuple([count, envelope])).max(MAX_PAGE)
    }),
    answer: z.object({}),
    maxBytes: FRAME_BYTES,
    deadlineMs: 3 * ALIVE_MS,
    atOnce: 4
  },
  /** Envelopes by their ids; what is not there does not come. */
  fetch: {
    request: z.object({ school, ids: z.array(hash32).min(1).max(32) }),
    items: envelope,
    answer: z.object({}),
    maxBytes: MAX_ENVELOPE_BYTES + 1024,
    deadlineMs: SLOW_MS
  },
  /** Key packages of my device; the last resort is given again and again. */
  leavePackages: {
    request: z.object({
      school,
      device,
      packages: z.array(bytesOf(1, 2048)).max(MAX_PACKAGES),
      last: bytesOf(1, 2048).optional()
    }),
    answer: z.object({ left: count }),
    maxBytes: 256 * 1024,
    deadlineMs: SLOW_MS
  },
  takePackages: {
    request: z.object({
      school,
      devices: z.array(keyName).min(1).max(MAX_DEVICES),
      /** takes none, and says of which there are some; older programs do not look, and give */
      isLook: z.boolean().optional()
    }),
    answer: z.object({
      packages: z.array(z.tuple([keyName, bytesOf(1, 2048)])).max(MAX_DEVICES),
      have: z.array(keyName).max(MAX_DEVICES).optional()
    }),
    maxBytes: 1024 * 1024,
    deadlineMs: SLOW_MS
  },
  /** Somebody is here, has gone, or writes in a group. Kept in memory, and not for long. */
  sign: {
    request: z.object({ school, device, is: z.enum(['here', 'away', 'typing']), group: hash32.optional() }),
    answer: z.object({
      isHere: z.boolean(),
      /** devices of the node that are; older programs have one */
      here: z.array(keyName).max(MAX_DEVICES).optional()
    }),
    maxBytes: 64 * 1024,
    deadlineMs: 5_000
  },
  /** Copies of my backups that you have, and room for more, in bytes. */
  copiesKept: {
    request: z.object({}),
    answer: z.object({ room: z.number().min(0), items: z.array(copySchema).max(MAX_COPIES) }),
    maxBytes: 128 * 1024
  },
  /** Keep a backup that I sealed, and of mine none but these. */
  keepCopy: {
    request: z.object({ copy: copySchema, kept: z.array(backupId).min(1).max(MAX_COPIES) }),
    sends: copyPart,
    answer: z.object({ is: z.enum(['kept', 'full']) }),
    maxBytes: COPY_PART_BYTES + 16 * 1024,
    deadlineMs: SLOW_MS,
    atOnce: 1
  },
  /** A copy of a backup of mine. */
  giveCopy: {
    request: z.object({ sha256: copySchema.shape.sha256 }),
    items: copyPart,
    answer: z.object({}),
    maxBytes: COPY_PART_BYTES + 1024,
    deadlineMs: SLOW_MS,
    atOnce: 2
  },
  /** Your person sits at my node, and this is what he proves. I carry his session. */
  signIn: {
    request: z.object({
      school,
      name: z.string().min(1).max(200),
      password: z.string().min(1).max(1000),
      code: z.string().max(20).optional(),
      device: bearer.optional(),
      agent: z.string().max(1000)
    }),
    answer: z.object({
      token: bearer,
      expires: time,
      device: bearer,
      scopes: z.array(z.enum(CARRIED_SCOPES)).max(CARRIED_SCOPES.length),
      account: z.object({
        id: z.string().max(64),
        name: z.string().max(200),
        role: z.string().max(32),
        created: time,
        hasSecondFactor: z.boolean()
      })
    }),
    deadlineMs: SLOW_MS,
    atOnce: 4
  },
  signOut: { request: z.object({ school, token: bearer }), answer: z.object({}) },
  /** He calls an operation: its input in JSON follows in parts, and so does its output. */
  ask: {
    request: z.object({
      school,
      token: bearer,
      operation: z.string().max(41),
      digest: z.string().max(64).optional()
    }),
    sends: bytesOf(1, PART_BYTES),
    items: bytesOf(1, PART_BYTES),
    answer: z.object({}),
    maxBytes: PART_BYTES + 1024,
    deadlineMs: OPERATION_MS,
    // one that has just ended may still count
    atOnce: ASKS_AT_ONCE + 2
  },
  /** What your node tells its pages, for his; now and then nothing but that it is there. */
  watch: {
    request: z.object({ school, token: bearer }),
    // nothing that a page would take for a word of the node at which he sits
    items: z.object({
      type: z.string().regex(/^(here|messenger:[a-z]{1,32})$/),
      value: z.unknown().optional()
    }),
    answer: z.object({}),
    deadlineMs: SLOW_MS,
    atOnce: 8
  },
  /** I have something new in a group that no mailbox takes: ask me for it. The answer tells what you have then. */
  fresh: {
    request: z.object({ school, device, group: hash32 }),
    answer: z.object({ device, have: z.array(headSchema).max(4 * MAX_DEVICES), readMs: time }),
    maxBytes: 256 * 1024,
    deadlineMs: SLOW_MS
  },
  /** Of a chain in a group: what was deleted before this place, the newest first, with what proves it. */
  gone: {
    request: z.object({ school, device, of: device, group: hash32, chain: keyName, before: count }),
    items: z.object({ gone: z.array(gone).max(64), deletes: z.array(event).max(20) }),
    answer: z.object({}),
    maxBytes: 512 * 1024,
    deadlineMs: SLOW_MS
  },
  /** I have this of a group; give me what I lack and may have. */
  sync: {
    request: z.object({
      school,
      device,
      /** which of the devices there; another in the group, where that one is not open */
      of: device,
      group: hash32,
      generations: count,
      have: z.array(headSchema).max(4 * MAX_DEVICES),
      readMs: time,
      /** no mailbox gives me anything: tell me of what is new */
      isAlone: z.boolean().optional()
    }),
    items: z.object({
      generations: z.array(signedOf(MAX_GENERATION_BYTES)).max(4),
      events: z.array(event).max(16),
      /** deleted ones: device, number, hash, and time */
      gone: z.array(gone).max(64),
      /** by which they were deleted; older programs give none */
      deletes: z.array(event).max(20).optional()
    }),
    answer: z.object({ device, have: z.array(headSchema).max(4 * MAX_DEVICES), readMs: time }),
    maxBytes: 512 * 1024,
    deadlineMs: SLOW_MS
  }
}
export type Messages = typeof messages
