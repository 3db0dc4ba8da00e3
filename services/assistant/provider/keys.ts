import type { Secrets } from '../../host/index.ts'
import { UnknownNameError } from '../errors.ts'

export type Keys = ReturnType<typeof createKeys>

/** Keys of providers and bots: files of the owner, each read once, since every call needs one. */
export function createKeys({ read, set, remove, names }: Secrets) {
  // what is being read is here already, so that a key which is set meanwhile is not followed by the one before it
  const known = new Map<string, Promise<string>>()

  async function readFile(name: string): Promise<string> {
    const key = (await read(name))?.trim()
    if (key == null)
      throw new UnknownNameError(`there is no secret "${name}"; artel assistant secret ${name} KEY`)
    return key
  }

  return {
    names,
    /** @throws {UnknownNameError} */
    async read(name: string): Promise<string> {
      const key = known.get(name) ?? readFile(name)
      known.set(name, key)
      try {
        return await key
      } catch (error) {
        // it may be there the next time
        if (known.get(name) === key) known.delete(name)
        throw error
      }
    },
    /** @param key empty: it is forgotten */
    async set(name: string, key: string): Promise<void> {
      if (key === '') await remove(name)
      else await set(name, key)
      known.delete(name)
    }
  }
}
