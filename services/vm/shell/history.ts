import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'

/** Lines that are kept. */
const LINES = 1_000

/** What was typed before, oldest first; a file that has grown is cut. @throws Error of the file system */
export function readHistory(file: string): string[] {
  if (!existsSync(file)) return []
  const all = readFileSync(file, 'utf8').split('\n').filter(Boolean)
  const last = all.slice(-LINES)
  if (all.length > 2 * LINES) writeFileSync(file, `${last.join('\n')}\n`, { mode: 0o600 })
  return last
}

/** At once, so that a lost terminal loses nothing, and two of them keep both. @throws Error of the file system */
export function keepLine(file: string, line: string): void {
  appendFileSync(file, `${line}\n`, { mode: 0o600 })
}
