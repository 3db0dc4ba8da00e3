import { z } from 'zod'
import type { Signer } from '../../../ledger/index.ts'
import {
  checkSignature,
  count,
  hash32,
  hashOf,
  keyName,
  pack,
  type Signed,
  shape,
  signAs,
  time,
  toHex,
  unpack
} from './codec.ts'
import { MAX_FILE_BYTES, MAX_REASON_CHARS, MAX_SILENCE_MINUTES, MAX_TEXT_CHARS } from './constants.ts'
import { title, userId } from './statement.ts'

/* What people do in a group. Each device has a chain of its own there; `after` names what its author had seen. */

export const MAX_EVENT_BYTES = 16 * 1024
export const MAX_AFTER = 16
export const BLOB_BYTES = 256 * 1024

/** What one event names of those that it deletes. */
export const MAX_PLACES = 64

const text = z.string().min(1).max(MAX_TEXT_CHARS)
/** Where something stood, its hash, what came before it, and when: a chain can be followed through it when it is gone. */
const place = z.tuple([keyName, count, hash32, hash32, time])
const bodies = {
  /** `confirm`: everybody is asked to say that he has read it */
  text: z.object({ text, reply: hash32.optional(), confirm: z.literal(true).optional() }),
  edit: z.object({ of: hash32, text }),
  /** `places`: of it and of its edits; older programs name none */
  delete: z.object({ of: hash32, places: z.array(place).max(MAX_PLACES).optional() }),
  react: z.object({ of: hash32, with: z.string().max(16) }),
  confirm: z.object({ of: hash32 }),
  pin: z.object({ of: hash32, isPinned: z.boolean() }),
  /** nothing of this person is shown for so long; 0 minutes: he may speak again */
  silence: z.object({
    user: userId,
    minutes: z.int().min(0).max(MAX_SILENCE_MINUTES),
    reason: z.string().max(MAX_REASON_CHARS)
  }),
  /** its author goes: those who may change the chat go on without him */
  leave: z.object({}),
  /** of a report: it is done */
  close: z.object({ of: hash32, note: z.string().max(MAX_REASON_CHARS) }),
  /** said by a person to himself: his devices tell him of this chat only when somebody names him */
  mute: z.object({ chat: hash32, isMuted: z.boolean() }),
  file: z.object({
    name: title,
    size: z.int().min(0).max(MAX_FILE_BYTES),
    hash: hash32,
    key: hash32,
    /** ids of the envelopes that hold it, sealed, in their order */
    blobs: z.array(hash32).max(Math.ceil(MAX_FILE_BYTES / BLOB_BYTES))
  })
}
/** What can be known of a body whose kind is not: whether it is about another event, as those are that are no lines. */
const aboutAnother = z.object({ of: hash32 }).partial().catch({})
export type EventKind = keyof typeof bodies
export type EventBody<K extends EventKind> = z.output<(typeof bodies)[K]>

/** A place in the chain of a device: its number, and the hash of what stands there. */
export const headSchema = z.tuple([keyName, count, hash32])
export type Head = z.output<typeof headSchema>

interface Place {
  group: Uint8Array
  device: string
  /** from 0 */
  seq: number
  /** of the event before in this chain; zeros for the first */
  prev: Uint8Array
  after: Head[]
  /** position of the roster that its author went by */
  roster: number
  timeMs: number
}
export type EventOf<K extends EventKind> = Place & { kind: K; body: EventBody<K> }
/** Of a newer program: it keeps its place in the chain and is passed on as it was signed. `name`: its kind. */
export type UnknownEvent = Place & { kind: 'unknown'; body: { name: string; of?: Uint8Array } }
export type Event = { [K in EventKind]: EventOf<K> }[EventKind] | UnknownEvent

const tuple = z.tuple([
  z.literal(1),
  hash32,
  keyName,
  count,
  hash32,
  z.array(headSchema).max(MAX_AFTER),
  count,
  time,
  // `gone` and `unknown` have a meaning of their own where events are kept
  z.string().regex(/^(?!gone$|unknown$)[a-z]{1,16}$/),
  z.unknown()
])

export function signEvent(signer: Signer, event: Event): Signed {
  const { group, device, seq, prev, after, roster, timeMs, kind, body } = event
  return signAs(signer, 'event', pack([1, group, device, seq, prev, after, roster, timeMs, kind, body]))
}

/** One whose signature was checked, with what was signed. */
export interface Read extends Signed {
  id: string
  event: Event
}

/** @throws {MalformedMessageError} also where its device did not sign it */
export const readSigned = (signed: Signed): Read => ({
  ...signed,
  id: eventId(signed),
  event: readEvent(signed)
})

/** @throws {MalformedMessageError} also where its device did not sign it */
export function readEvent(signed: Signed): Event {
  const event = parseEvent(signed)
  checkSignature(event.device, 'event', signed)
  return event
}

/** The same of one whose signature was checked before. */
export function parseEvent({ bytes }: Pick<Signed, 'bytes'>): Event {
  const [, group, device, seq, prev, after, roster, timeMs, kind, value] = unpack(
    tuple,
    bytes,
    MAX_EVENT_BYTES,
    'an event'
  )
  const place = { group, device, seq, prev, after, roster, timeMs }
  if (!Object.hasOwn(bodies, kind))
    return { ...place, kind: 'unknown', body: { name: kind, ...aboutAnother.parse(value) } }
  const schema = bodies[kind as EventKind] as z.ZodType<EventBody<EventKind>>
  return { ...place, kind, body: shape(schema, value, `an event ${kind}`) } as Event
}

/** An event's own name of its kind, which a newer program knows, and the id of what it is about; null: it is a line of its own. */
export const keptAs = ({ kind, body }: Event): { kind: string; target: string | null } => ({
  kind: kind === 'unknown' ? body.name : kind,
  target: 'of' in body && body.of != null ? toHex(body.of) : null
})

export const eventId = ({ bytes }: Pick<Signed, 'bytes'>): string => toHex(hashOf(bytes))
