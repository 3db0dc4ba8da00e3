import { Command } from 'commander'
import { settingsTable } from '../config.ts'
import { configOf, settingFlags } from './flags.ts'
import { type OutputOptions, print, table } from './output.ts'

export function configCommand(): Command {
  return settingFlags(new Command('config').description('every setting, its flag, variable and value'))
    .option('--markdown', 'the table of the documentation, with defaults')
    .option('--json', 'print the configuration as JSON')
    .option('--verbose', 'errors with their stack')
    .addHelpText('after', '\nExamples:\n  artel config\n  ARTEL_MDNS=1 artel config --json')
    .action((options: OutputOptions & { markdown?: boolean } & Record<string, unknown>) => {
      if (options.markdown === true) {
        process.stdout.write(`${settingsMarkdown()}\n`)
        return
      }
      const config = configOf(options)
      print(config, options, () => table(['setting', 'flag', 'variable', 'value'], rows(config)))
    })
}

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
