import { hash } from 'node:crypto'
import { decode, encode } from '@ipld/dag-cbor'
import { EntryError } from '../errors.ts'
import { agentOf, keyOf } from './keys.ts'

/** account: meters, money, exceptions, commands, configuration, clock, gaps; never thinned and on disk at once. */
export type EntryClass = 'account' | 'event' | 'sample'
const CLASSES: readonly EntryClass[] = ['account', 'event', 'sample']

/** What the clock of the agent goes by: nothing, the time of other nodes, a time server. */
export type ClockState = 'unset' | 'peer' | 'ntp'
const CLOCKS: readonly ClockState[] = ['unset', 'peer', 'ntp']

export type Data = null | boolean | number | bigint | string | Uint8Array | Data[] | { [key: string]: Data }
export type Body = Record<string, Data>

/** A log is one chain of entries: that of an agent, by its peer id, and counted up when it has to begin anew. */
export interface ChainId {
  agent: string
  number: number
}

/** What one entry says. Its place is (chain, seq); time is data. */
export interface Entry {
  fleet: string
  chain: ChainId
  seq: number
  /** SHA-256 of the entry before */
  prev: Uint8Array
  /** the machine's start that `monoMs` counts from */
  boot: string
  monoMs: number
  /** ms since 1970, as the agent's clock said */
  timeMs: number
  clock: ClockState
  class: EntryClass
  device: string
  kind: string
  body: Body
}

/** Where a chain ends: its last entry, by number and hash. */
export interface Head {
  seq: number
  hash: Uint8Array
}

const VERSION = 1
const FIELDS = 13
export const HASH_BYTES = 32
export const MAX_ENTRY_BYTES = 16 * 1024
/** Room for an entry to be carried in another, where a chain has to begin anew. */
const MOVED_BYTES = 512
export const MAX_NAME_CHARS = 128
const MAX_DEPTH = 8

/** Of entries about the log itself. */
export const AGENT = 'agent'
/** The first entry of a chain that had to begin anew: which one it follows, both heads of that, and why. */
export const CHAIN = 'chain'
/** An entry of the chain before that others do not have: its bytes as `entry`. */
export const MOVED = 'moved'

/** Entries of a chain that were damaged before anybody else had them: its number, the first and the last. */
export const LOST = 'lost'

/** Before the first entry. */
export const GENESIS: Head = { seq: -1, hash: new Uint8Array(HASH_BYTES) }

export const hashOf = (bytes: Uint8Array): Uint8Array => hash('sha256', bytes, 'buffer')

/** @throws {EntryError} larger than 15.5 KiB, or a value that dag-cbor does not have */
export function encodeEntry(entry: Entry): Uint8Array {
  let bytes: Uint8Array
  try {
    bytes = encode([
      VERSION,
      entry.fleet,
      [keyOf(entry.chain.agent), entry.chain.number],
      entry.seq,
      entry.prev,
      entry.boot,
      entry.monoMs,
      entry.timeMs,
      CLOCKS.indexOf(entry.clock),
      CLASSES.indexOf(entry.class),
      entry.device,
      entry.kind,
      entry.body
    ])
  } catch (error) {
    throw new EntryError(`${entry.kind} of ${entry.device} cannot be written: ${(error as Error).message}`)
  }
  const limit = entry.kind === MOVED ? MAX_ENTRY_BYTES : MAX_ENTRY_BYTES - MOVED_BYTES
  if (bytes.length > limit)
    throw new EntryError(
      `${entry.kind} of ${entry.device} has ${bytes.length} bytes; an entry has at most ${limit}`
    )
  return bytes
}

/** @throws {EntryError} */
export function decodeEntry(bytes: Uint8Array): Entry {
  if (bytes.length > MAX_ENTRY_BYTES)
    throw new EntryError(`an entry of ${bytes.length} bytes; at most ${MAX_ENTRY_BYTES}`)
  const fields = decodeTuple(bytes, 'an entry')
  if (fields.length !== FIELDS || fields[0] !== VERSION)
    throw new EntryError(
      `an entry of version ${String(fields[0]).slice(0, 20)}, this program knows ${VERSION}`
    )
  const [, fleet, chain, seq, prev, boot, monoMs, timeMs, clock, kindOf, device, kind, body] = fields
  if (!Array.isArray(chain) || chain.length !== 2) throw new EntryError('the chain of an entry is no pair')
  return {
    fleet: text(fleet, 'fleet'),
    chain: { agent: agentOf(chain[0]), number: count(chain[1], 'number of the chain') },
    seq: count(seq, 'seq'),
    prev: hashIn(prev, 'prev'),
    boot: text(boot, 'boot'),
    monoMs: count(monoMs, 'monoMs'),
    timeMs: count(timeMs, 'timeMs', Number.MIN_SAFE_INTEGER),
    clock: oneOf(CLOCKS, clock, 'clock'),
    class: oneOf(CLASSES, kindOf, 'class'),
    device: text(device, 'device'),
    kind: text(kind, 'kind'),
    body: bodyIn(body)
  }
}

/** @throws {EntryError} */
export function decodeTuple(bytes: Uint8Array, what: string): unknown[] {
  let value: unknown
  try {
    value = decode(bytes)
  } catch (error) {
    throw new EntryError(`${what} is not dag-cbor: ${(error as Error).message.slice(0, 200)}`)
  }
  if (!Array.isArray(value)) throw new EntryError(`${what} is no list`)
  return value
}

function text(value: unknown, what: string): string {
  if (typeof value !== 'string' || value.length > MAX_NAME_CHARS)
    throw new EntryError(`${what} is no text of at most ${MAX_NAME_CHARS} characters`)
  return value
}

export function count(value: unknown, what: string, min = 0): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min)
    throw new EntryError(`${what} is no whole number from ${min}`)
  return value
}

export function hashIn(value: unknown, what: string): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length !== HASH_BYTES)
    throw new EntryError(`${what} is no hash of ${HASH_BYTES} bytes`)
  return value
}

function oneOf<T>(values: readonly T[], value: unknown, what: string): T {
  const found = typeof value === 'number' ? values[value] : undefined
  if (found === undefined) throw new EntryError(`${what} is none of 0 to ${values.length - 1}`)
  return found
}

function bodyIn(value: unknown): Body {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Uint8Array)
    throw new EntryError('the body of an entry is no map')
  if (!isShallow(value, MAX_DEPTH)) throw new EntryError(`a body is nested at most ${MAX_DEPTH} deep`)
  return value as Body
}

function isShallow(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return true
  return depth > 0 && Object.values(value).every(each => isShallow(each, depth - 1))
}
