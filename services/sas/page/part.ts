import type { Api } from './api.ts'
import type { Words } from './words.ts'

/** What each part of the page works with. `fail` keeps its identity. */
export interface PartProps {
  api: Api
  words: Words
  fail(error: Error): void
}

/** Nothing is told of what changes at a machine. */
export const EVERY_MS = 3_000
