import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { UnknownRuleError } from './errors.ts'

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
    /** @throws {UnknownRuleError} */
    async get(name: string): Promise<string> {
      const value = await read(name)
      if (value == null)
        throw new UnknownRuleError(`there is no secret "${name}"; artel watch secret ${name}`)
      return value
    },
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
