import type { Api, PageProps, RuleRow } from './api.ts'
import type { Words } from './words.ts'

/** What each part of the page works with. `fail` keeps its identity. */
export interface PartProps {
  api: Api
  words: Words
  listen: PageProps['listen']
  fail(error: Error): void
  /** undefined: not known yet */
  rules: RuleRow[] | undefined
  reloadRules(): Promise<void>
}
