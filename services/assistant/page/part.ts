import type { Api } from './api.ts'
import type { Words } from './words.ts'

/** What each part of the page works with. `fail` keeps its identity. */
export interface PartProps {
  api: Api
  words: Words
  fail(error: Error): void
}
