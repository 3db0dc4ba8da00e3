import { decodeValue, encodeValue } from '../../../sandbox/index.ts'
import { AuthError } from '../errors.ts'
import { ENVELOPE_BYTES } from '../peers/messages.ts'

/** A command of one peer to one host. `args` are fields as JSON has them. */
export interface Command {
  host: string
  caller: string
  /** at random, once for each command; the same again is the same command */
  nonce: Uint8Array
  /** ms since 1970 */
  expires: number
  name: string
  args: Record<string, unknown>
}

/** A command as it was signed. */
export interface Signed {
  envelope: Uint8Array
  signature: Uint8Array
}

export const COMMAND_DOMAIN = 'command/1'
export const COMMAND_MS = 60_000
export const NONCE_BYTES = 16
const VERSION = 1
const MAX_ITEMS = 10_000
const ID_CHARS = 100

export function encodeCommand({ host, caller, nonce, expires, name, args }: Command): Uint8Array {
  return encodeValue([VERSION, host, caller, nonce, expires, name, args])
}

/**
 * What was signed, where it is for this host, its time is not over, and its caller has signed it.
 * @param isSigned whether the peer has signed the bytes
 * @throws AuthError that says what is wrong
 */
export function openCommand(
  { envelope, signature }: Signed,
  host: string,
  now: number,
  isSigned: (caller: string, bytes: Uint8Array, signature: Uint8Array) => boolean
): Command {
  const refuse = (why: string) => new AuthError(`the command was refused: ${why}`)
  if (envelope.length > ENVELOPE_BYTES)
    throw refuse(`it has ${envelope.length} bytes; at most ${ENVELOPE_BYTES}`)
  const command = read(envelope)
  if (command === undefined) throw refuse('it is none of this version')
  if (command.host !== host) throw refuse('it is for another host')
  if (command.expires <= now) throw refuse('its time is over')
  if (command.expires > now + COMMAND_MS)
    throw refuse(`it is valid for more than ${COMMAND_MS / 1_000} s; are both clocks right?`)
  if (!isSigned(command.caller, envelope, signature)) throw refuse('its signature is wrong')
  return command
}

/** Undefined where it is no command: every field has its type and its size. */
function read(envelope: Uint8Array): Command | undefined {
  let value: unknown
  try {
    value = decodeValue(envelope, { maxBytes: ENVELOPE_BYTES, maxItems: MAX_ITEMS })
  } catch {
    return undefined
  }
  if (!Array.isArray(value) || value.length !== 7) return undefined
  const [version, host, caller, nonce, expires, name, args] = value
  const isName = (text: unknown) => typeof text === 'string' && text.length > 0 && text.length <= ID_CHARS
  const isWhole =
    version === VERSION &&
    [host, caller, name].every(isName) &&
    nonce instanceof Uint8Array &&
    nonce.length === NONCE_BYTES &&
    Number.isSafeInteger(expires) &&
    typeof args === 'object' &&
    args !== null &&
    Object.getPrototypeOf(args) === Object.prototype
  return isWhole ? { host, caller, nonce, expires, name, args } : undefined
}
