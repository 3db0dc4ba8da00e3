import type { Grant } from '../../host/index.ts'
import { type Accounts, type Endings, SESSION_MARK, VISIT_MARK, type Visitors } from '../accounts/index.ts'
import type { Tokens } from './tokens.ts'

/** Every grant that there is: a token's, a session's, or a visitor's. */
export interface Grants {
  /** undefined for a text that is unknown or over */
  find(text: string): Grant | undefined
  /** aborted when a grant ends: for who serves somebody for long */
  ended(id: string): AbortSignal
  close(): void
}

/** Grants that are over by their time are ended this soon; those that are taken away are at once. */
const SWEEP_MS = 15_000

export function createGrants(
  tokens: Tokens,
  accounts: Accounts,
  visitors: Visitors,
  endings: Endings
): Grants {
  const byMark: Record<string, { holds(id: string): boolean }> = {
    [SESSION_MARK]: accounts,
    [VISIT_MARK]: visitors
  }
  const holds = (id: string): boolean => (byMark[id[0]!] ?? tokens).holds(id)
  const timer = setInterval(() => endings.sweep(holds), SWEEP_MS)
  return {
    find: text => tokens.find(text) ?? accounts.find(text) ?? visitors.find(text),
    ended: endings.signal,
    close: () => clearInterval(timer)
  }
}
