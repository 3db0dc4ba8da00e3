import { Command } from 'commander'
import { connectControl } from '../control.ts'
import type { ReputationView } from '../operations.ts'
import { configOf, settingFlags } from './flags.ts'
import { type OutputOptions, print, table } from './output.ts'

export function reputationCommand(): Command {
  return settingFlags(
    new Command('reputation').description('how well an account works, from signed evidence'),
    ['data']
  )
    .argument('[account]', 'peer id; default: the own account')
    .option('--top <n>', 'the best accounts of the network')
    .option('--json', 'print JSON')
    .option('--verbose', 'errors with their stack')
    .addHelpText(
      'after',
      '\nExamples:\n  artel reputation\n  artel reputation 12D3KooW…\n  artel reputation --top 10'
    )
    .action(
      async (
        account: string | undefined,
        options: OutputOptions & { top?: string } & Record<string, unknown>
      ) => {
        const node = await connectControl(configOf(options).data)
        try {
          const rows = await node.reputation(options.top == null ? { account } : { top: Number(options.top) })
          print(rows, options, describe)
        } finally {
          node.close()
        }
      }
    )
}

function describe(rows: ReputationView[]): string {
  if (rows.length === 0) return 'nobody has worked yet'
  return table(
    ['account', 'score', 'level', 'success', 'quality', 'consistency', 'age', 'cooperation'],
    rows.map(({ account, score, level, success, quality, consistency, age, cooperation }) => [
      account,
      ...[score].map(two),
      level,
      ...[success, quality, consistency, age, cooperation].map(two)
    ])
  )
}

const two = (share: number): string => share.toFixed(2)
