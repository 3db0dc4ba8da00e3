import { createHash } from 'node:crypto'
import { z } from 'zod'
import { toBcd } from '../bcd.ts'
import { withCrc } from '../crc.ts'
import { gameInfoOf, longPoll, machineIdOf, metersOf, valuesOf } from '../frames.ts'
import { riskOfMessage } from '../line/guard.ts'
import { METERS } from '../tables/meters.ts'
import { ASKED_WITH_DATA, IS_COUNTED, isAcknowledged, READS } from '../tables/polls.ts'

/* A poll as files write it: the names are theirs. Pure. */

const MAX_DATA = 64
const MAX_VALUE_BYTES = 9
const GAME_BYTES = 2
const YEAR_S = 31_536_000

const HEX = /^(0x)?[\da-f]{1,2}$/i
const byte = z
  .string()
  .regex(HEX, 'must be a byte in hex, as "2F"')
  .transform(text => Number.parseInt(text, 16))
const fields = z.strictObject({
  command: byte,
  /** R asks without data, S and M with, M for a game, G tells all machines of the line, and none answers */
  poll_type: z.enum(['R', 'S', 'M', 'G']),
  optional_data: z.array(byte).max(MAX_DATA).default([]),
  game_number: z.int().min(0).max(9_999).optional(),
  /** the data begins with its length; so does that of the answer */
  add_length_binary: z.boolean().default(false),
  following_length: z.boolean().optional(),
  /** bytes of the answer's data, where nothing in it says so */
  length_to_read: z.int().min(0).max(255).optional(),
  /** bytes of each meter in the answer to 2F */
  length_to_read_per_meter: z
    .record(z.string().regex(HEX, 'must be a meter in hex, as "24"'), z.int().min(1).max(MAX_VALUE_BYTES))
    .optional(),
  response_type: z.enum(['normal', 'ack_nack']).optional()
})
export type ListedPoll = z.output<typeof fields>
export type ListedPollInput = z.input<typeof fields>

/** Of lists that are run when somebody says so. */
export const listedPoll = fields.superRefine(check)
/** Asked for ever. */
export const listener = fields
  .extend({
    /** seconds between two; 0: in each round of polls */
    time: z.number().min(0).max(YEAR_S).default(0),
    /** what it answers is written into the log, where it is another answer than before */
    commit: z.boolean().default(false)
  })
  .superRefine(check)
export type Listener = z.output<typeof listener>
/** Once at each start; `ever`: at each machine only once. */
export const onceListed = fields
  .extend({ once: z.enum(['start', 'ever']).default('start') })
  .superRefine(check)
export type OnceListed = z.output<typeof onceListed>

/** The message to a machine. */
export function messageOf(address: number, poll: ListedPoll): Uint8Array {
  const { command, poll_type: type, optional_data: data, game_number: game = 0 } = poll
  if (type === 'R') return Uint8Array.of(address, command)
  const body = [...(type === 'M' ? toBcd(BigInt(game), GAME_BYTES) : []), ...data]
  const counted = poll.add_length_binary ? [body.length, ...body] : body
  return type === 'G'
    ? withCrc(Uint8Array.of(0, command, ...counted))
    : longPoll(address, command, Uint8Array.from(counted))
}

/** By which what was done once is known again. `nth`: how many of the same stand before it. */
export const hashOf = (poll: string, nth: number): string =>
  createHash('sha256').update(`${nth} ${poll}`).digest('hex')

/** What an answer says by name, where its table knows. @throws {FrameError} */
export function saidIn(
  address: number,
  poll: { command: number; length_to_read_per_meter: ListedPoll['length_to_read_per_meter'] },
  frame: Uint8Array
): Record<string, number | string> | undefined {
  const { command } = poll
  if (command === 0x2f || command === 0x6f || command === 0xaf) {
    const sizes = Object.entries(poll.length_to_read_per_meter ?? {})
    const { meters } = metersOf(
      address,
      command,
      frame,
      Object.fromEntries(sizes.map(([code, bytes]) => [Number.parseInt(code, 16), bytes]))
    )
    return Object.fromEntries(
      meters.map(({ code, value }) => [METERS[code] ?? code.toString(16).padStart(2, '0'), Number(value)])
    )
  }
  if (command === 0x54) return { ...machineIdOf(address, frame) }
  if (command === 0x1f) return { ...gameInfoOf(address, frame) }
  if (READS[command]?.is !== 'values') return undefined
  const values = Object.entries(valuesOf(address, command, frame))
  return Object.fromEntries(values.map(([name, value]) => [name, Number(value)]))
}

function check(poll: ListedPoll, context: z.RefinementCtx): void {
  const wrong = wrongIn(poll)
  if (wrong != null) context.addIssue({ code: 'custom', path: [wrong.field], message: wrong.why })
}

const hex = (command: number): string => command.toString(16).toUpperCase().padStart(2, '0')

/** What a poll says of itself has to be what the tables say: one that is wrong is silence, or another poll. */
function wrongIn(poll: ListedPoll): { field: keyof ListedPoll; why: string } | undefined {
  const { command, poll_type: type, optional_data: data } = poll
  const name = hex(command)
  if (type === 'R' && data.length > 0) return { field: 'optional_data', why: 'R asks without data' }
  if (type !== 'M' && poll.game_number != null) return { field: 'game_number', why: 'only M asks for a game' }
  if (riskOfMessage(messageOf(1, poll)) === 'money')
    return { field: 'command', why: `${name} moves money, or no table knows it; files send neither` }
  if (type === 'R' && READS[command] == null)
    return { field: 'poll_type', why: `${name} is not asked without data` }
  if (type !== 'R' && READS[command] != null)
    return { field: 'poll_type', why: `${name} is asked without data: R` }
  const isCounted = IS_COUNTED.includes(command)
  if (poll.add_length_binary !== isCounted)
    return {
      field: 'add_length_binary',
      why: `the data of ${name} ${isCounted ? 'begins' : 'does not begin'} with its length`
    }
  const isTold = isAcknowledged(command)
  if (type === 'G' && !isTold)
    return { field: 'poll_type', why: `${name} asks, and nobody answers what is said to all` }
  if (poll.response_type === 'ack_nack' && !isTold)
    return { field: 'response_type', why: `${name} is answered with data` }
  if (poll.length_to_read_per_meter != null && command !== 0x2f)
    return { field: 'length_to_read_per_meter', why: `${name} does not need it, 2F does` }
  return wrongLength(poll)
}

/** Lengths of answers, which the tables know but for a few. */
function wrongLength({ command, following_length: isFollowing, length_to_read: length }: ListedPoll) {
  const layout = READS[command] ?? ASKED_WITH_DATA[command]
  if (layout?.is === 'open') return undefined
  const isTold = isAcknowledged(command)
  const isCounted = layout == null ? !isTold : layout.is === 'counted'
  if (isFollowing != null && isFollowing !== isCounted)
    return {
      field: 'following_length' as const,
      why: `the answer to ${hex(command)} ${isCounted ? 'says' : 'does not say'} its length`
    }
  const bytes =
    layout?.is === 'values' ? layout.names.length * layout.bytes : layout?.is === 'fixed' ? layout.bytes : 0
  // zero is what files say that do not know
  if (length != null && length > 0 && !isCounted && length !== bytes)
    return {
      field: 'length_to_read' as const,
      why: `the data of the answer to ${hex(command)} has ${bytes} bytes`
    }
  return undefined
}
