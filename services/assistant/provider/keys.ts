import type { Secrets } from '../../host/index.ts'
import { UnknownNameError } from '../errors.ts'

export type Keys = ReturnType<typeof createKeys>

/** Keys of providers and bots: files of the owner, each read once, since every call needs one. */
export function createKeys({ read, set, remove, names }: Secrets) {
  const known = new Map<string, string>()

  return {
    names,
    /** @throws {UnknownNameError} */
    async read(name: string): Promise<string> {
      const key = known.get(name) ?? (await read(name))?.trim()
      if (key == null)
        throw new UnknownNameError(`there is no secret "${name}"; artel assistant secret ${name} KEY`)
      known.set(name, key)
      return key
    },
    /** @param key empty: it is forgotten */
    async set(name: string, key: string): Promise<void> {
      if (key === '') await remove(name)
      else await set(name, key)
      known.delete(name)
    }
  }
}
