import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { syncFolder } from '../../bootstrap/files.ts'
import type { Secrets } from './contract.ts'

/** Files of the owner alone (0600) in `folder`, made when the first is written. */
export function createSecrets(folder: string): Secrets {
  const place = (name: string): string => join(folder, name)
  return {
    read: async name =>
      readFile(place(name), 'utf8').catch(error => {
        if (error.code === 'ENOENT') return undefined
        throw error
      }),
    async set(name, value) {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      const draft = place(`.${name}.new`)
      await writeFile(draft, value, { mode: 0o600, flush: true })
      await chmod(draft, 0o600)
      await rename(draft, place(name))
      await syncFolder(folder)
    },
    remove: name => rm(place(name), { force: true }),
    async names() {
      const all = await readdir(folder).catch(error => {
        if (error.code === 'ENOENT') return []
        throw error
      })
      return all.filter(name => !name.startsWith('.')).sort()
    }
  }
}
