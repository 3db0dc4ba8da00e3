/* Pictures by what they are, never by how they are called. */

export type PictureType = 'image/png' | 'image/jpeg' | 'image/gif' | 'image/webp'

/** A picture of more is a bomb rather than a picture: a few KB that take GB of memory when they are drawn. */
const MAX_PIXELS = 50_000_000
const PNG_HEAD = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]

export const begins = (bytes: Uint8Array, head: readonly number[], at = 0): boolean =>
  bytes.length >= at + head.length && head.every((byte, i) => bytes[at + i] === byte)
export const ascii = (text: string): number[] => [...text].map(letter => letter.charCodeAt(0))
export const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, byteLength)

/** What kind of picture these bytes are; undefined: none that may be shown, whatever its name says. Pure. */
export function pictureType(bytes: Uint8Array): PictureType | undefined {
  const type = typeOf(bytes)
  return type != null && pixelsOf(bytes, type) <= MAX_PIXELS ? type : undefined
}

export function typeOf(bytes: Uint8Array): PictureType | undefined {
  if (bytes.length < 32) return undefined
  if (begins(bytes, PNG_HEAD)) return 'image/png'
  if (begins(bytes, ascii('GIF87a')) || begins(bytes, ascii('GIF89a'))) return 'image/gif'
  if (begins(bytes, [0xff, 0xd8, 0xff])) return 'image/jpeg'
  return begins(bytes, ascii('RIFF')) && begins(bytes, ascii('WEBP'), 8) ? 'image/webp' : undefined
}

/** As many as it promises; 0 where it promises none, and nothing is drawn. */
function pixelsOf(bytes: Uint8Array, type: PictureType): number {
  const view = viewOf(bytes)
  if (type === 'image/png') return view.getUint32(16) * view.getUint32(20)
  if (type === 'image/gif') return view.getUint16(6, true) * view.getUint16(8, true)
  if (type === 'image/webp') return webpPixels(bytes, view)
  let most = 0
  for (const { marker, at, end } of segmentsOf(bytes))
    if (isFrame(marker) && end - at >= 9)
      most = Math.max(most, view.getUint16(at + 5) * view.getUint16(at + 7))
  return most
}

/** By its first chunk: RFC 9649. */
function webpPixels(bytes: Uint8Array, view: DataView): number {
  if (begins(bytes, ascii('VP8X'), 12))
    return (1 + (view.getUint32(23, true) >>> 8)) * (1 + (view.getUint32(26, true) >>> 8))
  if (begins(bytes, ascii('VP8L'), 12)) {
    const bits = view.getUint32(21, true)
    return (1 + (bits & 0x3fff)) * (1 + ((bits >>> 14) & 0x3fff))
  }
  return (view.getUint16(26, true) & 0x3fff) * (view.getUint16(28, true) & 0x3fff)
}

/** Where its marker begins and where the next one does: a scan has what is drawn of it. */
export interface Segment {
  marker: number
  at: number
  end: number
}
export const SCAN = 0xda
export const END = 0xd9
/** Start of a frame; the others of this range are tables. */
const isFrame = (marker: number): boolean =>
  marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)

/** Of a JPEG, as far as it can be read. What follows its end is no part of it. */
export function* segmentsOf(bytes: Uint8Array): Generator<Segment> {
  const view = viewOf(bytes)
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff; ) {
    const marker = bytes[at + 1]!
    if (marker === END) return
    // 0xff may be there more than once
    if (marker === 0xff) {
      at++
      continue
    }
    const length = view.getUint16(at + 2)
    const end = marker === SCAN ? scanEnd(bytes, at + 2 + length) : at + 2 + length
    if (length < 2 || end > bytes.length) return
    yield { marker, at, end }
    at = end
  }
}

/** Where the next marker is: none is 0xff with 0 behind it, nor one that begins the drawing anew. */
function scanEnd(bytes: Uint8Array, from: number): number {
  let at = bytes.indexOf(0xff, from)
  for (; at >= 0; at = bytes.indexOf(0xff, at + 1)) {
    const next = bytes[at + 1]
    if (next != null && next !== 0 && next !== 0xff && !(next >= 0xd0 && next <= 0xd7)) return at
  }
  return Math.max(from, bytes.length)
}
