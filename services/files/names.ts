import { readCid } from './cid.ts'
import { FileNameError } from './errors.ts'

/** What ext4 and most others allow for one name. */
const MAX_NAME_BYTES = 255
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/
const LONE_SURROGATE = /\p{Surrogate}/u

/**
 * Checks one name of a file or folder, as a stranger may have given it: it must be one step of a path on any system.
 *
 * @throws {FileNameError}
 */
export function checkName(name: string): string {
  const fault = faultOf(name)
  if (fault == null) return name
  throw new FileNameError(`the name ${JSON.stringify(name.slice(0, 60))} ${fault}`)
}

function faultOf(name: string): string | undefined {
  if (name.length > MAX_NAME_BYTES || Buffer.byteLength(name) > MAX_NAME_BYTES)
    return `has more than ${MAX_NAME_BYTES} bytes`
  if (name === '' || name === '.' || name === '..') return 'is the name of no file'
  if (/[/\\]/.test(name)) return 'has a slash in it'
  if (CONTROL.test(name)) return 'has a control character in it'
  if (LONE_SURROGATE.test(name)) return 'is not Unicode'
  return undefined
}

/**
 * Checks a name that the owner gives; it must not look like a CID, or nobody could tell them apart.
 *
 * @throws {FileNameError}
 */
export function checkOwnName(name: string): string {
  if (readCid(checkName(name)) != null)
    throw new FileNameError(`the name ${name} is a CID; give another with --name`)
  return name
}

/**
 * A Content-Disposition header for a name (RFC 6266, RFC 8187): a plain form with nothing but harmless ASCII, and the
 * whole name percent-encoded.
 */
export function contentDisposition(kind: 'inline' | 'attachment', name: string): string {
  const plain = name.replace(/[^ -~]|["\\%]/g, '_')
  const whole = encodeURIComponent(name.toWellFormed()).replace(
    /['()*]/g,
    letter => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`
  )
  return `${kind}; filename="${plain}"; filename*=UTF-8''${whole}`
}
