import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { z } from 'zod'
import { readEnvFile } from './env-file.ts'
import { ConfigError } from './errors.ts'
import { parseJson } from './json-text.ts'
import { type Config, configSchema, SETTINGS, type Setting } from './settings.ts'
import { didYouMean } from './suggest.ts'

/** Read by others than `loadConfig`: the CLI (stacks) and the place of the file itself. */
const FOREIGN_VARIABLES = ['ARTEL_DEBUG', 'ARTEL_CONFIG']

const BY_VARIABLE = new Map(SETTINGS.map(setting => [setting.environment, setting]))
/** the folder that it stands in is known by then */
const IN_ENV_FILE = new Set([...BY_VARIABLE.keys()].filter(name => name !== 'ARTEL_DATA'))

export interface ConfigSources {
  /** JSON file; default: ARTEL_CONFIG, else config.json in the data folder if there is one */
  file?: string
  /** default: process.env */
  environment?: Record<string, string | undefined>
  /** settings by their dotted path (`limits.maxConnections`), as text or as value */
  flags?: Record<string, unknown>
  /** what a command takes where nothing else says anything, below the file */
  defaults?: Record<string, unknown>
}

/** Where a value came from, for messages. */
type Origins = Map<string, string>

/**
 * Composes defaults, file, `.env` in the data folder, environment and flags; later ones win. Unknown keys are refused. The
 * result is frozen.
 *
 * @throws {ConfigError} names the source, the key, the value and what to do
 */
export function loadConfig({
  file,
  environment = process.env,
  flags = {},
  defaults = {}
}: ConfigSources = {}): Config {
  const origins: Origins = new Map()
  const data = dataFolder((flags.data ?? environment.ARTEL_DATA) as string | undefined)
  const above: Record<string, unknown> = {}
  const envFile = join(data, '.env')
  const { variables, written } = readEnvFile(envFile, IN_ENV_FILE)
  readEnvironment(above, variables, origins, name => `${written[name] ?? name} in ${envFile}`)
  readEnvironment(above, environment, origins)
  for (const setting of SETTINGS) {
    const value = flags[setting.path.join('.')]
    if (value !== undefined) put(above, setting, value, setting.flag, origins)
  }
  const content = readFile(file ?? environment.ARTEL_CONFIG, join(data, 'config.json'))
  return check(merge(merge(defaults, content.settings), above), content.file, origins)
}

/** The data folder that was named, or the usual one. */
export const dataFolder = (named: string | undefined): string => named ?? configSchema.parse({}).data

/**
 * The configuration with a change: setting (dotted path) → value, null for its default.
 *
 * @throws {ConfigError} names the setting, the value and what to do
 */
export function changedConfig(config: Config, patch: Record<string, unknown>): Config {
  const changed = structuredClone(config) as Record<string, unknown>
  for (const [name, value] of Object.entries(patch)) {
    const setting = settingOf(name)
    if (name === 'data') throw new ConfigError('data: a running node stays in its folder; stop it first')
    put(changed, setting, value === null ? undefined : value, 'the change', new Map())
  }
  return check(changed, 'the change', new Map())
}

/** @throws {ConfigError} there is no such setting */
export function settingOf(name: string): Setting {
  const known = SETTINGS.find(({ path }) => path.join('.') === name)
  if (known != null) return known
  const guess = didYouMean(
    name,
    SETTINGS.map(({ path }) => path.join('.'))
  )
  throw new ConfigError(`"${name}" is not a setting.${guess} See: artel config`)
}

function check(settings: Record<string, unknown>, file: string, origins: Origins): Config {
  const parsed = configSchema.safeParse(settings, { reportInput: true })
  if (parsed.success) return freeze(parsed.data)
  throw new ConfigError(explain(parsed.error.issues[0]!, file, origins))
}

/** The settings as rows for `artel config` and the documentation. */
export function settingsTable(config?: Config): { setting: Setting; value: unknown }[] {
  return SETTINGS.map(setting => ({
    setting,
    value:
      config == null
        ? setting.default
        : setting.path.reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], config)
  }))
}

