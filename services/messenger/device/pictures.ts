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
  if (bytes.length < 32) return undefined
  const view = viewOf(bytes)
  const fits = (width: number, height: number): boolean => width * height <= MAX_PIXELS
  if (begins(bytes, PNG_HEAD)) return fits(view.getUint32(16), view.getUint32(20)) ? 'image/png' : undefined
  if (begins(bytes, ascii('GIF87a')) || begins(bytes, ascii('GIF89a')))
    return fits(view.getUint16(6, true), view.getUint16(8, true)) ? 'image/gif' : undefined
  if (begins(bytes, [0xff, 0xd8, 0xff])) return 'image/jpeg'
  if (begins(bytes, ascii('RIFF')) && begins(bytes, ascii('WEBP'), 8)) return 'image/webp'
  return undefined
}

/** A picture without where, when and with what it was taken; anything else, and what is damaged, as it is. Pure. */
export function withoutMetadata(bytes: Uint8Array): Uint8Array {
  const type = pictureType(bytes)
  if (type === 'image/jpeg') return jpegWithout(bytes) ?? bytes
  if (type === 'image/png') return pngWithout(bytes) ?? bytes
  return bytes
}

/** Segments up to the picture itself; kept is how it lies. */
function jpegWithout(bytes: Uint8Array): Uint8Array | undefined {
  const view = viewOf(bytes)
  const kept: Uint8Array[] = [bytes.subarray(0, 2)]
  let orientation = 1
  for (let at = 2; at + 4 <= bytes.length; ) {
    if (bytes[at] !== 0xff) return undefined
    const marker = bytes[at + 1]!
    // the picture begins: nothing is told after it
    if (marker === 0xda) return joined([...kept, orientationSegment(orientation), bytes.subarray(at)])
    const end = at + 2 + view.getUint16(at + 2)
    if (end > bytes.length) return undefined
    const segment = bytes.subarray(at, end)
    if (marker === 0xe1) orientation = orientationIn(segment) ?? orientation
    // colours (APP0, APP2, APP14) stay
    const isTold =
      marker === 0xfe || (marker >= 0xe0 && marker <= 0xef && ![0xe0, 0xe2, 0xee].includes(marker))
    if (!isTold) kept.push(segment)
    at = end
  }
  return undefined
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

const TOLD = ['eXIf', 'tEXt', 'iTXt', 'zTXt', 'tIME']
function pngWithout(bytes: Uint8Array): Uint8Array | undefined {
  const view = viewOf(bytes)
  const kept: Uint8Array[] = [bytes.subarray(0, 8)]
  for (let at = 8; at + 12 <= bytes.length; ) {
    const end = at + 12 + view.getUint32(at)
    if (end > bytes.length) return undefined
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8))
    if (!TOLD.includes(name)) kept.push(bytes.subarray(at, end))
    at = end
    if (name === 'IEND') return joined(kept)
  }
  return undefined
}

const joined = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts))
