import { heifWithout } from './heif.ts'
import { ascii, begins, END, SCAN, type Segment, segmentsOf, typeOf, viewOf } from './pictures.ts'

/* What somebody tells in a picture beside it. */

const ORIENTATION = 0x0112

/** A picture without where, when and with what it was taken; anything else, and what is damaged, as it is. Pure. */
export function withoutMetadata(bytes: Uint8Array): Uint8Array {
  const type = typeOf(bytes)
  if (type === 'image/jpeg') return jpegWithout(bytes) ?? bytes
  if (type === 'image/png') return pngWithout(bytes) ?? bytes
  if (type === 'image/webp') return webpWithout(bytes) ?? bytes
  if (type === 'image/gif') return gifWithout(bytes) ?? bytes
  return heifWithout(bytes) ?? bytes
}

/** What it is drawn from, and how it lies. */
function jpegWithout(bytes: Uint8Array): Uint8Array | undefined {
  const segments = [...segmentsOf(bytes)]
  const scan = segments.findIndex(({ marker }) => marker === SCAN)
  if (scan < 0) return undefined
  const orientations = segments
    .filter(({ marker }) => marker === 0xe1)
    .map(({ at, end }) => exifIn(bytes.subarray(at, end)))
  const drawn = ({ marker, at, end }: Segment): Uint8Array[] =>
    isDrawn(marker, bytes.subarray(at, end)) ? [bytes.subarray(at, end)] : []
  return joined([
    bytes.subarray(0, 2),
    ...segments.slice(0, scan).flatMap(drawn),
    orientationSegment(orientations.findLast(value => value != null)),
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
const exifIn = (segment: Uint8Array): number | undefined =>
  begins(segment, ascii('Exif\0\0'), 4) ? orientationIn(segment.subarray(10)) : undefined

function orientationIn(tiff: Uint8Array): number | undefined {
  if (tiff.length < 10) return undefined
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

/** A TIFF header that says nothing but how a picture lies; undefined where it lies as it is. */
const tiffOf = (orientation = 1): number[] | undefined =>
  orientation < 2 || orientation > 8
    ? undefined
    : [0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, ...Array(6).fill(0)]

function orientationSegment(orientation: number | undefined): Uint8Array {
  const tiff = tiffOf(orientation)
  return tiff == null
    ? new Uint8Array()
    : Uint8Array.from([0xff, 0xe1, 0, 8 + tiff.length, ...ascii('Exif\0\0'), ...tiff])
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
    const name = nameAt(bytes, at + 4)
    if (/^[A-Z]/.test(name) || COLOURS.includes(name) || MOVING.includes(name))
      kept.push(bytes.subarray(at, end))
    at = end
    if (name === 'IEND') return joined(kept)
  }
  return undefined
}

interface Chunk {
  name: string
  /** its content */
  at: number
  end: number
  /** of the next */
  next: number
}
/** Of a RIFF file, or of a frame in one; undefined: damaged. */
function chunksIn(bytes: Uint8Array, from: number, end: number): Chunk[] | undefined {
  const view = viewOf(bytes)
  const chunks: Chunk[] = []
  for (let at = from; at < end; ) {
    if (at + 8 > end) return undefined
    const size = view.getUint32(at + 4, true)
    const next = at + 8 + size + (size & 1)
    if (next > end) return undefined
    chunks.push({ name: nameAt(bytes, at), at: at + 8, end: at + 8 + size, next })
    at = next
  }
  return chunks
}
const chunkOf = (name: string, content: Uint8Array): Uint8Array[] => [
  Uint8Array.from(ascii(name)),
  littleEndian(content.length),
  content,
  new Uint8Array(content.length & 1)
]
/** RFC 9649: of its chunks those that draw, and how it lies. */
const WEBP_DRAWN = ['VP8 ', 'VP8L', 'ALPH', 'ANIM', 'ICCP']
const WEBP_EXIF = 0x08
const WEBP_XMP = 0x04
/** of a frame, before the chunks that draw it */
const FRAME_HEAD_BYTES = 16
function webpWithout(bytes: Uint8Array): Uint8Array | undefined {
  const end = 8 + viewOf(bytes).getUint32(4, true)
  const chunks = end > bytes.length ? undefined : chunksIn(bytes, 12, end)
  if (chunks == null) return undefined
  const about = chunks.find(({ name }) => name === 'EXIF')
  const told = about == null ? undefined : bytes.subarray(about.at, about.end)
  const tiff = tiffOf(told && orientationIn(begins(told, ascii('Exif\0\0')) ? told.subarray(6) : told))
  const kept: Uint8Array[] = [Uint8Array.from(ascii('WEBP'))]
  for (const { name, at, end, next } of chunks) {
    if (name === 'VP8X') {
      const head = bytes.slice(at, end)
      head[0] = (head[0]! & ~WEBP_XMP & ~WEBP_EXIF) | (tiff == null ? 0 : WEBP_EXIF)
      kept.push(...chunkOf(name, head))
    } else if (name === 'ANMF') {
      const inside = chunksIn(bytes, at + FRAME_HEAD_BYTES, end)
      if (inside == null) return undefined
      const drawn = inside.filter(each => WEBP_DRAWN.includes(each.name))
      const parts = drawn.map(each => bytes.subarray(each.at - 8, each.next))
      kept.push(...chunkOf(name, joined([bytes.subarray(at, at + FRAME_HEAD_BYTES), ...parts])))
    } else if (WEBP_DRAWN.includes(name)) kept.push(bytes.subarray(at - 8, next))
  }
  if (tiff != null) kept.push(...chunkOf('EXIF', Uint8Array.from(tiff)))
  const inside = joined(kept)
  return joined([Uint8Array.from(ascii('RIFF')), littleEndian(inside.length), inside])
}

const GIF_IMAGE = 0x2c
const GIF_EXTENSION = 0x21
const GIF_CONTROL = 0xf9
const GIF_APPLICATION = 0xff
const GIF_TRAILER = 0x3b
/** How often a moving picture begins anew; what other applications add goes, and so do comments. */
const LOOP = [GIF_EXTENSION, GIF_APPLICATION, 11, ...ascii('NETSCAPE2.0'), 3, 1]
/** GIF89a: its head, colours, images and how long each is seen. */
function gifWithout(bytes: Uint8Array): Uint8Array | undefined {
  /** bytes of a table of colours that these flags promise */
  const tableBytes = (flags: number): number => ((flags & 0x80) === 0 ? 0 : 3 * 2 ** ((flags & 7) + 1))
  /** behind blocks that each tell their length; 0 ends them */
  function blocksEnd(from: number): number {
    let at = from
    while (at < bytes.length && bytes[at] !== 0) at += 1 + bytes[at]!
    return at + 1
  }
  let at = 13 + tableBytes(bytes[10]!)
  const kept: Uint8Array[] = [bytes.subarray(0, at)]
  // of the image that follows
  let control: Uint8Array[] = []
  while (at < bytes.length) {
    if (bytes[at] === GIF_TRAILER) return joined([...kept, Uint8Array.of(GIF_TRAILER)])
    const isImage = bytes[at] === GIF_IMAGE
    if (!isImage && bytes[at] !== GIF_EXTENSION) return undefined
    const end = blocksEnd(isImage ? at + 11 + tableBytes(bytes[at + 9] ?? 0) : at + 2)
    if (end > bytes.length) return undefined
    if (isImage) kept.push(...control, bytes.subarray(at, end))
    else if (begins(bytes, LOOP, at)) kept.push(Uint8Array.of(...bytes.subarray(at, at + LOOP.length + 2), 0))
    const isControl = !isImage && bytes[at + 1] === GIF_CONTROL
    if (isControl) control = [bytes.subarray(at, end)]
    else if (isImage || bytes[at + 1] === 1) control = []
    at = end
  }
  return undefined
}

const nameAt = (bytes: Uint8Array, at: number): string => String.fromCharCode(...bytes.subarray(at, at + 4))
function littleEndian(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  viewOf(bytes).setUint32(0, value, true)
  return bytes
}

const joined = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts))
