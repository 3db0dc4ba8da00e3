import type { Command } from 'commander'
import type { Compute } from '../../services/index.ts'
import { print, table } from './output.ts'
import { type NodeOptions, nodeCommand, withNode } from './with-node.ts'

export function webhooksCommand(): Command {
  return nodeCommand('webhooks', 'who may be told how jobs end, with their secrets, and what waits')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
A job names one of these in notify.url. A receiver verifies what it gets with its secret, as Standard Webhooks says.

Examples:
  artel config set webhooks.urls https://example.org/hook
  artel webhooks
  artel run job.json --notify https://example.org/hook`
    )
    .action((options: NodeOptions) =>
      withNode(options, async node => print((await node.compute.webhooks()).items, options, describe))
    )
}

function describe(items: Compute.WebhookView[]): string {
  if (items.length === 0) return 'none; add one with: artel config set webhooks.urls URL'
  return table(
    ['url', 'secret', 'jobs', 'waiting', 'why'],
    items.map(({ url, secret, jobs, waiting, reason = '-' }) => [url, secret, jobs, waiting, reason])
  )
}
