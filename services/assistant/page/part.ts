import type { Api } from './api.ts'
import type { Words } from './words.ts'

/** Nothing is told of what changes with every question. */
export const REFRESH_MS = 5_000

/** What each part of the page works with. `fail` keeps its identity. */
export interface PartProps {
  api: Api
  words: Words
  fail(error: Error): void
}
