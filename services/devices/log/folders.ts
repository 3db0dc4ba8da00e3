import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { ChainId } from './entry.ts'
import { keyOf } from './keys.ts'

/** What fifteen digits hold. */
export const MAX_CHAIN_NUMBER = 10 ** 15 - 1

/** logs/<agent>/<number>: where a chain is. */
export const folderOf = (folder: string, { agent, number }: ChainId): string =>
  join(folder, 'logs', agent, String(number))

/** Chains that have a folder. */
export async function chainsIn(folder: string): Promise<ChainId[]> {
  const found: ChainId[] = []
  for (const agent of await names(join(folder, 'logs'))) {
    try {
      keyOf(agent)
    } catch {
      // somebody's own folder
      continue
    }
    for (const number of await names(join(folder, 'logs', agent)))
      if (/^\d{1,15}$/.test(number)) found.push({ agent, number: Number(number) })
  }
  return found
}

async function names(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
