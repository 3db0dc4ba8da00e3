import type { MessageStream } from '@libp2p/interface'
import { LengthPrefixedDecoder, type LengthPrefixedStream, lpStream } from '@libp2p/utils'
import * as lp from 'it-length-prefixed'
import type { Uint8ArrayList } from 'uint8arraylist'

/*
 * The one framing of all protocols: every message behind its length, an unsigned varint of at most four bytes, as short as
 * can be. Every room may import this file.
 */

/** Bytes of a length; seven bits each: 256 MiB, more than any protocol allows. */
const MAX_LENGTH_BYTES = 4

/** A peer does not keep to the framing. */
export class FramingError extends Error {
  override name = 'FramingError'
}

/**
 * The library takes a RangeError for "more bytes, please" before it looks at its own limits, so that a length without end
 * would be collected for ever; and it takes a length that is longer than need be for a shorter one.
 */
function decodeLength(prefix: Uint8Array | Uint8ArrayList): number {
  let length = 0
  for (let i = 0; i < prefix.byteLength; i++) {
    if (i === MAX_LENGTH_BYTES) throw new FramingError('a message has a length without end')
    const byte = prefix instanceof Uint8Array ? prefix[i]! : prefix.get(i)
    if (byte === 0 && i > 0) throw new FramingError('a message has a length that is longer than need be')
    length += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 0x80) return length
  }
  throw new RangeError('the length goes on')
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
export function readFrames(
  stream: MessageStream,
  { maxBytes, onLength, onFrame, onEnd }: FrameReaderInit
): void {
  stream.inactivityTimeout = 2 ** 31 - 1
  let isOpen = true
  let isInside = false
  const decoder = new LengthPrefixedDecoder({
    maxDataLength: maxBytes,
    maxBufferSize: 2 * maxBytes + MAX_LENGTH_BYTES,
    lengthDecoder(buffer) {
      const length = decodeLength(buffer)
      if (length === 0) throw new FramingError('a message is empty')
      if (!isInside && length <= maxBytes) onLength?.(length)
      isInside = true
      return length
    }
  })
  const end = (error?: Error): void => {
    if (!isOpen) return
    isOpen = false
    stream.removeEventListener('message', receive)
    stream.removeEventListener('close', closed)
    stream.removeEventListener('remoteCloseWrite', finished)
    onEnd(error)
  }
  const closed = (event: { error?: Error }): void => end(event.error)
  const finished = (): void => {
    stream.abort(new FramingError('the peer closed its end'))
    end()
  }
  const receive = (event: { data: Uint8Array | Uint8ArrayList }): void => {
    try {
      for (const each of decoder.decode(event.data)) {
        isInside = false
        if (isOpen) onFrame(each.subarray())
      }
    } catch (error) {
      stream.abort(error as Error)
      end(error as Error)
    }
  }
  stream.addEventListener('message', receive)
  stream.addEventListener('close', closed)
  stream.addEventListener('remoteCloseWrite', finished)
}
