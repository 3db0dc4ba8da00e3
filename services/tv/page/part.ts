import type { Api } from './api.ts'
import type { Words } from './words.ts'

/** What each part of the page works with. `tell` and `fail` keep their identity. */
export interface PartProps {
  api: Api
  words: Words
  tell(text: string): void
  fail(error: Error): void
}

/** Nothing is told of what changes at a TV. */
export const EVERY_MS = 3_000

/** Lines that are not empty. */
export const linesOf = (text: string): string[] =>
  text
    .split('\n')
    .map(line => line.trim())
    .filter(Boolean)
