import { Command } from 'commander'
import { connectControl } from '../control.ts'
import type { HistoryView } from '../operations.ts'
import { configOf, settingFlags } from './flags.ts'
import { credits, type OutputOptions, print, table } from './output.ts'

export function historyCommand(): Command {
  return settingFlags(new Command('history').description('what moved on the own account, newest first'), [
    'data'
  ])
    .option('--limit <n>', 'at most this many entries', '20')
    .option('--json', 'print JSON, in micro-credits')
    .option('--verbose', 'errors with their stack')
    .addHelpText('after', '\nExamples:\n  artel history\n  artel history --limit 5 --json')
    .action(async (options: OutputOptions & { limit: string } & Record<string, unknown>) => {
      const node = await connectControl(configOf(options).data)
      try {
        print(await node.history({ limit: Number(options.limit) }), options, describe)
      } finally {
        node.close()
      }
    })
}

function describe(entries: HistoryView[]): string {
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
