import { mkdir } from 'node:fs/promises'
import { Command } from 'commander'
import { changedConfig, settingOf, settingsTable } from '../config.ts'
import { keepSettings } from '../config-file.ts'
import { connectControl } from '../control.ts'
import { ControlError } from '../errors.ts'
import type { Config } from '../settings.ts'
import { configFileOf, configOf, settingFlags, someFlags, type Words } from './flags.ts'
import { type OutputOptions, print, table } from './output.ts'

type Options = OutputOptions & Record<string, unknown>

export function configCommand(words: Words): Command {
  const command = settingFlags(
    new Command('config').description('every setting, its flag, variable and value'),
    words
  )
    .option('--markdown', 'the table of the documentation, with defaults')
    .option('--json', 'print the configuration as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  artel config\n  artel config set minPrice 0.02\n  ARTEL_MDNS=1 artel config --json'
    )
    .action((options: Options & { markdown?: boolean }) => {
      if (options.markdown === true) {
        process.stdout.write(`${settingsMarkdown()}\n`)
        return
      }
      const config = configOf(options)
      print(config, options, () => table(['setting', 'flag', 'variable', 'value'], rows(config)))
    })
  command.addCommand(get())
  command.addCommand(set())
  return command
}

function get(): Command {
  return common(new Command('get').description('the value of one setting'))
    .argument('<setting>', 'as artel config names it')
    .addHelpText(
      'after',
      '\nExamples:\n  artel config get slots\n  artel config get limits.maxConnections --json'
    )
    .action((name: string, _: Options, command: Command) => {
      const options = command.optsWithGlobals<Options>()
      const { path } = settingOf(name)
      const value = path.reduce<unknown>((at, key) => (at as Config)[key as keyof Config], configOf(options))
      print(value ?? null, options, text)
    })
}

function set(): Command {
  return common(new Command('set').description('change a setting for good, at once where a node is running'))
    .argument('<setting>', 'as artel config names it')
    .argument('[value]', 'lists with commas; without a value: back to the default')
    .addHelpText(
      'after',
      `
The value goes to config.json in the data folder. A flag or variable of the next start still comes before it.

Examples:
  artel config set minPrice 0.02
  artel config set quietHours 22:00-07:00,12:00-13:00
  artel config set slots                                  back to the default`
    )
    .action(async (name: string, value: string | undefined, _: Options, command: Command) => {
      // artel config has the same flags, and commander gives them to it
      const options = command.optsWithGlobals<Options>()
      const setting = settingOf(name)
      const patch = { [name]: value ?? null }
      const isRunning = await configure(patch, options)
      const when = isRunning ? (setting.live ? 'at once' : 'after the next start of the node') : 'from now on'
      print({ ...patch, isRunning, live: setting.live }, options, () =>
        value == null ? `${name} has its default ${when}` : `${name} is ${value} ${when}`
      )
    })
}

/** true when a running node took it */
async function configure(patch: Record<string, unknown>, options: Options): Promise<boolean> {
  const config = configOf(options)
  try {
    const node = await connectControl(config.data)
    try {
      await node.settings.configure({ patch })
      return true
    } finally {
      node.close()
    }
  } catch (error) {
    if (!(error instanceof ControlError)) throw error
  }
  const checked = changedConfig(config, patch)
  await mkdir(config.data, { recursive: true, mode: 0o700 })
  await keepSettings(configFileOf(options, config), checked, patch)
  return false
}

const common = (command: Command): Command => someFlags(command, ['data']).option('--json', 'print JSON')

/** The table in node/README.md; a test compares. */
export function settingsMarkdown(): string {
  const lines = settingsTable().map(({ setting, value }) => {
    const shown = text(value)
    return `| ${setting.path.join('.')} | \`${setting.flag}\` | \`${setting.environment}\` | ${shown === '' ? '' : `\`${shown}\``} | ${setting.description} |`
  })
  return ['| setting | flag | variable | default | |', '| --- | --- | --- | --- | --- |', ...lines].join('\n')
}

function rows(config: Parameters<typeof settingsTable>[0]): string[][] {
  return settingsTable(config).map(({ setting, value }) => [
    setting.path.join('.'),
    setting.flag,
    setting.environment,
    text(value)
  ])
}

function text(value: unknown): string {
  return Array.isArray(value) ? value.join(' ') : String(value ?? '')
}
