import { type Accounts, type Endings, SESSION_MARK } from './accounts/index.ts'
import type { Tokens } from './tokens.ts'

/** Who asks, by a token or by a session of an account. */
export interface Grant {
  id: string
  scopes: readonly string[]
  /** ms since 1970 */
  expires?: number
  /** whose session it is; absent for a token */
  account?: { id: string; name: string; role: string }
}

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

/** Whether a grant has a scope. Everybody who is known may look after himself: `account`. */
export function allows({ scopes }: Pick<Grant, 'scopes'>, scope: string): boolean {
  return scope === 'account' || scopes.includes(scope) || scopes.includes('admin')
}
