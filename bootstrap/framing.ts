import type { AbortOptions, MessageStream, Stream } from '@libp2p/interface'
import { type LengthPrefixedStream, lpStream } from '@libp2p/utils'
import * as lp from 'it-length-prefixed'
import { raceSignal } from 'race-signal'
import { Uint8ArrayList } from 'uint8arraylist'

/*
 * The one framing of all protocols: every message behind its length, an unsigned varint of at most four bytes, as short as
 * can be. Every room may import this file.
 */

/** Bytes of a length; seven bits each: 256 MiB, more than any protocol allows. */
export const MAX_LENGTH_BYTES = 4

const MAX_LENGTH = 2 ** (7 * MAX_LENGTH_BYTES) - 1

/** A peer does not keep to the framing. */
export class FramingError extends Error {
  override name = 'FramingError'
}

/**
 * The library takes a RangeError for "more bytes, please" before it looks at its own limits, so that a length without end
 * would be collected for ever; and it takes a length that is longer than need be for a shorter one.
 */
function decodeLength(prefix: Uint8Array | Uint8ArrayList): number {
  const length = lengthAt(prefix)
  if (length == null) throw new RangeError('the length goes on')
  return length
}

/** The length that `prefix` begins with, or undefined while it is not whole. */
function lengthAt(prefix: Uint8Array | Uint8ArrayList): number | undefined {
  let length = 0
  for (let i = 0; i < prefix.byteLength; i++) {
    if (i === MAX_LENGTH_BYTES) throw new FramingError('a message has a length without end')
    const byte = prefix instanceof Uint8Array ? prefix[i]! : prefix.get(i)
    if (byte === 0 && i > 0) throw new FramingError('a message has a length that is longer than need be')
    length += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 0x80) return length
  }
  return undefined
}

/** One message behind its length. Throws InvalidDataLengthError above `maxBytes`. */
export function frame(message: Uint8Array | Uint8ArrayList, maxBytes: number): Uint8ArrayList {
  return lp.encode.single(message, { maxDataLength: maxBytes })
}

/** Reads and writes one message at a time; for protocols of requests and answers. */
export function framed(stream: MessageStream, maxBytes: number): LengthPrefixedStream {
  return lpStream(stream as never, {
    maxDataLength: maxBytes,
    maxBufferSize: 2 * maxBytes + MAX_LENGTH_BYTES,
    lengthDecoder: decodeLength
  })
}

/** In place of a piece that is let go. */
const READ = new Uint8Array(0)

/**
 * Takes messages out of the bytes of a stream. One that comes in pieces is put together in its own place as they come, so that each
 * is let go at once: kept until the last has come they would be old, and old garbage is collected late. The place takes no memory
 * before there is something in it.
 */
function createFrameReader(onLength?: (bytes: number) => void) {
  const pieces: Uint8Array[] = []
  /** the first that is not read, and where it goes on */
  let first = 0
  let at = 0
  let waiting = 0
  // one more than may be, to be refused
  const prefix = new Uint8Array(MAX_LENGTH_BYTES + 1)
  let prefixBytes = 0
  let message: Uint8Array | undefined
  let filled = 0

  /** How long the message is that begins, once its last byte of length is there. */
  function takeLength(byte: number, maxBytes: number): number | undefined {
    prefix[prefixBytes++] = byte
    const length = lengthAt(prefix.subarray(0, prefixBytes))
    if (length == null) return undefined
    if (length === 0) throw new FramingError('a message is empty')
    if (length > maxBytes) throw new FramingError(`a message of ${length} bytes; ${maxBytes} are allowed`)
    onLength?.(length)
    prefixBytes = 0
    return length
  }

  function goOn(bytes: number): void {
    at += bytes
    waiting -= bytes
    if (at < pieces[first]!.length) return
    at = 0
    pieces[first++] = READ
    // one by one each would move all the others, of which a peer may send a million
    if (2 * first < pieces.length) return
    pieces.splice(0, first)
    first = 0
  }

  /** Up to so many bytes of the first piece. */
  function take(most: number): Uint8Array {
    const part = pieces[first]!.subarray(at, at + most)
    goOn(part.length)
    return part
  }

  return {
    append(data: Uint8Array | Uint8ArrayList): void {
      for (const piece of data instanceof Uint8Array ? [data] : data) if (piece.length > 0) pieces.push(piece)
      waiting += data.byteLength
    },

    /** The next message, once it is whole; it may lie within the bytes that came. Throws FramingError. */
    next(maxBytes: number): Uint8Array | undefined {
      while (pieces.length > 0) {
        if (message == null) {
          const byte = pieces[first]![at]!
          goOn(1)
          const length = takeLength(byte, maxBytes)
          if (length == null) continue
          if (pieces.length > 0 && pieces[first]!.length - at >= length) return take(length)
          message = new Uint8Array(length)
          filled = 0
          continue
        }
        const part = take(message.length - filled)
        message.set(part, filled)
        filled += part.length
        if (filled < message.length) continue
        const whole = message
        message = undefined
        return whole
      }
    },

    /** bytes that came and are in no message */
    get waiting(): number {
      return waiting
    },

    /** After `next` gave none: one has begun. */
    get isWithin(): boolean {
      return prefixBytes > 0 || message != null
    }
  }
}

/** Read ahead of who takes the messages; then the stream is paused, and its sender has to wait. */
const READ_AHEAD_BYTES = 1 << 20
/** What may be under way when it is paused: the largest window of yamux. */
const MAX_WINDOW_BYTES = 16 << 20

