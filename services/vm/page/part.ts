import type { Question } from '../../host/page/confirm.tsx'
import type { Api, MachineDetails, PageProps } from './api.ts'
import type { Words } from './words.ts'

/** What each part of a machine's page works with. */
export interface PartProps {
  vm: string
  machine: MachineDetails
  api: Api
  words: Words
  listen: PageProps['listen']
  fail(what: string, error: unknown): void
  ask(question: Question): void
  /** Shows why it failed, where it does, and looks at the machine afterwards. */
  act(work: Promise<unknown>): Promise<void>
}
