import { nameOf, ValueError } from './errors.ts'

/** for who takes the codec from its own file */
export { nameOf, ValueError }

export interface EncodeLimits {
  /** largest encoding; default 1 GiB */
  maxBytes?: number
}

export interface DecodeLimits {
  /** longest input; default 1 GiB */
  maxBytes?: number
  /**
   * Most values in it, keys of objects included; default: as many as its bytes can hold. A value takes a byte and costs
   * up to a microsecond and a hundred bytes, so a stranger's message is given a limit.
   */
  maxItems?: number
  /**
   * A byte string of at least 64 KiB that is more than half of the bytes is given as a part of them, not as a copy, and this
   * is called: they are to stay as they are for as long as it is used. A shorter one would keep more of a stranger's bytes
   * than it is long: they may lie beside others.
   */
  onShared?: () => void
}

/** Strings that are not very short, many times faster than in loops of JavaScript. */
export interface NativeText {
  /** UTF-8 of a string without lone surrogates */
  encode(text: string): Uint8Array
  /** undefined where the bytes are not UTF-8 */
  read(from: Uint8Array, start: number, end: number): string | undefined
}

/**
 * The canonical value codec: deterministic CBOR (RFC 8949), the same bytes for the same value everywhere.
 *
 * One self-contained function, because it runs in the node (imported) and inside the isolate (by its source text).
 * There it is called before the author's code and keeps every intrinsic it needs, so that code which patches
 * prototypes later changes nothing here. Therefore: no `for…of`, no spread, no method that is looked up on a value.
 *
 * - integers within ±(2^53 − 1): CBOR integers, shortest head; every other number: float64, NaN as 7ff8000000000000
 * - bigint: always tag 2 or 3, so that 1n and 1 stay apart; up to 1 MiB, which takes a second to write in decimal
 * - string: UTF-8; with lone surrogates tag 273 (WTF-8)
 * - Uint8Array: byte string; other typed arrays: RFC 8746 tags, little endian, NaN canonical
 * - array, plain object (own enumerable string keys in their own order, which is part of the value)
 * - anything else (function, symbol, Date, Map, Promise, class instance, …) is refused
 *
 * The decoder is strict: it accepts exactly what the encoder makes.
 *
 * `native`: strings by what the engine around it has for them.
 */
