import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { raceSignal } from 'race-signal'
import { checkWayOut } from '../../../bootstrap/way-out.ts'
import { readOwnFile } from '../../host/index.ts'
import type { Program } from './contract.ts'

const FOLDER = 'handlers'
const NAME = /^[\w-]{1,64}\.ts$/
const MAX_BYTES = 256 * 1024
/** Machines are not polled before: one that awaits for ever is left out, and none because the computer stood still for a while. */
const LOAD_MS = 30_000

export interface LoadedProgram {
  /** of its file, with the folder */
  name: string
  /** undefined: it cannot be used */
  run?: Program
  why?: string
}

/** The programs of the node's owner; each is of its user alone (600), as it does what the node can do. Never throws. */
export async function loadPrograms(folder: string, signal: AbortSignal): Promise<LoadedProgram[]> {
  const inTime = AbortSignal.any([signal, AbortSignal.timeout(LOAD_MS)])
  const files = await readdir(join(folder, FOLDER)).catch((error: NodeJS.ErrnoException) => error)
  if (files instanceof Error)
    return files.code === 'ENOENT' ? [] : [{ name: FOLDER, why: `${files.message}; no program runs` }]
  return Promise.all(
    files
      .filter(file => NAME.test(file))
      .sort()
      .map(async file => {
        const name = `${FOLDER}/${file}`
        const path = join(folder, name)
        try {
          // it may tell whom it likes, from its first line on
          checkWayOut()
          const text = await readOwnFile(path, MAX_BYTES)
          // one that has changed is another module
          const version = createHash('sha256').update(text).digest('hex')
          const { default: run } = await raceSignal(import(`${pathToFileURL(path)}?${version}`), inTime)
          if (typeof run !== 'function') return { name, why: `${path} has no function as its default` }
          return { name, run: run as Program }
        } catch (error) {
          return { name, why: `${path}: ${(error as Error).message}` }
        }
      })
  )
}
