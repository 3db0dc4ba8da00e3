import { Command } from 'commander'
import pc from 'picocolors'
import { type Check, diagnose } from '../doctor.ts'
import { EXIT } from '../errors.ts'
import { configOf, settingFlags } from './flags.ts'
import { type OutputOptions, print } from './output.ts'

const SIGNS = { ok: pc.green('ok  '), warn: pc.yellow('warn'), fail: pc.red('FAIL') }

export function doctorCommand(): Command {
  return settingFlags(new Command('doctor').description('check whether this machine can be a node'))
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `\nExit code ${EXIT.machine} when a check fails; warnings do not count.\n\nExamples:\n  artel doctor\n  artel doctor --json | jq '.[] | select(.state != "ok")'`
    )
    .action(async (options: OutputOptions & Record<string, unknown>) => {
      const checks = await diagnose(configOf(options))
      print(checks, options, describe)
      process.exit(checks.some(({ state }) => state === 'fail') ? EXIT.machine : 0)
    })
}

function describe(checks: Check[]): string {
  return checks.map(({ name, state, detail }) => `${SIGNS[state]}  ${name.padEnd(12)} ${detail}`).join('\n')
}