export function valueCodec(native?: NativeText) {
  const uncurry = Function.prototype.bind.bind(Function.prototype.call) as unknown as (
    // biome-ignore lint/suspicious/noExplicitAny: turns any method into a function that takes `this` first
    method: any
    // biome-ignore lint/suspicious/noExplicitAny: as above
  ) => (self: any, ...args: any[]) => any
  const {
    assign,
    keys,
    getPrototypeOf,
    defineProperty,
    prototype: objectPrototype,
    getOwnPropertyDescriptor
  } = Object
  const { isArray } = Array
  const isNan = Number.isNaN
  const substring = uncurry(String.prototype.substring) as (s: string, from: number, to: number) => string
  const isWellFormed = uncurry(String.prototype.isWellFormed) as (s: string) => boolean
  const charCodeAt = uncurry(String.prototype.charCodeAt) as (s: string, i: number) => number
  const fromCharCodes = uncurry(String.fromCharCode.apply).bind(null, String.fromCharCode, null) as (
    codes: ArrayLike<number>
  ) => string
  const bigToString = uncurry(BigInt.prototype.toString) as (n: bigint, radix: number) => string
  const setBytes = uncurry(Uint8Array.prototype.set) as (to: Uint8Array, from: Uint8Array, at: number) => void
  const sliceBytes = uncurry(ArrayBuffer.prototype.slice) as (
    b: ArrayBuffer,
    from: number,
    to: number
  ) => ArrayBuffer
  const typedPrototype = getPrototypeOf(Uint8Array.prototype)
  const getter = (of: object, name: string | symbol) => uncurry(getOwnPropertyDescriptor(of, name)!.get)
  const typeName = getter(typedPrototype, Symbol.toStringTag) as (v: unknown) => string | undefined
  const bufferOf = getter(typedPrototype, 'buffer') as (v: unknown) => ArrayBuffer
  const offsetOf = getter(typedPrototype, 'byteOffset') as (v: unknown) => number
  // finds NaN at machine speed, also in the first call, where a loop of ours is still interpreted
  const includes = uncurry(Float64Array.prototype.includes) as (v: unknown, x: number) => boolean
  const byteLengthOf = getter(typedPrototype, 'byteLength') as (v: unknown) => number
  const getFloat64 = uncurry(DataView.prototype.getFloat64) as (v: DataView, at: number) => number
  const setFloat64 = uncurry(DataView.prototype.setFloat64) as (v: DataView, at: number, x: number) => void
  const Bytes = Uint8Array
  const View = DataView
  const Fail = TypeError
  const Big = BigInt
  const Vec = Array

  const { max, min, imul } = Math
  const NAN64 = new Bytes([0, 0, 0, 0, 0, 0, 0xf8, 0x7f]) // little endian
  const NAN32 = new Bytes([0, 0, 0xc0, 0x7f])
  const MAX_DEPTH = 256 // deeper data is a cycle or an attack on whoever walks it next
  const MAX_SAFE = 9007199254740991
  const MAX_BIG_BYTES = 1048576
  const SMALL_BYTES = 64 // up to here a loop is cheaper than two views
  const SCRATCH_BYTES = 16384
  const SHARED_BYTES = 65536 // shorter ones are copied as fast
  const NATIVE_CHARS = 32 // shorter strings are done before a call is made
  const WINDOW_CHARS = 524288 // as in child-main.ts
  const missing: readonly string[] = []
  // a power of two; within the walls there is a codec for every context
  const KNOWN_TEXTS = native === undefined ? 1024 : 32768
  const RUN_BYTES = 64 // of ASCII, from which on a slice is cheaper than its characters one by one
  // The head of a large typed array takes 7 bytes. Its numbers then lie on 8 bytes, where copying is four times faster.
  const ALIGNED = 1
  class Piece {
    bytes?: Uint8Array
    error?: unknown
  }
  const piecePrototype = Piece.prototype
  const pieceOf = (fields: Piece): Piece => assign(new Piece(), fields)
  // RFC 8746, little endian
  const arrayTypes: Record<
    string,
    { tag: number; size: number; make: new (b: ArrayBuffer | number) => ArrayBufferView }
  > = {
    // @ts-expect-error no prototype, so that names of Object.prototype are not found
    __proto__: null,
    Uint8ClampedArray: { tag: 68, size: 1, make: Uint8ClampedArray },
    Uint16Array: { tag: 69, size: 2, make: Uint16Array },
    Uint32Array: { tag: 70, size: 4, make: Uint32Array },
    BigUint64Array: { tag: 71, size: 8, make: BigUint64Array },
    Int8Array: { tag: 72, size: 1, make: Int8Array },
    Int16Array: { tag: 77, size: 2, make: Int16Array },
    Int32Array: { tag: 78, size: 4, make: Int32Array },
    BigInt64Array: { tag: 79, size: 8, make: BigInt64Array },
    Float32Array: { tag: 85, size: 4, make: Float32Array },
    Float64Array: { tag: 86, size: 8, make: Float64Array }
  }
  const byTag: Record<
    number,
    { tag: number; size: number; make: new (b: ArrayBuffer | number) => ArrayBufferView }
  > = {
    // @ts-expect-error as above
    __proto__: null
  }
  for (const name in arrayTypes) byTag[arrayTypes[name]!.tag] = arrayTypes[name]!

  // ---- encoder: writes at `position`; when the target is full it moves to a larger one of its own ----
  const scratch = new Bytes(SCRATCH_BYTES)
  let target: Uint8Array = scratch
  let view = new View(scratch.buffer)
  let begin = 0
  let position = 0
  let capacity = SCRATCH_BYTES
  let limit = 0
  let busy = false

  function need(bytes: number) {
    const size = position - begin + bytes
    if (size > limit) throw new Fail(`the value is larger than ${limit} bytes`)
    if (position + bytes <= capacity) return
    const doubled = 2 * (capacity - begin)
    capacity = (size > doubled ? size : min(doubled, limit)) + ALIGNED
    const larger = new Bytes(capacity)
    setBytes(larger, new Bytes(bufferOf(target), offsetOf(target) + begin, position - begin), ALIGNED)
    position += ALIGNED - begin
    begin = ALIGNED
    target = larger
    view = new View(bufferOf(larger))
  }

  function head(major: number, n: number) {
    if (n < 24) {
      need(1)
      target[position++] = (major << 5) | n
    } else if (n < 0x100) {
      need(2)
      target[position++] = (major << 5) | 24
      target[position++] = n
    } else if (n < 0x10000) {
      need(3)
      target[position++] = (major << 5) | 25
      target[position++] = n >>> 8
      target[position++] = n
    } else if (n < 0x100000000) {
      need(5)
      target[position++] = (major << 5) | 26
      target[position++] = n >>> 24
      target[position++] = n >>> 16
      target[position++] = n >>> 8
      target[position++] = n
    } else {
      need(9)
      const high = (n / 0x100000000) >>> 0
      target[position++] = (major << 5) | 27
      target[position++] = high >>> 24
      target[position++] = high >>> 16
      target[position++] = high >>> 8
      target[position++] = high
      target[position++] = n >>> 24
      target[position++] = n >>> 16
      target[position++] = n >>> 8
      target[position++] = n
    }
  }

  function putNumber(n: number) {
    if (n >= -MAX_SAFE && n <= MAX_SAFE && n % 1 === 0 && (n !== 0 || 1 / n > 0)) {
      if (n >= 0) head(0, n)
      else head(1, -1 - n)
      return
    }
    need(9)
    target[position] = 0xfb
    setFloat64(view, position + 1, n)
    if (isNan(n)) {
      target[position + 1] = 0x7f
      target[position + 2] = 0xf8
      for (let i = 3; i < 9; i++) target[position + i] = 0
    }
    position += 9
  }

  function putString(s: string) {
    const length = s.length
    if (native !== undefined && length >= NATIVE_CHARS && isWellFormed(s)) {
      const bytes = native.encode(s)
      head(3, bytes.length)
      need(bytes.length)
      setBytes(target, bytes, position)
      position += bytes.length
      return
    }
    let bytes = length
    let lone = false
    let wide = false
    for (let i = 0; i < length; i++) {
      const c = charCodeAt(s, i)
      if (c < 0x80) continue
      wide = true
      bytes++
      if (c < 0x800) continue
      bytes++
      if (c < 0xd800 || c > 0xdfff) continue
      const next = c < 0xdc00 && i + 1 < length ? charCodeAt(s, i + 1) : 0
      if (next >= 0xdc00 && next <= 0xdfff) i++
      else lone = true
    }
    if (lone) head(6, 273)
    head(lone ? 2 : 3, bytes)
    need(bytes)
    const to = target
    let p = position
    position += bytes
    if (!wide) {
      for (let i = 0; i < length; i++) to[p++] = charCodeAt(s, i)
      return
    }
    for (let i = 0; i < length; i++) {
      let c = charCodeAt(s, i)
      if (c < 0x80) {
        to[p++] = c
        continue
      }
      if (c < 0x800) {
        to[p++] = 0xc0 | (c >> 6)
      } else {
        const next = c >= 0xd800 && c < 0xdc00 && i + 1 < length ? charCodeAt(s, i + 1) : 0
        if (next >= 0xdc00 && next <= 0xdfff) {
          i++
          c = 0x10000 + ((c - 0xd800) << 10) + (next - 0xdc00)
          to[p++] = 0xf0 | (c >> 18)
          to[p++] = 0x80 | ((c >> 12) & 63)
        } else {
          to[p++] = 0xe0 | (c >> 12)
        }
        to[p++] = 0x80 | ((c >> 6) & 63)
      }
      to[p++] = 0x80 | (c & 63)
    }
  }

  function putBig(n: bigint) {
    const negative = n < 0n
    let hex = bigToString(negative ? -1n - n : n, 16)
    if (hex === '0') hex = ''
    if (hex.length % 2 === 1) hex = `0${hex}`
    const bytes = hex.length / 2
    if (bytes > MAX_BIG_BYTES)
      throw new Fail(
        `a bigint of ${bytes} bytes cannot cross the wall, at most ${MAX_BIG_BYTES}: write it as bytes`
      )
    head(6, negative ? 3 : 2)
    head(2, bytes)
    need(bytes)
    const digit = (i: number) => {
      const c = charCodeAt(hex, i)
      return c < 58 ? c - 48 : c - 87
    }
    for (let i = 0; i < bytes; i++) target[position++] = (digit(2 * i) << 4) | digit(2 * i + 1)
  }

  function putTyped(value: object, name: string) {
    const size = byteLengthOf(value)
    const from = new Bytes(bufferOf(value), offsetOf(value), size)
    if (name === 'Uint8Array') {
      head(2, size)
    } else {
      const type = arrayTypes[name]
      if (type === undefined) throw new Fail(`a ${name} cannot cross the wall`)
      head(6, type.tag)
      head(2, size)
    }
    need(size)
    setBytes(target, from, position)
    const start = position
    position += size
    // NaN has many bit patterns, and which one comes out depends on the processor
    const double = name === 'Float64Array'
    if (!double && name !== 'Float32Array') return
    const numbers = value as Float64Array | Float32Array
    const count = double ? size / 8 : size / 4
    if (!includes(numbers, NaN)) return
    const canonical = double ? NAN64 : NAN32
    for (let i = 0; i < count; i++) {
      if (isNan(numbers[i])) setBytes(target, canonical, start + canonical.length * i)
    }
  }

  function put(value: unknown, depth: number) {
    switch (typeof value) {
      case 'number':
        return putNumber(value)
      case 'string':
        return putString(value)
      case 'boolean':
        need(1)
        target[position++] = value ? 0xf5 : 0xf4
        return
      case 'undefined':
        need(1)
        target[position++] = 0xf7
        return
      case 'bigint':
        return putBig(value)
      case 'object':
        break
      default:
        throw new Fail(`a ${typeof value} cannot cross the wall; give data`)
    }
    if (value === null) {
      need(1)
      target[position++] = 0xf6
      return
    }
    if (depth === MAX_DEPTH) throw new Fail(`the value is cyclic or deeper than ${MAX_DEPTH} levels`)
    const name = typeName(value)
    if (name !== undefined) return putTyped(value, name)
    if (isArray(value)) {
      const length = value.length
      if (length > limit) throw new Fail(`the value is larger than ${limit} bytes`)
      head(4, length)
      for (let i = 0; i < length; i++) put(value[i], depth + 1)
      return
    }
    const proto = getPrototypeOf(value)
    if (proto === piecePrototype) {
      const { bytes, error } = value as Piece
      if (bytes === undefined) throw error
      need(bytes.length)
      setBytes(target, bytes, position)
      position += bytes.length
      return
    }
    if (proto !== objectPrototype && proto !== null) {
      let kind: unknown
      try {
        kind = proto.constructor.name
      } catch {
        kind = undefined // a getter of the author's: the sentence below does without the name
      }
      throw new Fail(
        `${typeof kind === 'string' ? `an instance of ${kind}` : 'this object'} cannot cross the wall; give plain data`
      )
    }
    const names = keys(value)
    const count = names.length
    head(5, count)
    for (let i = 0; i < count; i++) {
      const key = names[i]!
      putString(key)
      put((value as Record<string, unknown>)[key], depth + 1)
    }
  }

  function begins(to: Uint8Array, at: number, maxBytes: number) {
    // a getter of the author's that gets here again would write into the value that is being written
    if (busy) throw new Fail('the encoder is busy')
    busy = true
    target = to
    view = new View(bufferOf(to), offsetOf(to))
    begin = at
    position = at
    capacity = byteLengthOf(to)
    limit = maxBytes
  }

  /** Encodes into bytes of its own. Throws TypeError for what has no encoding; a getter's own error passes through. */
  function encode(value: unknown, maxBytes: number): Uint8Array {
    begins(scratch, ALIGNED, maxBytes)
    try {
      put(value, 0)
      // a grown buffer of the right size goes out as it is, anything else as a copy
      if (target !== scratch && position === capacity)
        return new Bytes(bufferOf(target), begin, position - begin)
      return new Bytes(sliceBytes(bufferOf(target), begin, position))
    } finally {
      target = scratch
      busy = false
    }
  }

  /**
   * Encodes at `at` of `to` and returns the number of bytes written; where there was no room for them,
   * the encoding in bytes of its own.
   */
  function encodeInto(value: unknown, to: Uint8Array, at: number, maxBytes: number): number | Uint8Array {
    begins(to, at, maxBytes)
    try {
      put(value, 0)
      return target === to ? position - at : new Bytes(bufferOf(target), begin, position - begin)
    } finally {
      target = scratch
      busy = false
    }
  }

  /**
   * An element of a list as it is at this moment, which stands for it when the list is encoded: what an author gives may say
   * something else when it is read later. What cannot be encoded is told then.
   */
  function piece(value: unknown, maxBytes: number): Piece {
    begins(scratch, ALIGNED, maxBytes)
    try {
      put(value, 1)
      return pieceOf({ bytes: new Bytes(sliceBytes(bufferOf(target), begin, position)) })
    } catch (error) {
      return pieceOf({ error })
    } finally {
      target = scratch
      busy = false
    }
  }

  // ---- decoder ----
  let source: Uint8Array = scratch
  let sourceView = view
  /** twice the length from which a byte string is not copied, and one that was not */
  let sharedAbove = MAX_SAFE
  let shared: Uint8Array | undefined
  let cursor = 0
  let end = 0
  let left = 0 // how many more values there may be
  let chars: readonly string[] | undefined // the bytes from `charsBegin` on as characters
  let charsBegin = 0

  function take(bytes: number) {
    if (bytes > end - cursor) throw new Fail(`the encoding ends in the middle of a value at byte ${cursor}`)
    cursor += bytes
    return cursor - bytes
  }

  function argument(info: number) {
    if (info < 24) return info
    let n: number
    let least: number
    if (info === 24) {
      n = source[take(1)]!
      least = 24
    } else if (info === 25) {
      const at = take(2)
      n = source[at]! * 0x100 + source[at + 1]!
      least = 0x100
    } else if (info === 26) {
      const at = take(4)
      n = source[at]! * 0x1000000 + ((source[at + 1]! << 16) | (source[at + 2]! << 8) | source[at + 3]!)
      least = 0x10000
    } else if (info === 27) {
      const at = take(8)
      const high =
        source[at]! * 0x1000000 + ((source[at + 1]! << 16) | (source[at + 2]! << 8) | source[at + 3]!)
      if (high > 0x1fffff) throw new Fail('an integer beyond 2^53 - 1 that is not a bignum')
      n =
        high * 0x100000000 +
        source[at + 4]! * 0x1000000 +
        ((source[at + 5]! << 16) | (source[at + 6]! << 8) | source[at + 7]!)
      least = 0x100000000
    } else {
      throw new Fail(`a head of unknown or indefinite length at byte ${cursor - 1}`)
    }
    if (n < least) throw new Fail(`a head that is not the shortest at byte ${cursor}`)
    return n
  }

  function asciiEnd(from: number, to: number) {
    while (from < to && source[from]! < 0x80) from++
    return from
  }

  /** Bytes that are ASCII as characters, which are in windows of WINDOW_CHARS. */
  function charsAt(from: number, to: number) {
    let text = ''
    for (let at = from - charsBegin; at < to - charsBegin; ) {
      const start = at - (at % WINDOW_CHARS)
      const stop = min(to - charsBegin, start + WINDOW_CHARS)
      text += substring(chars![start / WINDOW_CHARS]!, at - start, stop - start)
      at = stop
    }
    return text
  }

  /**
   * Short texts that were read before, by a hash of their bytes: keys and words come again and again, and a string that is
   * there already costs nothing to make, nor its hash wherever it is looked up.
   */
  const known: (string | undefined)[] = new Vec(KNOWN_TEXTS)
  let place = -1

  /** The text of these bytes, if it is known; else `place` is where it is to be kept, or -1. */
  function knownText(from: number, to: number) {
    let hash = to - from
    place = -1
    for (let i = from; i < to; i++) {
      const c = source[i]!
      if (c >= 0x80) return undefined
      hash = imul(hash ^ c, 0x01000193)
    }
    place = (hash ^ (hash >>> 13)) & (KNOWN_TEXTS - 1)
    const text = known[place]
    if (text === undefined || text.length !== to - from) return undefined
    for (let i = from; i < to; i++) if (charCodeAt(text, i - from) !== source[i]) return undefined
    return text
  }

  const asciiAt = (from: number, to: number) =>
    chars !== undefined && asciiEnd(from, to) === to ? charsAt(from, to) : undefined

  function getString(bytes: number, wtf: boolean) {
    const from = take(bytes)
    const to = from + bytes
    const short = bytes < NATIVE_CHARS
    if (!short && !wtf && chars === missing) throw missing
    const whole = wtf
      ? undefined
      : short
        ? knownText(from, to)
        : native !== undefined
          ? native.read(source, from, to)
          : asciiAt(from, to)
    if (whole !== undefined) return whole
    const keptAt = short && !wtf ? place : -1
    const runs = !short && !wtf && chars !== undefined
    let text = ''
    let codes: number[] = new Vec(min(bytes, 4096))
    let n = 0
    let lone = false
    let last = 0
    for (let i = from; i < to; ) {
      if (runs) {
        const run = asciiEnd(i, to)
        if (run - i >= RUN_BYTES) {
          if (n > 0) {
            codes.length = n
            text += fromCharCodes(codes)
            codes = new Vec(4096)
            n = 0
          }
          text += charsAt(i, run)
          i = run
        } else while (i < run) codes[n++] = source[i++]!
        if (i === to) break
      }
      let c = source[i++]!
      if (c >= 0x80) {
        const more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1
        if (c < 0xc2 || c > 0xf4 || i + more > to) throw new Fail(`a string that is not UTF-8 at byte ${i}`)
        c &= 0x3f >> more
        for (let k = 0; k < more; k++) {
          const b = source[i++]!
          if ((b & 0xc0) !== 0x80) throw new Fail(`a string that is not UTF-8 at byte ${i}`)
          c = (c << 6) | (b & 63)
        }
        if (c < (more === 3 ? 0x10000 : more === 2 ? 0x800 : 0x80) || c > 0x10ffff) {
          throw new Fail(`a string that is not UTF-8 at byte ${i}`)
        }
        if (c >= 0xd800 && c < 0xe000) {
          // a pair written as two halves would be a second spelling of one character
          if (!wtf || (c >= 0xdc00 && last >= 0xd800 && last < 0xdc00)) {
            throw new Fail(`a lone surrogate in a string at byte ${i}`)
          }
          lone = true
        }
        last = c
        if (c >= 0x10000) {
          codes[n++] = 0xd800 + ((c - 0x10000) >> 10)
          c = 0xdc00 + ((c - 0x10000) & 0x3ff)
        }
      } else {
        last = c
      }
      codes[n++] = c
      if (n >= 4000) {
        codes.length = n
        text += fromCharCodes(codes)
        codes = new Vec(4096)
        n = 0
      }
    }
    if (wtf && !lone) throw new Fail('tag 273 on a string without lone surrogates')
    if (n === 0) return text
    codes.length = n
    text += fromCharCodes(codes)
    if (keptAt >= 0) known[keptAt] = text
    return text
  }

  function copyBytes(bytes: number) {
    const from = take(bytes)
    const copy = new Bytes(bytes)
    if (bytes <= SMALL_BYTES) for (let i = 0; i < bytes; i++) copy[i] = source[from + i]!
    else setBytes(copy, new Bytes(bufferOf(source), offsetOf(source) + from, bytes), 0)
    return copy
  }

  function getBig(bytes: number) {
    const from = take(bytes)
    if (bytes === 0) return 0n
    if (source[from] === 0) throw new Fail('a bignum with a leading zero')
    let hex = '0x'
    const digit = (n: number) => (n < 10 ? 48 + n : 87 + n)
    for (let at = from; at < from + bytes; ) {
      const count = min(bytes - (at - from), 2048)
      const codes: number[] = new Vec(2 * count)
      for (let i = 0; i < count; i++, at++) {
        const b = source[at]!
        codes[2 * i] = digit(b >> 4)
        codes[2 * i + 1] = digit(b & 15)
      }
      hex += fromCharCodes(codes)
    }
    return Big(hex)
  }

  function getTagged(tag: number): unknown {
    const initial = source[take(1)]!
    if (initial >> 5 !== 2) throw new Fail(`tag ${tag} on something else than a byte string`)
    const bytes = argument(initial & 31)
    if (tag === 273) return getString(bytes, true)
    if (tag === 2 || tag === 3) {
      if (bytes > MAX_BIG_BYTES) throw new Fail(`a bignum of ${bytes} bytes, at most ${MAX_BIG_BYTES}`)
      const n = getBig(bytes)
      return tag === 2 ? n : -1n - n
    }
    const type = byTag[tag]
    if (type === undefined) throw new Fail(`tag ${tag} is not one of ours`)
    if (bytes % type.size !== 0) throw new Fail(`tag ${tag} with ${bytes} bytes`)
    const Make = type.make
    if (bytes === 0) return new Make(0)
    const values = new Make(bufferOf(copyBytes(bytes)))
    if (tag === 86 || tag === 85) checkNan(values as Float64Array | Float32Array, bytes / type.size)
    return values
  }

  function checkNan(numbers: Float64Array | Float32Array, count: number) {
    if (!includes(numbers, NaN)) return
    const raw = new Bytes(bufferOf(numbers))
    const canonical = byteLengthOf(numbers) === 8 * count ? NAN64 : NAN32
    const size = canonical.length
    for (let i = 0; i < count; i++) {
      for (let k = 0; k < size && isNan(numbers[i]); k++) {
        if (raw[size * i + k] !== canonical[k]) throw new Fail('a NaN that is not canonical')
      }
    }
  }

  function get(depth: number): unknown {
    const initial = source[take(1)]!
    if (--left < 0) throw new Fail('more values than the limit allows')
    const info = initial & 31
    switch (initial >> 5) {
      case 0:
        return argument(info)
      case 1: {
        const n = argument(info)
        if (n === MAX_SAFE) throw new Fail('an integer beyond 2^53 - 1 that is not a bignum')
        return -1 - n
      }
      case 2: {
        const bytes = argument(info)
        if (2 * bytes <= sharedAbove) return copyBytes(bytes)
        const from = take(bytes)
        shared = new Bytes(bufferOf(source), offsetOf(source) + from, bytes)
        return shared
      }
      case 3:
        return getString(argument(info), false)
      case 4: {
        const length = argument(info)
        if (depth === MAX_DEPTH) throw new Fail(`deeper than ${MAX_DEPTH} levels`)
        if (length > end - cursor) throw new Fail(`an array of ${length} items in ${end - cursor} bytes`)
        const array = new Vec(length)
        for (let i = 0; i < length; i++) array[i] = get(depth + 1)
        return array
      }
      case 5: {
        const count = argument(info)
        if (depth === MAX_DEPTH) throw new Fail(`deeper than ${MAX_DEPTH} levels`)
        if (2 * count > end - cursor) throw new Fail(`a map of ${count} entries in ${end - cursor} bytes`)
        const object: Record<string, unknown> = {}
        if (count === 0) return object
        left -= count
        const seen: string[] = new Vec(count)
        for (let i = 0; i < count; i++) {
          const at = source[take(1)]!
          let key: string
          if (at >> 5 === 3) key = getString(argument(at & 31), false)
          else if (at >> 5 === 6 && argument(at & 31) === 273) key = getTagged(273) as string
          else throw new Fail('a key that is not a string')
          if (key === '__proto__') {
            const descriptor = {
              __proto__: null,
              value: get(depth + 1),
              writable: true,
              enumerable: true,
              configurable: true
            }
            defineProperty(object, key, descriptor)
          } else {
            object[key] = get(depth + 1)
          }
          seen[i] = key
        }
        // duplicates, and integer keys out of the order that JavaScript gives them, are a second spelling
        const names = keys(object)
        for (let i = 0; i < count; i++) {
          if (names[i] !== seen[i]) throw new Fail('a map with a key twice or in an order that no object has')
        }
        return object
      }
      case 6:
        return getTagged(argument(info))
      default:
        if (initial === 0xf4) return false
        if (initial === 0xf5) return true
        if (initial === 0xf6) return null
        if (initial === 0xf7) return undefined
        if (initial === 0xfb) {
          const at = take(8)
          const n = getFloat64(sourceView, at)
          if (isNan(n)) {
            let rest = 0
            for (let i = 2; i < 8; i++) rest |= source[at + i]!
            if (source[at] !== 0x7f || source[at + 1] !== 0xf8 || rest !== 0)
              throw new Fail('a NaN that is not canonical')
          } else if (n >= -MAX_SAFE && n <= MAX_SAFE && n % 1 === 0 && (n !== 0 || 1 / n > 0)) {
            throw new Fail('an integer written as a float')
          }
          return n
        }
        throw new Fail(`an unknown simple value ${initial} at byte ${cursor - 1}`)
    }
  }

  /**
   * Decodes `bytes` from `from` to `to`. Throws TypeError unless they are exactly one canonical value.
   * `windows`: the same bytes as characters (Latin-1), WINDOW_CHARS in each, of which long strings are slices; `missing`:
   * they can be had, and it is thrown where they are needed. `onShared`: see DecodeLimits.
   */
  function decode(
    bytes: Uint8Array,
    from: number,
    to: number,
    maxItems = to - from,
    windows?: readonly string[],
    onShared?: () => void
  ): unknown {
    source = bytes
    sharedAbove = onShared === undefined ? MAX_SAFE : max(to - from, 2 * SHARED_BYTES - 1)
    shared = undefined
    chars = windows
    charsBegin = from
    left = maxItems
    sourceView = new View(bufferOf(bytes), offsetOf(bytes))
    cursor = from
    end = to
    try {
      const value = get(0)
      if (cursor !== end) throw new Fail(`${end - cursor} bytes after the value`)
      if (onShared !== undefined && shared !== undefined) onShared()
      return value
    } finally {
      source = scratch
      chars = undefined
    }
  }

  /** What decoding the encoding gives, without bytes where the value is plain. Throws as `encode` does. */
  function copy(value: unknown, maxBytes: number, depth = 0): unknown {
    if (typeof value !== 'object' || value === null) {
      if (typeof value === 'function' || typeof value === 'symbol') encode(value, maxBytes)
      return value
    }
    if (isArray(value) && depth < MAX_DEPTH && value.length <= maxBytes) {
      const length = value.length
      const array = new Vec(length)
      for (let i = 0; i < length; i++) array[i] = copy(value[i], maxBytes, depth + 1)
      return array
    }
    const proto = getPrototypeOf(value)
    if ((proto === objectPrototype || proto === null) && depth < MAX_DEPTH) {
      const object: Record<string, unknown> = {}
      const names = keys(value)
      for (let i = 0; i < names.length; i++) {
        const key = names[i]!
        const child = copy((value as Record<string, unknown>)[key], maxBytes, depth + 1)
        if (key !== '__proto__') object[key] = child
        else
          defineProperty(object, key, { value: child, writable: true, enumerable: true, configurable: true })
      }
      return object
    }
    const bytes = encode(value, maxBytes)
    return decode(bytes, 0, bytes.length)
  }

  return { encode, encodeInto, piece, copy, decode, missing }
}

