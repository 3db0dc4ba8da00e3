import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LoginError, UnknownRuleError } from './errors.ts'

export type Secrets = ReturnType<typeof createSecrets>

/** Files of the owner alone, by names that the schema has looked at: passwords, and cookies of who is logged in. */
export function createSecrets(folder: string) {
  const place = (name: string): string => join(folder, name)

  async function read(name: string): Promise<string | undefined> {
    try {
      return await readFile(place(name), 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  return {
    read,
    async set(name: string, value: string): Promise<void> {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      const made = place(`.${name}.new`)
      await writeFile(made, value, { mode: 0o600 })
      await chmod(made, 0o600)
      await rename(made, place(name))
    },
    remove: (name: string) => rm(place(name), { force: true }),
    async names(): Promise<string[]> {
      try {
        return (await readdir(folder)).filter(name => !name.startsWith('.')).sort()
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
        throw error
      }
    }
  }
}

export type Passwords = ReturnType<typeof createPasswords>

/**
 * What may be entered at one site alone, and keys that are never sent: whoever writes rules has the use of a password, and
 * not the password.
 */
export function createPasswords(folder: string) {
  const { read, set, remove, names } = createSecrets(folder)

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
