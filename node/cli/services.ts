import type { Command } from 'commander'
import type { Health, ServicesView } from '../../services/index.ts'
import { print, table } from './output.ts'
import { type NodeOptions, nodeCommand, withNode } from './with-node.ts'

export function servicesCommand(): Command {
  return nodeCommand('services', 'what this node offers to the network, and who else offers it')
    .argument('[service...]', 'names to look for besides, as in artel/compute/1')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      "\nExamples:\n  artel services\n  artel services artel/vm/1\n  artel services --json | jq '.items[].providers | length'"
    )
    .action((names: string[], options: NodeOptions) =>
      withNode(options, async (node, signal) => {
        // what is known at once does not wait for the network
        const { here } = await node.network.services({ find: false })
        if (options.json !== true && here.length > 0) process.stdout.write(`${describeHere(here)}\n\n`)
        print(await node.network.services({ names }, { signal }), options, describe)
      })
    )
}

function describeHere(here: Health[]): string {
  return table(
    ['service', 'state', 'what', 'reason'],
    here.map(({ service, state, summary, reason }) => [service, state, summary, reason ?? ''])
  )
}

function describe({ announced, items }: ServicesView): string {
  const holders = new Map(announced.map(({ service, holders }) => [service, holders]))
  return table(
    ['service', 'offered here', 'others that offer it'],
    items.map(({ service, providers }) => [
      service,
      !holders.has(service) ? 'no' : holders.get(service)! > 0 ? 'yes' : 'not announced yet',
      providers.length === 0 ? '-' : providers.join(' ')
    ])
  )
}
