import { Command } from 'commander'
import { connectControl } from '../control.ts'
import type { BalanceView } from '../operations.ts'
import { configOf, settingFlags } from './flags.ts'
import { credits, type OutputOptions, print, table } from './output.ts'

export function balanceCommand(): Command {
  return settingFlags(new Command('balance').description('credits of the running node'), ['data'])
    .option('--all', 'every account of the network')
    .option('--json', 'print JSON, in micro-credits')
    .option('--verbose', 'errors with their stack')
    .addHelpText(
      'after',
      '\nExamples:\n  artel balance\n  artel balance --all\n  artel balance --json | jq -r .available'
    )
    .action(async (options: OutputOptions & { all?: boolean } & Record<string, unknown>) => {
      const node = await connectControl(configOf(options).data)
      try {
        print(await node.balance(), options, view =>
          options.all === true ? describeAll(view) : describe(view)
        )
      } finally {
        node.close()
      }
    })
}

function describe({ account, available, reserved }: BalanceView): string {
  return `${credits(available)} credits available, ${credits(reserved)} reserved by jobs (account ${account})`
}

function describeAll({ accounts, supply }: BalanceView): string {
  const rows = Object.entries(accounts).map(([account, { available, reserved }]) => [
    account,
    credits(available),
    credits(reserved)
  ])
  const sum = `granted ${credits(supply.granted)} − burnt ${credits(supply.burnt)} = ${credits(supply.total)} credits`
  return `${table(['account', 'available', 'reserved'], rows)}\n${sum}`
}
