import { RequestError } from '../errors.ts'

/** What people with it may do: scopes as tokens have them. */
export interface Role {
  name: string
  scopes: readonly string[]
}

/** The role that cannot be changed: it may do everything, as the owner's token. */
export const ADMIN_ROLE = 'admin'
/** Pupils may do nothing but look after their own account, until a service gives them something. */
export const FIRST_ROLES: readonly Role[] = [
  { name: ADMIN_ROLE, scopes: ['admin'] },
  { name: 'teacher', scopes: ['read', 'submit'] },
  { name: 'pupil', scopes: [] }
]
const FORM = /^\p{Ll}[\p{Ll}\p{N}-]{0,31}$/u

/** @throws {RequestError} the name, a scope that there is none of, or the role that is fixed */
export function checkRole({ name, scopes }: Role, known: readonly string[]): void {
  if (!FORM.test(name))
    throw new RequestError(
      `a role is a word of 1 to 32 small letters, digits and hyphens, got ${JSON.stringify(name.slice(0, 50))}`
    )
  if (name === ADMIN_ROLE)
    throw new RequestError(`the role ${ADMIN_ROLE} may do everything and stays so; make another one`)
  const strange = scopes.find(scope => !known.includes(scope))
  if (strange != null)
    throw new RequestError(`there is no scope ${strange.slice(0, 50)}; there are ${known.join(', ')}`)
}
