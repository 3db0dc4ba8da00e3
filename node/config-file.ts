import { randomBytes } from 'node:crypto'
import { open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { syncFolder } from '../bootstrap/files.ts'
import { changedConfig, settingOf } from './config.ts'
import { ConfigError } from './errors.ts'
import { parseJson } from './json-text.ts'
import type { Config } from './settings.ts'

/** The settings of a running node, which its owner can change; a change is kept in `file`. */
export function createLiveConfig(initial: Config, file: string, apply: (config: Config) => void) {
  let config = initial
  let last: Promise<unknown> = Promise.resolve()

  async function change(patch: Record<string, unknown>): Promise<void> {
    const changed = changedConfig(config, patch)
    await keepSettings(file, changed, patch)
    config = changed
    apply(config)
  }

  return {
    get current(): Config {
      return config
    },
    /**
     * Checks, keeps and applies all of the patch or nothing: setting (dotted path) → value, null for its default.
     *
     * @throws {ConfigError}
     */
    configure(patch: Record<string, unknown>): Promise<void> {
      // one after the other, so that no change is written over
      const done = last.then(() => change(patch))
      // who asked for it is told
      last = done.catch(() => undefined)
      return done
    }
  }
}

export type LiveConfig = ReturnType<typeof createLiveConfig>

const settingIn = (config: Config, name: string): unknown =>
  settingOf(name).path.reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], config)

/**
 * Writes the settings of the patch, as they are in the checked `config`, into a config file, takes out those that are
 * null, and leaves the other keys as they are. The file is replaced as a whole, so that
 * a crash leaves the old one or the new one; only its owner can read it.
 *
 * @throws {ConfigError} it cannot be read or written
 */
export async function keepSettings(
  file: string,
  config: Config,
  patch: Record<string, unknown>
): Promise<void> {
  const settings = await read(file)
  for (const [name, value] of Object.entries(patch))
    put(settings, settingOf(name).path, value === null ? undefined : settingIn(config, name))
  const temporary = `${file}.${randomBytes(4).toString('hex')}`
  try {
    const handle = await open(temporary, 'wx', 0o600)
    try {
      await handle.writeFile(`${JSON.stringify(settings, null, 2)}\n`)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, file)
    await syncFolder(dirname(file))
  } catch (error) {
    await rm(temporary, { force: true })
    throw new ConfigError(`cannot write the config file ${file}: ${(error as Error).message}`)
  }
}

async function read(file: string): Promise<Record<string, unknown>> {
  try {
    return parseJson(await readFile(file, 'utf8')) as Record<string, unknown>
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw new ConfigError(`cannot read the config file ${file}: ${(error as Error).message}`)
  }
}

function put(settings: Record<string, unknown>, [key, ...rest]: string[], value: unknown): void {
  if (rest.length > 0) {
    settings[key!] ??= {}
    put(settings[key!] as Record<string, unknown>, rest, value)
  } else if (value === undefined) delete settings[key!]
  else settings[key!] = value
}