function readEnvironment(
  into: Record<string, unknown>,
  environment: ConfigSources['environment'],
  origins: Origins,
  sourceOf = (name: string): string => name
) {
  for (const [name, value] of Object.entries(environment ?? {})) {
    if (!name.startsWith('ARTEL_') || FOREIGN_VARIABLES.includes(name) || value == null) continue
    const setting = BY_VARIABLE.get(name)
    if (setting == null) {
      const guess = didYouMean(name, [...BY_VARIABLE.keys(), ...FOREIGN_VARIABLES])
      throw new ConfigError(`the environment variable ${name} is not a setting.${guess} See: artel config`)
    }
    put(into, setting, value, sourceOf(name), origins)
  }
}

function put(
  into: Record<string, unknown>,
  setting: Setting,
  value: unknown,
  origin: string,
  origins: Origins
): void {
  const parents = setting.path.slice(0, -1)
  const parent = parents.reduce((at, key) => {
    at[key] ??= {}
    return at[key] as Record<string, unknown>
  }, into)
  parent[setting.path.at(-1)!] = typeof value === 'string' ? fromText(setting, value) : value
  origins.set(setting.path.join('.'), origin)
}

/** Text that is not of the type stays text, and the schema says what is wrong with it. */
function fromText({ type }: Setting, text: string): unknown {
  if (type === 'list') return text === '' ? [] : text.split(',').map(item => item.trim())
  if (type === 'number' && text.trim() !== '') return Number.isNaN(Number(text)) ? text : Number(text)
  if (type === 'boolean' && /^(true|1)$/.test(text)) return true
  if (type === 'boolean' && /^(false|0)$/.test(text)) return false
  return text
}

function readFile(
  named: string | undefined,
  usual: string
): { file: string; settings: Record<string, unknown> } {
  const file = named ?? usual
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (named == null && (error as NodeJS.ErrnoException).code === 'ENOENT') return { file, settings: {} }
    throw new ConfigError(`cannot read the config file ${file}: ${(error as Error).message}`)
  }
  try {
    const settings = parseJson(text)
    if (typeof settings === 'object' && settings !== null && !Array.isArray(settings)) {
      return { file, settings: settings as Record<string, unknown> }
    }
  } catch (error) {
    const advice = named == null ? '; mend it, or put it aside with: artel doctor --repair' : ''
    throw new ConfigError(`the config file ${file} is not JSON: ${(error as Error).message}${advice}`)
  }
  throw new ConfigError(`the config file ${file} holds no object; write { "setting": value, … }`)
}

function merge(below: Record<string, unknown>, above: Record<string, unknown>): Record<string, unknown> {
  // without a prototype "__proto__" is a key as others, and refused as those that nobody knows
  const merged: Record<string, unknown> = Object.assign(Object.create(null), below)
  for (const [key, value] of Object.entries(above)) {
    const old = merged[key]
    merged[key] = isObject(old) && isObject(value) ? merge(old, value) : value
  }
  return merged
}

function explain(issue: z.core.$ZodIssue, file: string, origins: Origins): string {
  if (issue.code === 'unrecognized_keys') {
    const key = [...issue.path, issue.keys[0]].join('.')
    const known = SETTINGS.map(({ path }) => path.join('.'))
    return `"${key}" in ${file} is not a setting.${didYouMean(key, known)} See: artel config`
  }
  // an item of a list is reported by the setting
  const setting = SETTINGS.find(({ path }) => path.every((key, i) => key === issue.path[i]))
  const name = setting?.path.join('.') ?? issue.path.join('.')
  const origin = origins.get(name) ?? file
  const message = issue.message.replace(/^Invalid (input|option): /, '').replace(/, received .*/, '')
  return `${name} (from ${origin}): ${message}, got ${JSON.stringify(issue.input)}`
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function freeze<T extends object>(value: T): Readonly<T> {
  for (const child of Object.values(value)) if (typeof child === 'object' && child !== null) freeze(child)
  return Object.freeze(value)
}
