import { encodeValue } from '../../sandbox/index.ts'
import { ProtocolError } from '../errors.ts'

/*
 * The bytes of canonical values (sandbox/value.ts) without their values: heads, and lists that are joined and cut while
 * their elements stay encoded.
 */

// Below, one copy of all is as fast.
const LARGE_BYTES = 64 * 1024

/** Head of a canonical value (RFC 8949, 3): major type and argument in the shortest form. */
export function head(major: number, argument: number): Uint8Array {
  const type = major << 5
  if (argument < 24) return Uint8Array.of(type | argument)
  const bytes = new Uint8Array(headBytes(argument))
  const width = bytes.length - 1
  bytes[0] = type | (24 + Math.log2(width))
  for (let i = width, rest = argument; i > 0; i--, rest = Math.floor(rest / 256)) bytes[i] = rest % 256
  return bytes
}

const headBytes = (argument: number): number =>
  argument < 24 ? 1 : argument < 2 ** 8 ? 2 : argument < 2 ** 16 ? 3 : argument < 2 ** 32 ? 5 : 9

/** A canonical array (RFC 8949, major type 4) of `length` items from their encoded bytes, which may come in pieces. */
export function encodeArray(length: number, pieces: Uint8Array[]): Uint8Array {
  const start = head(4, length)
  const array = new Uint8Array(start.length + pieces.reduce((sum, piece) => sum + piece.length, 0))
  array.set(start)
  let offset = start.length
  for (const piece of pieces) {
    array.set(piece, offset)
    offset += piece.length
  }
  return array
}

/** Bytes that are worth being no part of a copy. */
export const isLarge = (value: unknown): value is Uint8Array =>
  value instanceof Uint8Array && value.length >= LARGE_BYTES

/**
 * The canonical bytes of plain values as pieces, of which the large ones are the bytes and numbers of the value itself; `lists`:
 * those in lists, too, of which each element takes its time.
 */
export function encodeInPieces(value: unknown, { lists = true } = {}): Uint8Array[] {
  const pieces: Uint8Array[] = []
  let small: Uint8Array[] = []
  const put = (part: unknown): void => {
    const large = isLarge(part) ? part : largeNumbers(part)
    if (large != null) {
      pieces.push(Buffer.concat([...small, ...tagOf(part), head(2, large.length)]), large)
      small = []
    } else if (Array.isArray(part) && lists) {
      small.push(head(4, part.length))
      for (const each of part) put(each)
    } else if (isPlain(part)) {
      const entries = Object.entries(part)
      small.push(head(5, entries.length))
      for (const entry of entries) for (const each of entry) put(each)
    } else small.push(encodeValue(part))
  }
  put(value)
  return [...pieces, Buffer.concat(small)]
}

/** Of others the encoder says what is wrong with them. */
const isPlain = (value: unknown): value is object =>
  typeof value === 'object' &&
  value !== null &&
  [Object.prototype, null].includes(Object.getPrototypeOf(value))

/** true for bytes or numbers in a field, or in a field of that, which are worth being no part of a copy. */
export const hasLarge = (value: object, depth = 2): boolean =>
  Object.values(value).some(field =>
    ArrayBuffer.isView(field)
      ? field.byteLength >= LARGE_BYTES
      : depth > 1 && isPlain(field) && hasLarge(field, depth - 1)
  )

/** Bytes of a large typed array of numbers; not where NaN, of which canonical values have one, would have to be changed. */
function largeNumbers(value: unknown): Uint8Array | undefined {
  if (!ArrayBuffer.isView(value) || value instanceof DataView || value.byteLength < LARGE_BYTES) return
  if ((value instanceof Float64Array || value instanceof Float32Array) && value.includes(Number.NaN)) return
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
}

/** The head before that of its bytes which says what kind of numbers they are; nothing for bytes. */
function tagOf(numbers: unknown): Uint8Array[] {
  if (numbers instanceof Uint8Array) return []
  const Kind = (numbers as Uint16Array).constructor as new () => Uint16Array
  return [encodeValue(new Kind()).subarray(0, -1)]
}

