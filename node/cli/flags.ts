import { join } from 'node:path'
import { type Command, Option } from 'commander'
import { dataFolder, loadConfig } from '../config.ts'
import { InputError } from '../errors.ts'
import { type Config, SETTINGS, type Setting } from '../settings.ts'
import { COMPLETION } from './completion.ts'

/** What was typed; undefined: every command is wanted whole. */
export type Words = readonly string[] | undefined

/** Adds every setting as a flag, where the command is typed: all flags of all of them would take 2 MB for good. */
export const settingFlags = (command: Command, words: Words): Command =>
  words == null || words.includes(command.name()) || words.includes(COMPLETION)
    ? addFlags(command, SETTINGS)
    : command

/** Adds the settings whose first keys these are. */
export const someFlags = (command: Command, keys: readonly string[]): Command =>
  addFlags(
    command,
    SETTINGS.filter(({ path }) => keys.includes(path[0]!))
  )

function addFlags(command: Command, settings: readonly Setting[]): Command {
  command.option('--config <file>', 'JSON file with settings (default: config.json in the data folder)')
  for (const setting of settings) command.addOption(option(setting))
  return command
}

function option(setting: Setting): Option {
  const value =
    setting.type === 'boolean' ? '[true|false]' : `<${setting.type === 'list' ? 'value' : setting.type}>`
  const made = new Option(`${setting.flag} ${value}`, describe(setting))
  if (setting.choices != null) made.choices(setting.choices)
  if (setting.type === 'boolean') made.preset('true')
  if (setting.type === 'list') {
    made.argParser((text: string, before: string[] | undefined) => [...(before ?? []), ...text.split(',')])
  }
  return made
}

function describe({ description, default: usual, type }: Setting): string {
  const list = type === 'list' ? ' (repeat for more)' : ''
  const shown = Array.isArray(usual) ? usual.join(' ') : usual
  return `${description}${list}${shown == null || shown === '' ? '' : ` (default: ${shown})`}`
}

/** A flag's value that counts something, `most` at most. Throws InputError. */
export function wholeNumber(flag: string, most = 999_999_999): (text: string) => number {
  return text => {
    if (/^[1-9][0-9]{0,8}$/.test(text) && Number(text) <= most) return Number(text)
    throw new InputError(`${flag} takes a whole number from 1 to ${most}, got "${text}"`)
  }
}

/** The configuration of a command from its parsed flags. */
export function configOf(options: Record<string, unknown>, defaults: Record<string, unknown> = {}): Config {
  const flags = Object.fromEntries(
    SETTINGS.map(setting => [setting.path.join('.'), options[camel(setting.flag)]]).filter(
      ([, value]) => value != null
    )
  )
  const file = options.config as string | undefined
  return loadConfig({ flags, defaults, ...(file == null ? {} : { file }) })
}

/** The data folder, also where its config file cannot be read. */
export function dataFolderOf(options: Record<string, unknown>): string {
  return dataFolder((options.data as string | undefined) ?? process.env.ARTEL_DATA)
}

/** The file that changed settings go to: the one that was read. */
export function configFileOf(options: Record<string, unknown>, { data }: Config): string {
  return (options.config as string | undefined) ?? process.env.ARTEL_CONFIG ?? join(data, 'config.json')
}

/** How commander names the value of a flag. */
function camel(flag: string): string {
  return flag.slice(2).replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
}
