/** CRC-16/Kermit: reflected 0x8408 from 0, without a final XOR, a table of one byte. */
const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x8408 : value >>> 1
  return value
})

/** Of a frame with its checksum it is 0. */
export function crcOf(bytes: Uint8Array, length = bytes.length): number {
  let crc = 0
  for (let i = 0; i < length; i++) crc = (crc >>> 8) ^ TABLE[(crc ^ bytes[i]!) & 0xff]!
  return crc
}

/** The bytes with their checksum behind them, low byte first. */
export function withCrc(bytes: Uint8Array): Uint8Array {
  const crc = crcOf(bytes)
  return Uint8Array.of(...bytes, crc & 0xff, crc >>> 8)
}
