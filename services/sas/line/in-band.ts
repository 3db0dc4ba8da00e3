/*
 * The wake-up bit on wires of eight bits: FF 00 XX is the byte XX with the bit set, FF FF is the byte FF. It is the
 * coding that the kernel's PARMRK has, so one decoder reads both.
 */
const MARK = 0xff
const SET = 0x00

/** A message with the wake-up bit on its first byte. */
export function encodeMessage(message: Uint8Array): Uint8Array {
  const [first = 0, ...rest] = message
  return Uint8Array.of(MARK, SET, first, ...encodeAnswer(rest))
}

/** Bytes without it, as machines answer. */
export const encodeAnswer = (bytes: Iterable<number>): number[] =>
  [...bytes].flatMap(byte => (byte === MARK ? [MARK, MARK] : [byte]))

/** Takes bytes as they come, and tells each with its wake-up bit. What is no such coding is left out. */
export function createDecoder(
  onByte: (byte: number, isWakeUp: boolean) => void
): (bytes: Uint8Array) => void {
  let state: 'plain' | 'marked' | 'set' = 'plain'
  return bytes => {
    for (const byte of bytes) {
      if (state === 'set') onByte(byte, true)
      else if (state === 'plain' && byte !== MARK) onByte(byte, false)
      else if (state === 'marked' && byte === MARK) onByte(MARK, false)
      if (state === 'plain' && byte === MARK) state = 'marked'
      else state = state === 'marked' && byte === SET ? 'set' : 'plain'
    }
  }
}
