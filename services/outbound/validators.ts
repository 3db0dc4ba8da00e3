import type { Fetched, Validators } from './contract.ts'

/** Longer ones are no names of a version. */
const MAX_CHARS = 500
/** What was changed in the second in which it was given may have been changed again in it (RFC 9110, 8.8.2.2). */
const SURE_AFTER_MS = 1000

/** By what the host can be asked later whether this is still right; undefined where it said nothing that tells. */
export function validatorsOf(url: string, headers: Fetched['headers']): Validators | undefined {
  const { etag, 'last-modified': lastModified = '', date = '' } = headers
  if (etag != null && /^(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"$/.test(etag) && etag.length <= MAX_CHARS)
    return { url, etag }
  const age = Date.parse(date) - Date.parse(lastModified)
  return lastModified.length <= MAX_CHARS && age >= SURE_AFTER_MS ? { url, lastModified } : undefined
}

/** Headers by which the host gives `url` only where it is no longer what was known of it. */
export function conditionOf(url: string, known: Validators | undefined): Record<string, string> {
  // another page may have a version of the same name
  if (known == null || known.url !== url) return {}
  const { etag, lastModified } = known
  return {
    ...(etag == null ? {} : { 'if-none-match': etag }),
    ...(lastModified == null ? {} : { 'if-modified-since': lastModified })
  }
}
