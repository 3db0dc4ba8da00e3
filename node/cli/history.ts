import type { Command } from 'commander'
import { type HistoryEntry, MAX_LISTED } from '../../services/index.ts'
import { wholeNumber } from './flags.ts'
import { credits, print, table } from './output.ts'
import { type NodeOptions, nodeCommand, withNode } from './with-node.ts'

export function historyCommand(): Command {
  return nodeCommand('history', 'what moved on the own account, newest first')
    .option('--limit <n>', 'at most this many entries', wholeNumber('--limit', MAX_LISTED), 20)
    .option('--json', 'print JSON, in micro-credits')
    .addHelpText('after', '\nExamples:\n  artel history\n  artel history --limit 5 --json')
    .action((options: NodeOptions & { limit: number }) =>
      withNode(options, async node => {
        const { items } = await node.credits.history({ limit: options.limit })
        print(items, options, describe)
      })
    )
}

function describe(entries: HistoryEntry[]): string {
  if (entries.length === 0) return 'nothing yet'
  return table(
    ['time', 'what', 'credits', 'from', 'to', 'job or memo'],
    entries.map(({ time, type, amount, from, to, job, memo }) => [
      new Date(time).toISOString(),
      type,
      credits(amount),
      from,
      to ?? '-',
      memo ?? job ?? '-'
    ])
  )
}
