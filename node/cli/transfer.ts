import { Command } from 'commander'
import { connectControl } from '../control.ts'
import { InputError } from '../errors.ts'
import { configOf, settingFlags } from './flags.ts'
import { credits, type OutputOptions, print } from './output.ts'

// A micro-credit is the smallest part.
const DECIMALS = 6

export function transferCommand(): Command {
  return settingFlags(new Command('transfer').description('give credits to another account'), ['data'])
    .argument('<account>', 'peer id of the account')
    .argument('<credits>', 'how many, for example 2.5')
    .option('--memo <text>', 'a note that everybody can read')
    .option('--json', 'print JSON, in micro-credits')
    .option('--verbose', 'errors with their stack')
    .addHelpText('after', '\nExamples:\n  artel transfer 12D3KooW… 2.5 --memo thanks')
    .action(
      async (
        to: string,
        amount: string,
        options: OutputOptions & { memo?: string } & Record<string, unknown>
      ) => {
        const micro = parseCredits(amount)
        const node = await connectControl(configOf(options).data)
        try {
          await node.transfer({ to, amount: String(micro), memo: options.memo })
          print(
            { to, amount: String(micro) },
            options,
            sent => `${credits(sent.amount)} credits went to ${to}`
          )
        } finally {
          node.close()
        }
      }
    )
}

/** Micro-credits of a decimal number of credits, exactly. */
export function parseCredits(text: string): bigint {
  const match = /^(\d{1,12})(?:\.(\d{1,6}))?$/.exec(text)
  const micro = match && BigInt(match[1]! + (match[2] ?? '').padEnd(DECIMALS, '0'))
  if (!micro)
    throw new InputError(`credits: "${text}" is not a positive number with at most ${DECIMALS} decimals`)
  return micro
}
