import { fromBcd, toBcd } from './bcd.ts'
import { crcOf, withCrc } from './crc.ts'
import { FrameError } from './errors.ts'
import { meterBytes } from './tables/meters.ts'
import { ASKED_WITH_DATA, READS } from './tables/polls.ts'

/* Frames of SAS as values, both ways. Pure. */

const HEAD_BYTES = 2
const CRC_BYTES = 2
const MAX_METERS_2F = 10
/** Their answer fits behind its one byte of length, whatever the sizes of the values. */
const MAX_METERS_6F = 12
const GAME_BYTES = 2

export interface MeterValue {
  code: number
  value: bigint
  bytes: number
}
export interface MachineId {
  version: string
  serial: string
}
export interface GameInfo {
  id: string
  more: string
  denomination: number
  maxBet: number
  progressive: number
  options: number
  paytable: string
  basePercent: string
}

const checkAddress = (address: number): void => {
  if (!Number.isInteger(address) || address < 1 || address > 127)
    throw new FrameError(`${address} is no address of a machine; 1 to 127 are`)
}

/** One byte, which asks for the next exception. */
export function generalPoll(address: number): Uint8Array {
  checkAddress(address)
  return Uint8Array.of(0x80 | address)
}

/** Asks for what a table knows; no data, no checksum. */
export function readPoll(address: number, command: number): Uint8Array {
  checkAddress(address)
  if (READS[command] == null) throw new FrameError(`0x${command.toString(16)} is not asked without data`)
  return Uint8Array.of(address, command)
}

/** A poll with data, and its checksum. */
export function longPoll(address: number, command: number, data: Uint8Array = new Uint8Array()): Uint8Array {
  checkAddress(address)
  return withCrc(Uint8Array.of(address, command, ...data))
}

/** Command and data, without address and checksum. */
export const POLL_HEX = /^([\da-f]{2}){1,64}$/i

/** A poll of its command and data: without a checksum where a table knows what it answers without data. */
export function pollOf(address: number, [command = 0, ...data]: Uint8Array): Uint8Array {
  const isRead = data.length === 0 && READS[command] != null
  return isRead ? readPoll(address, command) : longPoll(address, command, Uint8Array.from(data))
}

/** Asks for up to ten meters of a game; 0 is the whole machine. */
export function metersPoll(address: number, game: number, codes: readonly number[]): Uint8Array {
  if (codes.length < 1 || codes.length > MAX_METERS_2F)
    throw new FrameError(`2F asks for 1 to ${MAX_METERS_2F} meters, not ${codes.length}`)
  const data = [GAME_BYTES + codes.length, ...toBcd(BigInt(game), GAME_BYTES), ...codes]
  return longPoll(address, 0x2f, Uint8Array.from(data))
}

/** The same with codes of two bytes; `command` is 6F or AF, in turns, or the second looks like a repeat. */
export function longMetersPoll(
  address: number,
  command: 0x6f | 0xaf,
  game: number,
  codes: readonly number[]
): Uint8Array {
  if (codes.length < 1 || codes.length > MAX_METERS_6F)
    throw new FrameError(`6F and AF ask for 1 to ${MAX_METERS_6F} meters, not ${codes.length}`)
  const list = codes.flatMap(code => [code & 0xff, code >> 8])
  const data = [GAME_BYTES + list.length, ...toBcd(BigInt(game), GAME_BYTES), ...list]
  return longPoll(address, command, Uint8Array.from(data))
}

/** Whether all machines hear it, and none answers. */
export const isForEverybody = (message: Uint8Array): boolean => (message[0]! & 0x7f) === 0

/** Sets the clock: a time of the machine's own zone. */
export function clockPoll(address: number, at: Date): Uint8Array {
  const parts = [at.getMonth() + 1, at.getDate()].map(part => [...toBcd(BigInt(part), 1)])
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(part => [...toBcd(BigInt(part), 1)])
  const year = [...toBcd(BigInt(at.getFullYear()), 2)]
  return longPoll(address, 0x7f, Uint8Array.from([...parts.flat(), ...year, ...time.flat()]))
}

/** How long the answer to a poll is, as far as its beginning says; undefined: not yet known. */
export function answerLength(command: number, soFar: Uint8Array): number | undefined {
  const layout = READS[command] ?? ASKED_WITH_DATA[command]
  if (layout?.is === 'values') return HEAD_BYTES + layout.names.length * layout.bytes + CRC_BYTES
  if (layout?.is === 'fixed') return HEAD_BYTES + layout.bytes + CRC_BYTES
  if (layout?.is === 'open') return undefined
  const length = soFar[HEAD_BYTES]
  return length == null ? undefined : HEAD_BYTES + 1 + length + CRC_BYTES
}

/**
 * The data of an answer to a poll.
 *
 * @throws {FrameError} of another machine or to another poll, or its checksum is wrong: an all-zero frame has a right one
 */
export function dataOf(address: number, command: number, frame: Uint8Array): Uint8Array {
  if (frame.length < HEAD_BYTES + CRC_BYTES || crcOf(frame) !== 0)
    throw new FrameError(`a frame of ${frame.length} bytes has a wrong checksum`)
  if (frame[0] !== address || frame[1] !== command)
    throw new FrameError(
      `machine ${frame[0]} answers ${frame[1]}, asked was machine ${address} for ${command}`
    )
  const length = answerLength(command, frame)
  if (length != null && length !== frame.length)
    throw new FrameError(`the answer has ${frame.length} bytes, not ${length}`)
  return frame.subarray(HEAD_BYTES, -CRC_BYTES)
}

