import { Command } from 'commander'
import pc from 'picocolors'
import type { Check } from '../../services/index.ts'
import { EXIT } from '../errors.ts'
import type { Repair } from '../repair-data.ts'
import { configOf, dataFolderOf, settingFlags, type Words } from './flags.ts'
import { type OutputOptions, print } from './output.ts'

const SIGNS = { ok: pc.green('ok  '), warn: pc.yellow('warn'), fail: pc.red('FAIL') }

export function doctorCommand(words: Words): Command {
  return settingFlags(new Command('doctor').description('check whether this machine can be a node'), words)
    .option('--json', 'print JSON')
    .option('--repair', 'put damaged files of the data folder aside and make again what can be made again')
    .addHelpText(
      'after',
      `\nExit code ${EXIT.machine} when a check fails; warnings do not count.\n\nExamples:\n  artel doctor\n  artel doctor --json | jq '.[] | select(.state != "ok")'\n  artel doctor --repair        old files stay beside the new ones, with a dated name`
    )
    .action(async (options: OutputOptions & Record<string, unknown>) => {
      if (options.repair) {
        const { repairData } = await import('../repair-data.ts')
        const repairs = await repairData(dataFolderOf(options), new Date())
        return print(repairs, options, it => it.map(describeRepair).join('\n') || 'nothing is damaged')
      }
      const { diagnose } = await import('../doctor.ts')
      const checks = await diagnose(configOf(options))
      print(checks, options, describe)
      process.exit(checks.some(({ state }) => state === 'fail') ? EXIT.machine : 0)
    })
}

const describeRepair = ({ path, done, kept }: Repair): string =>
  `${path}: ${done}${kept == null ? '' : ` (the old one is ${kept})`}`

function describe(checks: Check[]): string {
  return checks.map(({ name, state, detail }) => `${SIGNS[state]}  ${name.padEnd(12)} ${detail}`).join('\n')
}
