import type { Uint8ArrayList } from 'uint8arraylist'
import { FramingError, MAX_LENGTH_BYTES } from './framing.ts'

/** What the next frames of a stream may be. */
export interface FrameRule {
  /** longest frame; below 0: none may come */
  maxBytes: number
  /** every frame has so many bytes, and no length before them */
  fixedBytes?: number
  /** a frame of so many bytes begins; what it throws ends the stream */
  onLength?: ((bytes: number) => void) | undefined
  /** some of its bytes */
  onBytes?(bytes: Uint8Array): void
  /** The frame is whole: what holds from now on; undefined: anything. Without it this rule holds on. */
  next?(frame: Uint8Array): FrameRule | undefined
}

/**
 * Follows the frames of a stream as its bytes come, keeping none but those that a rule waits for. Takes time in proportion
 * to the pieces and frames, not to the bytes.
 *
 * @throws {FramingError} the bytes break the rule
 */
export function followFrames(first: FrameRule | undefined): (bytes: Uint8Array | Uint8ArrayList) => void {
  let rule = first
  /** bytes of the length that have come */
  let prefix = 0
  let length = 0
  /** undefined within a length */
  let left: number | undefined
  let kept: Uint8Array[] = []

  function takeByte(byte: number): void {
    if (rule!.maxBytes < 0) throw new FramingError('nothing may be said here')
    if (byte === 0 && prefix > 0) throw new FramingError('a message has a length that is longer than need be')
    length += (byte & 0x7f) * 2 ** (7 * prefix)
    prefix++
    if (length > rule!.maxBytes)
      throw new FramingError(`a message of ${length} bytes; ${rule!.maxBytes} are allowed`)
    if (byte < 0x80) {
      begin(length)
    } else if (prefix === MAX_LENGTH_BYTES) throw new FramingError('a message has a length without end')
  }

  function begin(bytes: number): void {
    rule!.onLength?.(bytes)
    left = bytes
    if (bytes === 0) takeFrame()
  }

  function takeFrame(): void {
    const { next } = rule!
    if (next != null) rule = next(kept.length === 1 ? kept[0]! : Buffer.concat(kept))
    kept = []
    left = undefined
    prefix = length = 0
  }

  function take(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length && rule != null; ) {
      if (left == null && rule.fixedBytes == null) {
        takeByte(bytes[at]!)
        at++
        continue
      }
      if (left == null) begin(rule.fixedBytes!)
      const end = Math.min(bytes.length, at + left!)
      rule.onBytes?.(bytes.subarray(at, end))
      if (rule.next != null) kept.push(bytes.subarray(at, end))
      left! -= end - at
      at = end
      if (left === 0) takeFrame()
    }
  }

  return bytes => {
    if (bytes instanceof Uint8Array) take(bytes)
    else for (const piece of bytes) take(piece)
  }
}
