import { Command } from 'commander'
import { asText } from '../../scheduler/words.ts'
import type { Compute } from '../../services/index.ts'
import type { Operations } from '../operations.ts'
import { fileFlag, readFileFlag, withFiles } from './file-flag.ts'
import { configOf, settingFlags, type Words } from './flags.ts'
import { untilInterrupted } from './lifecycle.ts'
import { openNode } from './open-node.ts'
import { credits, duration, type OutputOptions, print } from './output.ts'
import { readSpec, SPEC_ARGUMENT } from './spec-file.ts'

export function quoteCommand(words: Words): Command {
  return fileFlag(
    settingFlags(new Command('quote').description('what a task would cost, before it is run'), words)
  )
    .argument('<file>', SPEC_ARGUMENT)
    .option('--json', 'print JSON, in micro-credits')
    .addHelpText(
      'after',
      `
Nothing is submitted. Where no worker has run this code yet, one small piece of it runs here.

Examples:
  artel quote job.json
  artel quote primes.js --json | jq -r .quote.expected`
    )
    .action(async (file: string, options: OutputOptions & { file?: string[] } & Record<string, unknown>) => {
      const config = configOf(options, { compute: false })
      const task = await readSpec(file)
      const files = (options.file ?? []).map(readFileFlag)
      await untilInterrupted(async signal => {
        await using node = await openNode(config, signal)
        const spec = await withFiles(task, files, node.operations, signal)
        print(await quoteOf(node.operations, spec, signal), options, describeQuote)
        return 0
      })
    })
}

const SURENESS = {
  measured: 'from the measured speed of this code on the network',
  calibrated: 'from a short run of it on this machine',
  default: 'nothing is known of this code; the whole bound may be needed'
}

export const quoteOf = (
  { compute }: Operations,
  task: unknown,
  signal: AbortSignal
): Promise<Compute.QuoteView> => compute.quote({ spec: asText(task) }, { signal })

export function describeQuote({ quote, forecast }: Compute.QuoteView): string {
  const { expected, bound, fair, basis, cpuMs, factors } = quote
  const level = ({ level, low, high }: Compute.QuoteView['forecast']['inOneHour']): string =>
    `${level.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`
  const shown = Object.entries(factors).map(([name, factor]) => `${name} × ${Number(factor.toFixed(3))}`)
  return [
    `expected:  ${credits(expected)} credits, ${SURENESS[basis]}`,
    `at most:   ${credits(bound)} credits`,
    ...(cpuMs == null ? [] : [`CPU time:  ${duration(cpuMs)}`]),
    `factors:   ${shown.join(', ')}`,
    `market:    ${forecast.now.toFixed(2)} now, ${level(forecast.inOneHour)} in 1 h, ${level(forecast.inSixHours)} in 6 h`,
    ...(fair > bound
      ? [`The work is worth ${credits(fair)} credits: set maxPrice to that, or workers may refuse it.`]
      : [])
  ].join('\n')
}
