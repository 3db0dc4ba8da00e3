import { createRequire } from 'node:module'
import type { RE2JS } from 're2js'

/** Patterns that were read, the oldest first. */
const read = new Map<string, RE2JS>()
const MOST_READ = 256
/** Of a text of strangers, who could write all of a page into one field. */
const MOST_CHARS = 10_000

/**
 * Whether a pattern stands somewhere in a text, of which the first 10,000 characters are read. In the syntax of RE2, which
 * takes time by the length of the text alone: who is told is decided in this process, and not behind walls.
 *
 * @throws {RangeError} it is no pattern; says why
 */
export function stands(pattern: string, text: string): boolean {
  return patternOf(pattern).matcher(text.slice(0, MOST_CHARS)).find()
}

function patternOf(pattern: string): RE2JS {
  const known = read.get(pattern)
  if (known != null) return known
  // most subscriptions have none, and it takes some MB
  const { RE2JS } = createRequire(import.meta.url)('re2js') as typeof import('re2js')
  let compiled: RE2JS
  try {
    compiled = RE2JS.compile(pattern)
  } catch (error) {
    throw new RangeError(`the pattern "${pattern}": ${(error as Error).message}`)
  }
  if (read.size === MOST_READ) read.delete(read.keys().next().value!)
  read.set(pattern, compiled)
  return compiled
}