/** A stream as messages, for protocols of many: who does not read makes the sender wait. */
export interface FrameExchange {
  /**
   * The next message, or undefined when the peer has closed its end. Throws FramingError when it says that it is longer
   * than `maxBytes`, before it has come.
   */
  read(options: AbortOptions & { maxBytes: number }): Promise<Uint8Array | undefined>
  /** Ends once there is room for more. */
  write(messages: readonly Uint8Array[], options?: AbortOptions): Promise<void>
}

export function exchangeFrames(stream: Stream): FrameExchange {
  const reader = createFrameReader()
  let more = Promise.withResolvers<void>()
  let isOver = false
  let failure: Error | undefined
  // deadlines of the protocol say when it is too long
  stream.inactivityTimeout = 2 ** 31 - 1
  stream.maxReadBufferLength = Math.max(stream.maxReadBufferLength, 2 * MAX_WINDOW_BYTES)

  function wake(): void {
    more.resolve()
    more = Promise.withResolvers()
  }
  /**
   * Not while a message is given to us: `resume` gives what has waited first and opens the window then, also where it
   * was paused again meanwhile, and its sender would never be slowed down.
   */
  const pauseSoon = (): void =>
    queueMicrotask(() => {
      if (reader.waiting > READ_AHEAD_BYTES && stream.readStatus === 'readable') stream.pause()
    })
  stream.addEventListener('message', ({ data }) => {
    reader.append(data)
    if (reader.waiting > READ_AHEAD_BYTES) pauseSoon()
    wake()
  })
  stream.addEventListener('remoteCloseWrite', wake)
  stream.addEventListener('close', event => {
    isOver = true
    failure = event.error
    wake()
  })
  const isEnd = (): boolean =>
    stream.readBufferLength === 0 && (isOver || stream.remoteWriteStatus !== 'writable')

  return {
    async read({ maxBytes, signal }) {
      for (;;) {
        const message = reader.next(maxBytes)
        // a small one would hold all that came with it
        if (message != null) return message.length < message.buffer.byteLength ? message.slice() : message
        if (failure != null) throw failure
        const coming = more.promise
        // what waits in a paused stream comes now, before its end is looked at
        if (stream.readStatus === 'paused') stream.resume()
        else if (isEnd()) {
          if (reader.isWithin) throw new FramingError('the stream ended within a message')
          return undefined
        } else await raceSignal(coming, signal)
      }
    },
    async write(messages, { signal } = {}) {
      signal?.throwIfAborted()
      const list = new Uint8ArrayList()
      for (const message of messages) list.append(frame(message, MAX_LENGTH))
      if (!stream.send(list)) await stream.onDrain({ signal })
    }
  }
}

/** Messages that came at once are read for so long in a row; then everything else has its turn. */
const TURN_MS = 10

export interface FrameReaderInit {
  /** largest message */
  maxBytes: number
  /** a message of so many bytes begins; what it throws ends the stream before any more of them is kept */
  onLength?(bytes: number): void
  /** what it throws ends the stream: the peer does not keep to the protocol */
  onFrame(frame: Uint8Array): void
  /** called exactly once */
  onEnd(error?: Error): void
}

/** Calls `onFrame` for each message, as they come, for as long as the two peers know each other. */
export function readFrames(stream: Stream, { maxBytes, onLength, onFrame, onEnd }: FrameReaderInit): void {
  stream.inactivityTimeout = 2 ** 31 - 1
  stream.maxReadBufferLength = Math.max(stream.maxReadBufferLength, 2 * MAX_WINDOW_BYTES)
  let isOpen = true
  const reader = createFrameReader(onLength)
  const end = (error?: Error): void => {
    if (!isOpen) return
    isOpen = false
    stream.removeEventListener('message', receive)
    stream.removeEventListener('close', closed)
    stream.removeEventListener('remoteCloseWrite', finished)
    onEnd(error)
  }
  /** what is done once all that has come is read */
  let last: (() => void) | undefined
  let isReading = false
  const lastly = (ending: () => void): void => {
    if (isReading) last ??= ending
    else ending()
  }
  const closed = ({ error, local }: { error?: Error; local?: boolean }): void => {
    if (local === true) end(error)
    else lastly(() => end(error))
  }
  const finished = (): void =>
    lastly(() => {
      stream.abort(new FramingError('the peer closed its end'))
      end()
    })
  const take = (): void => {
    isReading = true
    try {
      for (const turnEnds = performance.now() + TURN_MS; isOpen; ) {
        const message = reader.next(maxBytes)
        if (message == null) break
        onFrame(message)
        if (performance.now() < turnEnds) continue
        if (stream.readStatus === 'readable') stream.pause()
        setImmediate(take)
        return
      }
      isReading = false
      // what waits in a paused stream is read now, before its end
      if (isOpen && stream.readStatus === 'paused') stream.resume()
      if (!isReading) last?.()
    } catch (error) {
      stream.abort(error as Error)
      end(error as Error)
    }
  }
  const receive = (event: { data: Uint8Array | Uint8ArrayList }): void => {
    reader.append(event.data)
    // else it has its turn
    if (!isReading) take()
  }
  stream.addEventListener('message', receive)
  stream.addEventListener('close', closed)
  stream.addEventListener('remoteCloseWrite', finished)
}