/** Length and head size of an encoded array; throws ProtocolError when the value is none. */
export function arrayHead(bytes: Uint8Array): { length: number; size: number } {
  const [initial = 0] = bytes
  if (initial >> 5 !== 4 || (initial & 31) > 26) throw new ProtocolError('a result is not a list')
  const { n: length, next: size } = argumentAt(bytes, 0)
  return { length, size }
}

/** The bytes of each element of a list; nothing where the bytes are no list. */
export function listItems(list: Uint8Array): Uint8Array[] | undefined {
  return itemEnds(list)?.map((end, i, ends) =>
    list.subarray(i === 0 ? arrayHead(list).size : ends[i - 1], end)
  )
}

/** Elements [first, first + count) of a list in canonical bytes, as a list. Throws ProtocolError where there are none. */
export function listPart(list: Uint8Array, first: number, count: number): Uint8Array {
  const ends = itemEnds(list)
  if (ends == null || first + count > ends.length)
    throw new ProtocolError(`a result is no list with the items ${first} to ${first + count - 1}`)
  return cutList(list, ends, first, count)
}

export function cutList(list: Uint8Array, ends: number[], first: number, count: number): Uint8Array {
  return encodeArray(count, [itemsOf(list, ends, first, count)])
}

/** The bytes of elements [first, first + count) one after the other, not copied. */
export function itemsOf(list: Uint8Array, ends: number[], first: number, count: number): Uint8Array {
  const from = first === 0 ? arrayHead(list).size : ends[first - 1]!
  return list.subarray(from, ends[first + count - 1])
}

/** The number in the head of a canonical value, and where the head ends. */
export function argumentAt(bytes: Uint8Array, at: number): { n: number; next: number } {
  const info = bytes[at]! & 31
  if (info < 24) return { n: info, next: at + 1 }
  const next = at + 1 + (info < 28 ? 1 << (info - 24) : 0)
  let n = 0
  for (let i = at + 1; i < next; i++) n = n * 256 + (bytes[i] ?? 0)
  return { n, next }
}

/** Where each element of a list ends; nothing where the bytes are no list. What an element holds is not looked at. */
export function itemEnds(list: Uint8Array): number[] | undefined {
  if (list.length === 0 || list[0]! >> 5 !== 4) return
  const { n: length, next } = argumentAt(list, 0)
  if (length > list.length) return
  const ends: number[] = []
  let at = next
  while (ends.length < length) {
    for (let open = 1; open > 0; open--) {
      if (at >= list.length) return
      const major = list[at]! >> 5
      const head = argumentAt(list, at)
      at = head.next
      if (major === 2 || major === 3) at += head.n
      else if (major === 4) open += head.n
      else if (major === 5) open += 2 * head.n
      else if (major === 6) open++
    }
    if (at > list.length) return
    ends.push(at)
  }
  return at === list.length ? ends : undefined
}

/**
 * How many byte strings a list holds, where it is canonical and holds nothing else: nothing in it needs a closer look.
 * undefined: it is to be decoded.
 */
export function countByteStrings(list: Uint8Array): number | undefined {
  if (list.length === 0 || list[0]! >> 5 !== 4) return
  const { n: length, next } = argumentAt(list, 0)
  if (!isShortest(list, 0, length, next)) return
  let at = next
  for (let i = 0; i < length; i++) {
    if (at >= list.length || list[at]! >> 5 !== 2) return
    const { n: bytes, next: from } = argumentAt(list, at)
    if (!isShortest(list, at, bytes, from)) return
    at = from + bytes
  }
  return at === list.length ? length : undefined
}

/** Whether a head says its number as canonical values do; 28 and more say none at all. */
const isShortest = (bytes: Uint8Array, at: number, n: number, next: number): boolean =>
  (bytes[at]! & 31) < 28 && next - at === headBytes(n)
