import { Uint8ArrayList } from 'uint8arraylist'
import { FramingError } from './framing.ts'

const HEADER_BYTES = 12
/** What a stream may bring that was not there before: the initial window of yamux's specification. */
const FIRST_WINDOW_BYTES = 256 * 1024
/** Data of fewer bytes cost more than they bring; some peers send the length of a message apart, of a few. */
const LEAST_DATA_BYTES = 16
const [SYN, ACK, FIN, RST] = [1, 2, 4, 8]
/** So many bytes of ours that arrived are answered by a window, as rare-windows.ts does. */
const BYTES_PER_WINDOW = 16 * 1024
/** Reading and answering one frame, ms. */
const FRAME_MS = 0.02
/** Receiving and decrypting what nobody waits for, ms per byte. */
const DROPPED_BYTE_MS = 4 / 2 ** 20
/** Waste is told by so many ms: to count it takes a call of the system, longer than to read a frame. */
const TOLD_MS = 5
/** A stream is opened, taken, closed and taken back. */
const FRAMES_PER_STREAM = 4

/** Types of yamux's frames; beside them there are updates of a window, 1. */
const DATA = 0
const PING = 2
const GO_AWAY = 3

export interface MuxFollowerInit {
  /** bytes that a stream may still receive; undefined: there is no such stream */
  windowOf(stream: number): number | undefined
  /** takes what may come in, in the order in which it came */
  pass(bytes: Uint8ArrayList): void
  /** so much time goes into frames that bring nothing, ms */
  waste(ms: number): void
}

/**
 * Follows the frames of one yamux connection before the library does, which keeps a frame of any length until it
 * is whole, and answers whatever asks. Data come in as far as the window of their stream allows, and go on in frames of what has come;
 * what is meant for a stream that is not there is let go as it comes. Frames that bring nothing are waste, but for those that answer: a window for each frame of
 * data that was sent (`sent`), the beginning and end of each stream (`opened`).
 *
 * @throws {FramingError} a frame that no peer may send
 */
export function followMux(init: MuxFollowerInit) {
  const { windowOf } = init
  const header = new Uint8Array(HEADER_BYTES)
  const view = new DataView(header.buffer)
  /** bytes of the header that have come */
  let has = 0
  /** bytes of data that are still to come, and flags to be said with them */
  let left = 0
  let flags = 0
  let isDropped = false
  /** frames that are answers */
  let expected = 0
  let run = new Uint8ArrayList()
  /** ms that are still to be told */
  let wasted = 0

  function waste(ms: number): void {
    wasted += ms
    if (wasted >= TOLD_MS) tell()
  }

  function tell(): void {
    if (wasted > 0) init.waste(wasted)
    wasted = 0
  }

  function flush(): void {
    if (run.byteLength === 0) return
    const bytes = run
    run = new Uint8ArrayList()
    init.pass(bytes)
  }

  function isUseful(type: number, bytes: number): boolean {
    if (type === DATA && bytes >= LEAST_DATA_BYTES) return true
    return type !== PING && expected > 0 && expected-- > 0
  }

  function begin(): void {
    // a stream that the frames before this one open is there from here on
    flush()
    const type = header[1]!
    const id = view.getUint32(4)
    const bytes = view.getUint32(8)
    if (header[0] !== 0 || type > GO_AWAY || (id === 0) !== (type === PING || type === GO_AWAY))
      throw new FramingError(`a frame of version ${header[0]} and type ${type} for stream ${id}`)
    flags = view.getUint16(2)
    const isOpening = (flags & SYN) !== 0
    const window = id === 0 ? 0 : (windowOf(id) ?? (isOpening ? FIRST_WINDOW_BYTES : undefined))
    left = type === DATA ? bytes : 0
    isDropped = window == null
    if (window != null && left > window)
      throw new FramingError(`a frame of ${left} bytes where ${window} are allowed`)
    if (isDropped) waste(FRAME_MS + left * DROPPED_BYTE_MS)
    else if (!isUseful(type, bytes)) waste(FRAME_MS)
    if (!isDropped && left === 0) run.append(header.slice())
  }

  /** A part of a frame of data as a frame: what opens its stream is said with the first, what ends it with the last. */
  function pass(part: Uint8Array): void {
    const isLast = part.length === left
    // the library reads it as a frame of its own
    if (!isLast && part.length < LEAST_DATA_BYTES) waste(FRAME_MS)
    const made = header.slice()
    const fields = new DataView(made.buffer)
    fields.setUint16(2, isLast ? flags : flags & ~(FIN | RST))
    fields.setUint32(8, part.length)
    run.append(made, part)
    flags &= ~(SYN | ACK)
  }

  function take(piece: Uint8Array): void {
    for (let at = 0; at < piece.length; ) {
      const end = Math.min(piece.length, at + (left > 0 ? left : HEADER_BYTES - has))
      const part = piece.subarray(at, end)
      at = end
      if (left > 0) {
        if (!isDropped) pass(part)
        left -= part.length
        continue
      }
      header.set(part, has)
      has += part.length
      if (has < HEADER_BYTES) return
      has = 0
      begin()
    }
  }

  return {
    /** Bytes that have come, in pieces of any size. */
    take(bytes: Uint8Array | Uint8ArrayList): void {
      try {
        for (const piece of bytes instanceof Uint8Array ? [bytes] : bytes) take(piece)
        flush()
      } finally {
        tell()
      }
    },
    /** A frame of data has gone out. */
    sent(bytes: number): void {
      expected += 1 + Math.floor(bytes / BYTES_PER_WINDOW)
    },
    /** A stream has begun, by either side. */
    opened(): void {
      expected += FRAMES_PER_STREAM
    }
  }
}
