import { FrameError } from './errors.ts'

/** Two decimal digits in each byte, the first ones first. @throws {FrameError} a half byte beyond 9 */
export function fromBcd(bytes: Uint8Array): bigint {
  let value = 0n
  for (const byte of bytes) {
    const high = byte >> 4
    const low = byte & 0x0f
    if (high > 9 || low > 9) throw new FrameError(`0x${byte.toString(16)} is no decimal byte`)
    value = value * 100n + BigInt(high * 10 + low)
  }
  return value
}

/** @throws {FrameError} it does not fit, or is below 0 */
export function toBcd(value: bigint, bytes: number): Uint8Array {
  const text = value.toString()
  if (value < 0n || text.length > 2 * bytes)
    throw new FrameError(`${text} does not fit into ${bytes} decimal bytes`)
  return Buffer.from(text.padStart(2 * bytes, '0'), 'hex')
}
