import type { Command } from 'commander'
import type { Balance } from '../../services/index.ts'
import { credits, print, table } from './output.ts'
import { type NodeOptions, nodeCommand, withNode } from './with-node.ts'

export function balanceCommand(): Command {
  return nodeCommand('balance', 'credits of the running node')
    .option('--all', 'every account of the network')
    .option('--json', 'print JSON, in micro-credits')
    .addHelpText(
      'after',
      '\nExamples:\n  artel balance\n  artel balance --all\n  artel balance --json | jq -r .available'
    )
    .action((options: NodeOptions & { all?: boolean }) =>
      withNode(options, async node =>
        print(await node.credits.balance({ all: true }), options, view =>
          options.all === true ? describeAll(view) : describe(view)
        )
      )
    )
}

function describe({ account, available, reserved }: Balance): string {
  return `${credits(available)} credits available, ${credits(reserved)} reserved by jobs (account ${account})`
}

function describeAll({ accounts = {}, supply }: Balance): string {
  const rows = Object.entries(accounts).map(([account, { available, reserved }]) => [
    account,
    credits(available),
    credits(reserved)
  ])
  const sum = `granted ${credits(supply.granted)} − burnt ${credits(supply.burnt)} = ${credits(supply.total)} credits`
  return `${table(['account', 'available', 'reserved'], rows)}\n${sum}`
}
