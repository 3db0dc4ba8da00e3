/* Pictures by what they are, never by how they are called. */

export type PictureType = 'image/png' | 'image/jpeg' | 'image/gif' | 'image/webp'

/** A picture of more is a bomb rather than a picture: a few KB that take GB of memory when they are drawn. */
const MAX_PIXELS = 50_000_000
const PNG_HEAD = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
const ORIENTATION = 0x0112

const begins = (bytes: Uint8Array, head: readonly number[], at = 0): boolean =>
  bytes.length >= at + head.length && head.every((byte, i) => bytes[at + i] === byte)
const ascii = (text: string): number[] => [...text].map(letter => letter.charCodeAt(0))
const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, byteLength)

/** What kind of picture these bytes are; undefined: none that may be shown, whatever its name says. Pure. */
export function pictureType(bytes: Uint8Array): PictureType | undefined {
  const type = typeOf(bytes)
  return type != null && pixelsOf(bytes, type) <= MAX_PIXELS ? type : undefined
}

function typeOf(bytes: Uint8Array): PictureType | undefined {
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

/** A picture without where, when and with what it was taken; anything else, and what is damaged, as it is. Pure. */
export function withoutMetadata(bytes: Uint8Array): Uint8Array {
  const type = typeOf(bytes)
  if (type === 'image/jpeg') return jpegWithout(bytes) ?? bytes
  if (type === 'image/png') return pngWithout(bytes) ?? bytes
  return bytes
}

/** Where its marker begins and where the next one does: a scan has what is drawn of it. */
interface Segment {
  marker: number
  at: number
  end: number
}
const SCAN = 0xda
const END = 0xd9
/** Start of a frame; the others of this range are tables. */
const isFrame = (marker: number): boolean =>
  marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)

/** Of a JPEG, as far as it can be read. What follows its end is no part of it. */
function* segmentsOf(bytes: Uint8Array): Generator<Segment> {
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

/** What it is drawn from, and how it lies. */
function jpegWithout(bytes: Uint8Array): Uint8Array | undefined {
  const segments = [...segmentsOf(bytes)]
  const scan = segments.findIndex(({ marker }) => marker === SCAN)
  if (scan < 0) return undefined
  const orientations = segments
    .filter(({ marker }) => marker === 0xe1)
    .map(({ at, end }) => orientationIn(bytes.subarray(at, end)))
  const drawn = ({ marker, at, end }: Segment): Uint8Array[] =>
    isDrawn(marker, bytes.subarray(at, end)) ? [bytes.subarray(at, end)] : []
  return joined([
    bytes.subarray(0, 2),
    ...segments.slice(0, scan).flatMap(drawn),
    orientationSegment(orientations.findLast(value => value != null) ?? 1),
    ...segments.slice(scan).flatMap(drawn),
    Uint8Array.of(0xff, END)
  ])
}

/** Not what somebody tells: of comments and applications only colours stay (JFIF, ICC, Adobe). */
function isDrawn(marker: number, segment: Uint8Array): boolean {
  if (marker === 0xe2) return begins(segment, ascii('ICC_PROFILE\0'), 4)
  return marker !== 0xfe && (marker < 0xe0 || marker > 0xef || marker === 0xe0 || marker === 0xee)
}

/** Of an Exif segment: a marker, its length, `Exif`, two zeros, and a TIFF header. */
function orientationIn(segment: Uint8Array): number | undefined {
  if (!begins(segment, ascii('Exif\0\0'), 4) || segment.length < 20) return undefined
  const tiff = segment.subarray(10)
  const view = viewOf(tiff)
  const isLittle = begins(tiff, ascii('II'))
  const first = view.getUint32(4, isLittle)
  if (first + 2 > tiff.length) return undefined
  const count = view.getUint16(first, isLittle)
  for (let i = 0; i < count; i++) {
    const at = first + 2 + 12 * i
    if (at + 12 > tiff.length) return undefined
    if (view.getUint16(at, isLittle) === ORIENTATION) return view.getUint16(at + 8, isLittle)
  }
  return undefined
}

/** Nothing where a picture lies as it is. */
function orientationSegment(value: number): Uint8Array {
  if (value < 2 || value > 8) return new Uint8Array()
  const tiff = [0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, value, 0, 0, 0, 0, 0, 0]
  return Uint8Array.from([0xff, 0xe1, 0, 8 + tiff.length, ...ascii('Exif\0\0'), ...tiff])
}

/** What is told beside a picture's own chunks and its colours goes, whatever it is called: critical ones are upper-case. */
const COLOURS = ['tRNS', 'gAMA', 'cHRM', 'sRGB', 'iCCP', 'sBIT', 'cICP', 'mDCV', 'cLLI', 'bKGD', 'pHYs']
const MOVING = ['acTL', 'fcTL', 'fdAT']
function pngWithout(bytes: Uint8Array): Uint8Array | undefined {
  const view = viewOf(bytes)
  const kept: Uint8Array[] = [bytes.subarray(0, 8)]
  for (let at = 8; at + 12 <= bytes.length; ) {
    const end = at + 12 + view.getUint32(at)
    if (end > bytes.length) return undefined
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8))
    if (/^[A-Z]/.test(name) || COLOURS.includes(name) || MOVING.includes(name))
      kept.push(bytes.subarray(at, end))
    at = end
    if (name === 'IEND') return joined(kept)
  }
  return undefined
}

const joined = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts))
