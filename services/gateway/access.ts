/** Who asks, by a token or by a session of an account. */
export interface Grant {
  id: string
  scopes: readonly string[]
  /** ms since 1970 */
  expires?: number
  /** whose session it is; absent for a token */
  account?: { id: string; name: string; role: string }
}

/** Whether a grant has a scope. Everybody who is known may look after himself: `account`. */
export function allows({ scopes }: Pick<Grant, 'scopes'>, scope: string): boolean {
  return scope === 'account' || scopes.includes(scope) || scopes.includes('admin')
}
