import type { Command } from 'commander'
import { InputError } from '../errors.ts'
import { confirm } from './confirm.ts'
import { credits, print } from './output.ts'
import { type NodeOptions, nodeCommand, withNode } from './with-node.ts'

// A micro-credit is the smallest part.
const DECIMALS = 6
// Of what is available: a slip of the keyboard costs more than a question.
const LARGE_SHARE = 10n

export function transferCommand(): Command {
  return nodeCommand('transfer', 'give credits to another account; this cannot be undone')
    .argument('<account>', 'peer id of the account')
    .argument('<credits>', 'how many, for example 2.5')
    .option('--memo <text>', 'a note that everybody can read')
    .option('--yes', 'do not ask, also for more than a tenth of what is available')
    .option('--json', 'print JSON, in micro-credits')
    .addHelpText(
      'after',
      '\nExamples:\n  artel transfer 12D3KooW… 2.5 --memo thanks\n  artel transfer 12D3KooW… 50 --yes'
    )
    .action((to: string, amount: string, options: NodeOptions & { memo?: string; yes?: boolean }) => {
      const micro = parseCredits(amount)
      return withNode(options, async (node, signal) => {
        const { available } = await node.credits.balance()
        if (micro * LARGE_SHARE > available && micro <= available)
          await confirm(
            `This gives ${credits(micro)} of your ${credits(available)} credits to ${to}.`,
            options,
            signal
          )
        const { memo } = options
        await node.credits
          .transfer({ to, amount: micro, ...(memo == null ? {} : { memo }) }, { signal })
          .catch((error: Error) => {
            if (!signal.aborted) throw error
            error.message = 'interrupted; the transfer may still go through: look with artel history'
            throw error
          })
        print({ to, amount: String(micro) }, options, sent => `${credits(sent.amount)} credits went to ${to}`)
      })
    })
}

/** Micro-credits of a decimal number of credits, exactly. */
export function parseCredits(text: string): bigint {
  const match = /^(\d{1,12})(?:\.(\d{1,6}))?$/.exec(text)
  const micro = match && BigInt(match[1]! + (match[2] ?? '').padEnd(DECIMALS, '0'))
  if (!micro)
    throw new InputError(`credits: "${text}" is not a positive number with at most ${DECIMALS} decimals`)
  return micro
}
