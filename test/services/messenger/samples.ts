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

/** A chunk of RIFF, as in RFC 9649. */
export function riffChunk(name: string, content: Buffer): Buffer {
  const size = Buffer.alloc(4)
  size.writeUInt32LE(content.length)
  return Buffer.concat([Buffer.from(name), size, content, Buffer.alloc(content.length & 1)])
}
const riff = (...chunks: Buffer[]): Buffer =>
  riffChunk('RIFF', Buffer.concat([Buffer.from('WEBP'), ...chunks]))

/** 16 by 8, half of it red and half green, drawn by Chromium. */
const DRAWN = Buffer.from('kAEAnQEqEAAIAALATCWgAnS6AAOYAP7N7/+EFvr7sBp7W//maPkp9hujwAA=', 'base64')
/** That picture, with these flags, and what somebody put behind it. */
export function webpOf(flags: number, ...extra: Buffer[]): Buffer {
  const head = Buffer.from([flags, 0, 0, 0, 15, 0, 0, 7, 0, 0])
  return riff(riffChunk('VP8X', head), riffChunk('VP8 ', DRAWN), ...extra)
}
/** The same as a picture that moves, of one frame. */
export function movingWebp(flags: number, ...inFrame: Buffer[]): Buffer {
  const head = Buffer.from([flags | 2, 0, 0, 0, 15, 0, 0, 7, 0, 0])
  const frame = Buffer.from([0, 0, 0, 0, 0, 0, 15, 0, 0, 7, 0, 0, 100, 0, 0, 0])
  return riff(
    riffChunk('VP8X', head),
    riffChunk('ANIM', Buffer.alloc(6)),
    riffChunk('ANMF', Buffer.concat([frame, riffChunk('VP8 ', DRAWN), ...inFrame]))
  )
}

/** Blocks that each tell their length. */
export const gifExtension = (label: number, ...blocks: Buffer[]): Buffer =>
  Buffer.concat([
    Buffer.from([0x21, label]),
    ...blocks.flatMap(block => [Buffer.from([block.length]), block]),
    Buffer.from([0])
  ])
/** A GIF of one pixel and two colours, as GIF89a has it, and what somebody put before it. */
export const gifOf = (...extra: Buffer[]): Buffer =>
  Buffer.concat([
    Buffer.from('GIF89a\x01\0\x01\0\x80\0\0\xff\0\0\xff\xff\xff', 'latin1'),
    ...extra,
    Buffer.from([0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x44, 1, 0, 0x3b])
  ])