/** Decimal values by name, as READS lays them out. */
export function valuesOf(address: number, command: number, frame: Uint8Array): Record<string, bigint> {
  const layout = READS[command]
  if (layout?.is !== 'values') throw new FrameError(`0x${command.toString(16)} has no values`)
  const data = dataOf(address, command, frame)
  return Object.fromEntries(
    layout.names.map((name, i) => [name, fromBcd(data.subarray(i * layout.bytes, (i + 1) * layout.bytes))])
  )
}

/** What a machine answers to such a poll; the other way of `valuesOf`. */
export function valuesAnswer(address: number, command: number, values: readonly bigint[]): Uint8Array {
  const layout = READS[command]
  if (layout?.is !== 'values' || layout.names.length !== values.length)
    throw new FrameError(`0x${command.toString(16)} does not have ${values.length} values`)
  return longPoll(address, command, Buffer.concat(values.map(value => toBcd(value, layout.bytes))))
}

/** Meters of an answer to 2F, 6F or AF. One of size 0 is not supported, and left out. `sizes`: of 2F, beside the table's. */
export function metersOf(
  address: number,
  command: 0x2f | 0x6f | 0xaf,
  frame: Uint8Array,
  sizes: Readonly<Record<number, number>> = {}
): { game: number; meters: MeterValue[] } {
  const data = dataOf(address, command, frame)
  const game = Number(fromBcd(data.subarray(1, 3)))
  const meters: MeterValue[] = []
  for (let at = 3; at < data.length; ) {
    const isLong = command !== 0x2f
    const code = isLong ? data[at]! | ((data[at + 1] ?? 0) << 8) : data[at]!
    at += isLong ? 2 : 1
    const bytes = isLong ? (data[at++] ?? 0) : (sizes[code] ?? meterBytes(code))
    if (at + bytes > data.length) throw new FrameError(`meter ${code} is cut off`)
    if (bytes > 0) meters.push({ code, bytes, value: fromBcd(data.subarray(at, at + bytes)) })
    at += bytes
  }
  return { game, meters }
}

export function metersAnswer(
  address: number,
  command: 0x2f | 0x6f | 0xaf,
  game: number,
  meters: readonly MeterValue[]
): Uint8Array {
  const list = meters.flatMap(({ code, bytes, value }) => [
    ...(command === 0x2f ? [code] : [code & 0xff, code >> 8, bytes]),
    ...toBcd(value, bytes)
  ])
  return longPoll(
    address,
    command,
    Uint8Array.from([GAME_BYTES + list.length, ...toBcd(BigInt(game), GAME_BYTES), ...list])
  )
}

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')

/** Version and serial number. @throws {FrameError} */
export function machineIdOf(address: number, frame: Uint8Array): MachineId {
  const text = latin1(dataOf(address, 0x54, frame).subarray(1))
  if (text.length < 3) throw new FrameError('the answer to 54 has no version')
  return { version: text.slice(0, 3), serial: text.slice(3) }
}
export const machineIdAnswer = (address: number, { version, serial }: MachineId): Uint8Array =>
  longPoll(
    address,
    0x54,
    Uint8Array.from([version.length + serial.length, ...Buffer.from(version + serial, 'latin1')])
  )

/** @throws {FrameError} */
export function gameInfoOf(address: number, frame: Uint8Array): GameInfo {
  const data = dataOf(address, 0x1f, frame)
  return {
    id: latin1(data.subarray(0, 2)),
    more: latin1(data.subarray(2, 5)),
    denomination: data[5]!,
    maxBet: data[6]!,
    progressive: data[7]!,
    options: data[8]! | (data[9]! << 8),
    paytable: latin1(data.subarray(10, 16)),
    basePercent: latin1(data.subarray(16, 20))
  }
}
export const gameInfoAnswer = (address: number, info: GameInfo): Uint8Array =>
  longPoll(
    address,
    0x1f,
    Uint8Array.from([
      ...Buffer.from(info.id + info.more, 'latin1'),
      info.denomination,
      info.maxBet,
      info.progressive,
      info.options & 0xff,
      info.options >> 8,
      ...Buffer.from(info.paytable + info.basePercent, 'latin1')
    ])
  )

/** What a credit is worth to the player, as a code; see DENOMINATIONS. @throws {FrameError} */
export const denominationOf = (address: number, frame: Uint8Array): number => dataOf(address, 0xb1, frame)[0]!
export const denominationAnswer = (address: number, code: number): Uint8Array =>
  longPoll(address, 0xb1, Uint8Array.of(code))

/** What a game can do, in bits that are not read here. @throws {FrameError} */
export function featuresOf(address: number, frame: Uint8Array): { game: number; features: Uint8Array } {
  const data = dataOf(address, 0xa0, frame)
  return { game: Number(fromBcd(data.subarray(0, GAME_BYTES))), features: data.subarray(GAME_BYTES) }
}
export const featuresAnswer = (
  address: number,
  { game, features }: { game: number; features: Uint8Array }
): Uint8Array => longPoll(address, 0xa0, Uint8Array.of(...toBcd(BigInt(game), GAME_BYTES), ...features))

/** What one byte says to a poll that only asks for a yes. */
export function ackOf(address: number, frame: Uint8Array): 'ack' | 'nack' | undefined {
  if (frame.length !== 1) return undefined
  return frame[0] === address ? 'ack' : frame[0] === (address | 0x80) ? 'nack' : undefined
}
