import type { Command } from 'commander'
import { MAX_LISTED, type Reputation } from '../../services/index.ts'
import { wholeNumber } from './flags.ts'
import { print, table } from './output.ts'
import { type NodeOptions, nodeCommand, withNode } from './with-node.ts'

export function reputationCommand(): Command {
  return nodeCommand('reputation', 'how well an account works, from signed evidence')
    .argument('[account]', 'peer id; default: the own account')
    .option('--top <n>', 'the best accounts of the network', wholeNumber('--top', MAX_LISTED))
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  artel reputation\n  artel reputation 12D3KooW…\n  artel reputation --top 10'
    )
    .action((account: string | undefined, options: NodeOptions & { top?: number }) =>
      withNode(options, async node => {
        const { top } = options
        print(top == null ? [await one(account)] : (await node.credits.top({ top })).items, options, describe)

        async function one(of = account): Promise<Reputation> {
          return node.credits.reputation({ account: of ?? (await node.credits.balance()).account })
        }
      })
    )
}

function describe(rows: Reputation[]): string {
  if (rows.length === 0) return 'nobody has worked yet'
  return table(
    ['account', 'score', 'level', 'success', 'quality', 'consistency', 'age', 'cooperation'],
    rows.map(({ account, score, level, success, quality, consistency, age, cooperation }) => [
      account,
      two(score),
      level,
      ...[success, quality, consistency, age, cooperation].map(two)
    ])
  )
}

const two = (share: number): string => share.toFixed(2)
