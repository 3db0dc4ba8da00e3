import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { UnknownNameError } from '../errors.ts'

export type Secrets = ReturnType<typeof createSecrets>

/** Keys of providers: files of the owner alone (0600), by names that the schema has looked at. */
export function createSecrets(folder: string) {
  const place = (name: string): string => join(folder, name)
  return {
    /** @throws {UnknownNameError} */
    async read(name: string): Promise<string> {
      try {
        return await readFile(place(name), 'utf8')
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
        throw new UnknownNameError(`there is no secret "${name}"; artel assistant secret ${name} KEY`)
      }
    },
    async set(name: string, value: string): Promise<void> {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      const draft = place(`.${name}.new`)
      await writeFile(draft, value, { mode: 0o600 })
      await chmod(draft, 0o600)
      await rename(draft, place(name))
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
