import { hash } from 'node:crypto'
import { encode } from '@ipld/dag-cbor'
import { NONCE_BYTES, SIGNERS, type Signature } from '../../host/index.ts'
import { CommandError } from '../errors.ts'
import type { Grant, Risk } from '../fleet/document.ts'
import { type ClockState, count, decodeTuple } from '../log/entry.ts'
import { AHEAD_MS } from '../time/clock.ts'

/** Domain of the signatures of a command, below the service's own. */
export const COMMAND_DOMAIN = 'command/1'
export const MAX_COMMAND_BYTES = 8 * 1024
/** Of one command: `SIGNERS` must, more may. */
export const MAX_SIGNERS = 4
/** A command that waits for its device longer than this is not done. */
export const MAX_GOOD_FOR_MS = 24 * 3_600_000
/** The last moment that a date can say. */
const MAX_MS = 8.64e15
/** What moves money is not done by a document that nobody has confirmed for so long. */
const CONFIRMED_MS = 7 * 24 * 3_600_000
const VERSION = 1
const FIELDS = 12
const ID = /^[\w-]{8,64}$/

/** What somebody wants of one device, once. */
export interface Command {
  fleet: string
  /** unique for its issuer */
  id: string
  /** the node that signs first */
  issuer: string
  /** the person there; empty: its owner */
  by: string
  /** the node beside the device */
  agent: string
  device: string
  name: string
  args: Record<string, unknown>
  /** ms since 1970 */
  issued: number
  expires: number
  /** what the agent gave a moment ago; needed from risk 2 on */
  nonce?: Uint8Array
}
export interface SignedCommand {
  bytes: Uint8Array
  signatures: Signature[]
}

/** How a command stands. `unknown`: it was begun, and nobody can say. */
export const OUTCOMES = ['done', 'failed', 'refused', 'expired', 'unknown'] as const
export interface Outcome {
  is: (typeof OUTCOMES)[number]
  why?: string
  /** what the device answered, as JSON has it */
  result?: unknown
}

export const hashOfCommand = (bytes: Uint8Array): string => hash('sha256', bytes, 'hex')

/** @throws {CommandError} */
export function encodeCommand(command: Command): Uint8Array {
  const { fleet, id, issuer, by, agent, device, name, args, issued, expires, nonce } = command
  let bytes: Uint8Array
  try {
    bytes = encode([
      VERSION,
      fleet,
      id,
      issuer,
      by,
      agent,
      device,
      name,
      args,
      issued,
      expires,
      nonce ?? null
    ])
  } catch (error) {
    throw new CommandError(`${name} of ${device} cannot be written: ${(error as Error).message}`)
  }
  if (bytes.length > MAX_COMMAND_BYTES)
    throw new CommandError(`a command of ${bytes.length} bytes; at most ${MAX_COMMAND_BYTES}`)
  return bytes
}

/** @throws {CommandError} */
export function decodeCommand(bytes: Uint8Array): Command {
  try {
    const fields = decodeTuple(bytes, 'a command')
    if (fields.length !== FIELDS || fields[0] !== VERSION) throw new Error('it has another version')
    const [, fleet, id, issuer, by, agent, device, name, args, issued, expires, nonce] = fields
    if (!ID.test(text(id))) throw new Error('its id is none')
    if (typeof args !== 'object' || args === null || Array.isArray(args) || args instanceof Uint8Array)
      throw new Error('its arguments are no map')
    if (nonce !== null && !(nonce instanceof Uint8Array && nonce.length === NONCE_BYTES))
      throw new Error('its nonce is none')
    return {
      fleet: text(fleet),
      id: id as string,
      issuer: text(issuer),
      by: text(by),
      agent: text(agent),
      device: text(device),
      name: text(name),
      args: args as Record<string, unknown>,
      issued: moment(issued, 'issued'),
      expires: moment(expires, 'expires'),
      ...(nonce === null ? {} : { nonce })
    }
  } catch (error) {
    throw new CommandError(`this is no command: ${(error as Error).message}`)
  }
}

function moment(value: unknown, what: string): number {
  const ms = count(value, what)
  if (ms > MAX_MS) throw new Error(`${what} is no moment`)
  return ms
}

