import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { homeFolder } from '../home.ts'
import { ArtelError } from './errors.ts'
import type { Place } from './http.ts'

/** The data folder, as the node itself chooses it where nothing else is said. */
export function folderOf(data?: string): string {
  return data ?? process.env.ARTEL_DATA ?? homeFolder()
}

/** Where the node of a data folder serves its HTTP API; it writes both files when it starts. */
export async function findNode(folder: string): Promise<Place> {
  try {
    const [place, token] = await Promise.all(
      ['gateway.json', 'gateway-token'].map(name => readFile(join(folder, name), 'utf8'))
    )
    return { url: (JSON.parse(place!) as Place).url, token: token!.trim() }
  } catch (error) {
    throw new ArtelError(
      'ControlError',
      `no node with an HTTP API is running in ${folder}; start one with: artel start, or connect({ embedded: true })`,
      { cause: error }
    )
  }
}