const GIB_BYTES = 1 << 30 // an answer to "how much at most" where the caller knows no better
const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const codec = valueCodec({
  encode: text => encoder.encode(text),
  read(from, start, end) {
    try {
      return decoder.decode(from.subarray(start, end))
    } catch {
      return undefined // the loop of the codec says where
    }
  }
})

/**
 * Canonical bytes of a value. Throws ValueError for what has none (functions, cycles, class instances, …), which says
 * where it is: `items.3.when: an instance of Date …`.
 */
export function encodeValue(value: unknown, { maxBytes = GIB_BYTES }: EncodeLimits = {}): Uint8Array {
  try {
    return codec.encode(value, maxBytes)
  } catch (error) {
    const { path, reason } = refusalIn(value) ?? { path: [], reason: messageOf(error) }
    throw new ValueError(reason, { path, cause: error })
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const MAX_DEPTH = 256 // as the codec's

/** Where in a value the first thing is that has no encoding, and why. */
function refusalIn(
  value: unknown,
  path: string[] = [],
  around: unknown[] = []
): { path: string[]; reason: string } | undefined {
  const at = around.indexOf(value)
  if (at !== -1)
    return { path, reason: `is cyclic: it is ${nameOf(path.slice(0, at)) || 'the whole value'} again` }
  try {
    if (!isContainer(value)) {
      codec.encode(value, GIB_BYTES)
      return undefined
    }
    if (around.length === MAX_DEPTH) return { path, reason: `is deeper than ${MAX_DEPTH} levels` }
    for (const [key, child] of Object.entries(value)) {
      const found = refusalIn(child, [...path, key], [...around, value])
      if (found !== undefined) return found
    }
  } catch (error) {
    return { path, reason: messageOf(error) } // the codec's, or a getter's own
  }
  return undefined
}

const isContainer = (value: unknown): value is object =>
  typeof value === 'object' &&
  value !== null &&
  (Array.isArray(value) || [Object.prototype, null].includes(Object.getPrototypeOf(value)))

/** The value of canonical bytes. Throws ValueError for anything that `encodeValue` would not have written. */
export function decodeValue(
  bytes: Uint8Array,
  { maxBytes = GIB_BYTES, maxItems, onShared }: DecodeLimits = {}
): unknown {
  if (bytes.byteLength > maxBytes)
    throw new ValueError(`a value of ${bytes.byteLength} bytes, at most ${maxBytes}`)
  try {
    return codec.decode(bytes, 0, bytes.byteLength, maxItems, undefined, onShared)
  } catch (error) {
    throw new ValueError(error instanceof Error ? error.message : String(error), { cause: error })
  }
}
