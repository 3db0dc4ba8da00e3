import type { Bytes } from '../host/index.ts'
import { FileRangeError } from './errors.ts'
import { contentDisposition } from './names.ts'
import type { Range } from './read.ts'

/** What a browser shows by itself and that runs nothing. SVG and HTML are not among them. */
const PREVIEWS: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  gif: 'image/gif',
  webp: 'image/webp',
  avif: 'image/avif',
  txt: 'text/plain; charset=utf-8',
  md: 'text/plain; charset=utf-8',
  csv: 'text/plain; charset=utf-8',
  json: 'text/plain; charset=utf-8',
  log: 'text/plain; charset=utf-8'
}

/**
 * Bytes `a-b`, `a-` or `-n` of a file of `size` bytes (RFC 9110, 14.1.2). Undefined where all of it is to be sent: no
 * range, one of another unit, or several.
 *
 * @throws {FileRangeError} it begins behind the end
 */
export function readRange(header: string | undefined, size: number): Range | undefined {
  const [, first, last] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '') ?? []
  if (first == null || (first === '' && last === '')) return undefined
  const [start, end] =
    first === ''
      ? [Math.max(0, size - Number(last)), size]
      : [Number(first), last === '' ? size : Number(last) + 1]
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined
  if (start >= size) throw new FileRangeError(`bytes from ${start} on; the file has ${size}`)
  return { start, end: Math.min(end, size) }
}

/** The type under which a file may be looked at in a browser, or undefined: it is only to be kept. */
export const previewType = (name: string): string | undefined =>
  PREVIEWS[name.slice(name.lastIndexOf('.') + 1).toLowerCase()]

/**
 * An answer with bytes of strangers. Whatever a browser takes them for, it runs nothing of them in our name: the policy
 * gives them an origin of their own without scripts, and their type is not guessed.
 */
export function answerBytes(init: {
  cid: string
  name: string
  size: number
  range?: Range
  chunks: AsyncIterable<Uint8Array>
  isPreview: boolean
}): Bytes {
  const { cid, name, size, range, chunks } = init
  const type = init.isPreview ? previewType(name) : undefined
  return {
    chunks,
    size: range == null ? size : range.end - range.start,
    ...(range == null ? {} : { status: 206 }),
    type: type ?? 'application/octet-stream',
    headers: {
      ...headersOf(cid),
      'content-disposition': contentDisposition(type == null ? 'attachment' : 'inline', name),
      ...(range == null ? {} : { 'content-range': `bytes ${range.start}-${range.end - 1}/${size}` })
    }
  }
}

/** The client has it already (RFC 9110, 13.1.2). */
export function answerUnchanged(cid: string): Bytes {
  return { chunks: nothing(), size: 0, status: 304, headers: headersOf(cid) }
}

export const isUnchanged = (ifNoneMatch: string | undefined, cid: string): boolean =>
  ifNoneMatch != null &&
  (ifNoneMatch === '*' || ifNoneMatch.split(',').some(tag => tag.trim().replace(/^W\//, '') === `"${cid}"`))

const headersOf = (cid: string): Record<string, string> => ({
  etag: `"${cid}"`,
  'accept-ranges': 'bytes',
  'cache-control': 'private, no-cache',
  'content-security-policy': "sandbox; default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'cross-origin-resource-policy': 'same-origin'
})

async function* nothing(): AsyncGenerator<Uint8Array> {}