const MAX_TEXT_CHARS = 128
function text(value: unknown): string {
  if (typeof value !== 'string' || value.length > MAX_TEXT_CHARS)
    throw new Error(`a field is no text of at most ${MAX_TEXT_CHARS} characters`)
  return value
}

/** Why a command waits for longer than any node beside a device would take it; undefined: it does not. Pure. */
export function overlong(
  { issued, expires }: Pick<Command, 'issued' | 'expires'>,
  now: number
): string | undefined {
  if (expires - issued > MAX_GOOD_FOR_MS) return 'it is good for more than a day'
  if (issued > now + AHEAD_MS) return `it is of ${new Date(issued).toISOString()}, which is to come`
  return undefined
}

/** What a node knows when it decides. */
export interface Facts {
  self: string
  fleet: string
  now: number
  clock: ClockState
  /** of the command; undefined: no such device, or it cannot do that */
  risk: Risk | undefined
  /** the grants of each signer for it; undefined: there is no document of the fleet */
  grants: ReadonlyMap<string, readonly Grant[]> | undefined
  /** ms since an owner confirmed the document */
  confirmedMs: number
  /** commands of the issuer within 24 hours */
  today: number
  /** a switch of this machine allows it */
  isSwitchedOn: boolean
  /** the nonce was given for this device within a minute, and is used now for the first time */
  isFresh: boolean
  /** those of the issuer that were issued by then are forgotten, so none of them can be taken for new */
  forgottenUpTo: number
}

/** Why it is not done; undefined: it may. Nothing was asked of the device. Pure. */
export function refusal(command: Command, facts: Facts): Outcome | undefined {
  const { issuer, agent, device, name, issued, expires, nonce } = command
  const { self, fleet, now, clock, risk, grants, confirmedMs, today } = facts
  const refused = (why: string): Outcome => ({ is: 'refused', why })
  if (command.fleet !== fleet) return refused(`it is for the fleet "${command.fleet}", not "${fleet}"`)
  if (agent !== self) return refused(`it is for the node ${agent}`)
  if (risk == null) return refused(`${device} is not here, or does not know "${name}"`)
  if (grants == null && issuer !== self) return refused('this node has no document of its fleet')
  for (const [signer, own] of grants ?? [])
    if (own.length === 0 && !(signer === self && risk < 3))
      return refused(`${signer} has no grant for "${name}" of ${device} with risk ${risk}`)
  const { perDay } = grants?.get(issuer)?.reduce<{ perDay?: number }>(mostOf, { perDay: 0 }) ?? {}
  if (perDay != null && perDay > 0 && today >= perDay)
    return refused(`${issuer} has asked ${today} times within 24 hours; it may ${perDay} times`)
  if (risk === 3) {
    if (new Set(grants?.keys()).size < SIGNERS) return refused('it needs two signers')
    if (!facts.isSwitchedOn) return refused(`it is not switched on at this node, see the file risk-3`)
    if (confirmedMs > CONFIRMED_MS)
      return refused('no owner has confirmed the document of the fleet for seven days')
  }
  // without a clock a fresh nonce is what says that it is of now
  const isOfNow = clock === 'unset' && nonce != null && facts.isFresh
  const wrong = overlong(command, isOfNow ? issued : now)
  if (wrong != null) return refused(wrong)
  if (issued <= facts.forgottenUpTo)
    return { is: 'expired', why: 'it is older than what this node remembers' }
  if (risk >= 2) {
    if (nonce == null) return refused(`risk ${risk} needs a nonce of this node`)
    if (!facts.isFresh)
      return { is: 'expired', why: 'its nonce is none of this node, used, or older than a minute' }
  }
  if (!isOfNow && expires < now)
    return { is: 'expired', why: `it was good until ${new Date(expires).toISOString()}` }
  return undefined
}

/** Of several grants the widest counts; one without a limit has none. */
function mostOf(before: { perDay?: number }, { perDay }: Grant): { perDay?: number } {
  if (before.perDay == null || perDay == null) return {}
  return { perDay: Math.max(before.perDay, perDay) }
}
