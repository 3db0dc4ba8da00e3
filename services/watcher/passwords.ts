import type { Secrets } from '../host/index.ts'
import { LoginError, UnknownRuleError } from './errors.ts'

export type Passwords = ReturnType<typeof createPasswords>

/**
 * What may be entered at one site alone, and keys that are never sent: whoever writes rules has the use of a password, and
 * not the password.
 */
export function createPasswords({ read, set, remove, names }: Secrets) {
  async function find(name: string): Promise<{ value: string; site?: string }> {
    const text = await read(name)
    if (text == null) throw new UnknownRuleError(`there is no secret "${name}"; artel watch secret ${name}`)
    return JSON.parse(text)
  }

  return {
    /** @param site origin of the login that it is for; none: a key for signatures, or of the mail server */
    set: (name: string, value: string, site?: string) => set(name, JSON.stringify({ value, site })),
    remove,
    names,

    /** What is taken out of pages. @throws {UnknownRuleError} */
    values: (all: readonly string[]): Promise<string[]> =>
      Promise.all(all.map(async name => (await find(name)).value)),

    /** @throws {UnknownRuleError} also for the password of a login, which signs nothing */
    async key(name: string): Promise<string> {
      const { value, site } = await find(name)
      if (site != null) throw new UnknownRuleError(`the secret "${name}" is for the login at ${site} only`)
      return value
    },

    /** @throws {UnknownRuleError} @throws {LoginError} it is for another site, or for none */
    async forLogin(name: string, url: string): Promise<string> {
      const { value, site } = await find(name)
      const { origin } = new URL(url)
      if (site === origin) return value
      throw new LoginError(
        `the secret "${name}" is ${site == null ? 'for no login' : `for ${site}`}, not for ${origin}: artel watch secret ${name} VALUE --site ${origin}`
      )
    }
  }
}
