import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { TvRequestError } from '../errors.ts'
import { BASE } from './base.ts'
import { type Profile, profileSchema } from './profile.ts'

/**
 * Profiles of models that the owner put into `profiles/*.json` of the service's folder; what they do not say is as
 * `BASE` says.
 *
 * @throws {TvRequestError} a file that is none, by name
 */
export async function loadProfiles(folder: string): Promise<(Profile & { model: string })[]> {
  const path = join(folder, 'profiles')
  const files = await readdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  return Promise.all(
    files
      .filter(name => name.endsWith('.json'))
      .sort()
      .map(async name => {
        try {
          const { model, gather, readings, steps, screen } = profileSchema.parse(
            JSON.parse(await readFile(join(path, name), 'utf8'))
          )
          for (const { match } of Object.values(readings ?? {})) new RegExp(match, 'm')
          return {
            model,
            gather: gather ?? BASE.gather,
            readings: gather == null ? { ...BASE.readings, ...readings } : (readings ?? {}),
            steps: steps ?? {},
            screen: screen ?? BASE.screen
          }
        } catch (error) {
          throw new TvRequestError(`${join(path, name)} is no profile: ${(error as Error).message}`)
        }
      })
  )
}
