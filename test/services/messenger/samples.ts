import { crc32, deflateRawSync, deflateSync } from 'node:zlib'

/** windows-1251 as its table has it: А is 0xC0, я 0xFF, Ё 0xA8, ё 0xB8. */
export const windows1251 = (text: string): Uint8Array =>
  Uint8Array.from(text, letter => {
    const code = letter.codePointAt(0)!
    if (code < 0x80) return code
    if (letter === 'Ё') return 0xa8
    return letter === 'ё' ? 0xb8 : code - 0x410 + 0xc0
  })

export const chunk = (name: string, data: Buffer): Buffer => {
  const body = Buffer.concat([Buffer.from(name), data])
  const head = Buffer.alloc(4)
  head.writeUInt32BE(data.length)
  const check = Buffer.alloc(4)
  check.writeUInt32BE(crc32(body))
  return Buffer.concat([head, body, check])
}

/** A grey PNG as its specification has it, and what somebody put between. */
export function png(width: number, height: number, ...extra: Buffer[]): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width)
  header.writeUInt32BE(height, 4)
  header[8] = 8
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    ...extra,
    // its rows begin with a filter; of a larger one most is missing
    chunk('IDAT', deflateSync(Buffer.alloc(72))),
    chunk('IEND', Buffer.alloc(0))
  ])
}

/** An archive of one file (APPNOTE 4.3), far larger than it is. */
export function zipOf(content: Buffer): Buffer {
  const packed = deflateRawSync(content, { level: 9 })
  const name = Buffer.from('zeros')
  const head = Buffer.alloc(30)
  head.writeUInt32LE(0x04034b50)
  head.writeUInt16LE(20, 4)
  head.writeUInt16LE(8, 8)
  head.writeUInt32LE(packed.length, 18)
  head.writeUInt32LE(content.length, 22)
  head.writeUInt16LE(name.length, 26)
  return Buffer.concat([head, name, packed])
}
