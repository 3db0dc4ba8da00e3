import type { Grant } from '../../host/index.ts'
import { type Accounts, type Endings, SESSION_MARK } from '../accounts/index.ts'
import type { Tokens } from './tokens.ts'

/** Every grant that there is: a token's or a session's. */
export interface Grants {
  /** undefined for a text that is unknown or over */
  find(text: string): Grant | undefined
  /** aborted when a grant ends: for who serves somebody for long */
  ended(id: string): AbortSignal
  close(): void
}

/** Grants that are over by their time are ended this soon; those that are taken away are at once. */
const SWEEP_MS = 15_000

export function createGrants(tokens: Tokens, accounts: Accounts, endings: Endings): Grants {
  const holds = (id: string): boolean => (id.startsWith(SESSION_MARK) ? accounts : tokens).holds(id)
  const timer = setInterval(() => endings.sweep(holds), SWEEP_MS)
  return {
    find: text => tokens.find(text) ?? accounts.find(text),
    ended: endings.signal,
    close: () => clearInterval(timer)
  }
}
