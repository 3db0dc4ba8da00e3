import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { ConfigError } from './errors.ts'
import { didYouMean } from './suggest.ts'

/*
 * `.env` in the data folder: variables as the environment has them, for whoever would rather keep a file. The names of the
 * messenger's guide mean here what they meant there.
 */

const LEVELS: Record<string, string> = { WARNING: 'warn', CRITICAL: 'error' }
/** as long as the hash that is made with it */
const MIN_SECRET_CHARS = 32
/** as the guide has it, for everybody to read */
const KNOWN_SECRET = /change-?(me|in)/i

/** What a name of the guide says in variables of a node. @throws {TypeError} what is wrong with it */
const GUIDE: Record<string, (value: string) => Record<string, string>> = {
  SERVER_HOST: value => ({ ARTEL_MESSENGER_LISTEN: 'true', ARTEL_MESSENGER_HOST: value }),
  SERVER_PORT: value => ({ ARTEL_MESSENGER_LISTEN: 'true', ARTEL_MESSENGER_PORT: value }),
  LOG_LEVEL: value => ({ ARTEL_LOG_LEVEL: LEVELS[value.toUpperCase()] ?? value.toLowerCase() }),
  DEBUG(value): Record<string, string> {
    return /^(true|1)$/i.test(value) ? { ARTEL_LOG_LEVEL: 'debug' } : {}
  },
  SECRET_KEY(value) {
    if (value.length < MIN_SECRET_CHARS || KNOWN_SECRET.test(value))
      throw new TypeError(
        `is known or short: leave it out, for a node makes its keys itself, or write ${MIN_SECRET_CHARS} characters that nobody knows`
      )
    return {}
  },
  DATABASE_URL(value) {
    if (!value.startsWith('sqlite:'))
      throw new TypeError(
        'names a database that a node does not use; leave it out: all is in its data folder'
      )
    return {}
  }
}

/** What an `.env` file says. */
interface EnvFile {
  /** of a node, with their values */
  variables: Record<string, string>
  /** variable → the name of the guide that stands for it */
  written: Record<string, string>
}

/**
 * The variables of an `.env` file, those of the guide translated; none where there is no such file. `known`: those of a node.
 *
 * @throws {ConfigError} it cannot be read, or says what nobody knows
 */
export function readEnvFile(file: string, known: ReadonlySet<string>): EnvFile {
  let given: Record<string, string | undefined>
  try {
    given = parseEnv(readFileSync(file, 'utf8').replace(/^\uFEFF/, ''))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { variables: {}, written: {} }
    throw new ConfigError(`cannot read ${file}: ${(error as Error).message}`)
  }
  const own: Record<string, string> = {}
  const translated: Record<string, string> = {}
  const written: Record<string, string> = {}
  for (const [name, value = ''] of Object.entries(given)) {
    if (known.has(name)) own[name] = value
    else if (Object.hasOwn(GUIDE, name)) {
      try {
        const variables = GUIDE[name]!(value)
        Object.assign(translated, variables)
        for (const variable of Object.keys(variables)) written[variable] = name
      } catch (error) {
        throw new ConfigError(`${name} in ${file} ${(error as Error).message}`)
      }
    } else
      throw new ConfigError(
        `${name} in ${file} is not a setting.${didYouMean(name, [...known, ...Object.keys(GUIDE)])} See: artel config`
      )
  }
  for (const name of Object.keys(own)) delete written[name]
  return { variables: { ...translated, ...own }, written }
}
