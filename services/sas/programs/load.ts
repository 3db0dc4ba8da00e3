import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { readOwnFile } from '../../host/index.ts'
import type { Program } from './contract.ts'

const FOLDER = 'handlers'
const NAME = /^[\w-]{1,64}\.ts$/
const MAX_BYTES = 256 * 1024

export interface LoadedProgram {
  /** of its file, with the folder */
  name: string
  /** undefined: it cannot be used */
  run?: Program
  why?: string
}

/** The programs of the node's owner; each is of its user alone (600), as it does what the node can do. Never throws for one. */
export async function loadPrograms(folder: string): Promise<LoadedProgram[]> {
  const files = await readdir(join(folder, FOLDER)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  return Promise.all(
    files
      .filter(file => NAME.test(file))
      .sort()
      .map(async file => {
        const name = `${FOLDER}/${file}`
        const path = join(folder, name)
        try {
          const text = await readOwnFile(path, MAX_BYTES)
          // one that has changed is another module
          const version = createHash('sha256').update(text).digest('hex')
          const { default: run } = await import(`${pathToFileURL(path)}?${version}`)
          if (typeof run !== 'function') return { name, why: `${path} has no function as its default` }
          return { name, run: run as Program }
        } catch (error) {
          return { name, why: `${path}: ${(error as Error).message}` }
        }
      })
  )
}
