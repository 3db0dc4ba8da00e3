import { createContext, useContext } from 'react'
import type { Me } from '../../../../access/index.ts'
import type { PageName } from '../router.ts'

export const MeContext = createContext<Me | undefined>(undefined)

/** Who sits before the dashboard. */
export function useMe(): Me {
  const me = useContext(MeContext)
  if (me == null) throw new Error('useMe: outside of a MeContext')
  return me
}

export const may = ({ scopes }: Pick<Me, 'scopes'>, scope: string): boolean =>
  scopes.includes(scope) || scopes.includes('admin')

/** What a page asks for; pages that are not here ask for `read`. */
const SCOPES: Partial<Record<PageName, string>> = { compose: 'submit', accounts: 'admin' }

/** Pure. */
export function opens(me: Me, page: PageName): boolean {
  return page === 'account' ? me.account != null : may(me, SCOPES[page] ?? 'read')
}
