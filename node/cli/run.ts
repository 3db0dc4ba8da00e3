import { existsSync } from 'node:fs'
import { Command } from 'commander'
import { decodeValue } from '../../sandbox/index.ts'
import type { JobReport } from '../../scheduler/index.ts'
import { connectControl, controlPath } from '../control.ts'
import { ControlError, EXIT } from '../errors.ts'
import { createLogger } from '../logger.ts'
import { createOperations, encodeSpec, type Operations, type Plain, type QuoteView } from '../operations.ts'
import type { Config } from '../settings.ts'
import { type FileFlag, readFileFlag, withFiles } from './file-flag.ts'
import { configOf, settingFlags } from './flags.ts'
import { untilInterrupted } from './lifecycle.ts'
import { credits, type OutputOptions, print, table, toJson } from './output.ts'
import { createProgress } from './progress.ts'
import { readSpec } from './spec-file.ts'

type Options = OutputOptions & {
  file?: string[]
  delegate?: string
  quiet?: boolean
  quote?: boolean
} & Record<string, unknown>

export function runCommand(): Command {
  return settingFlags(new Command('run').description('run a task on the network and print its result'))
    .argument(
      '<file>',
      'task spec: JSON, a .js or .ts module with a default export, or - for JSON on standard input'
    )
    .option('--quote', 'only say what it would cost; runs nothing but one small piece, here')
    .option(
      '--file <field=path>',
      'data for a field of the task from a file, FIELD[:FORM]=PATH (repeat for more); FORM: bytes, bytes:SIZE, text, lines, json, float64, int32, …',
      (text: string, before: string[] = []) => [...before, text]
    )
    .option('--delegate <peer>', 'peer that coordinates the job; it goes on there when this node is gone')
    .option('--quiet', 'no progress, no summary: only the result')
    .option('--json', 'print { job, state, result, report } as JSON')
    .option('--verbose', 'errors with their stack')
    .addHelpText(
      'after',
      `
Uses the running node of the data folder, or starts one that only submits.
Ctrl-C cancels the job; what was accepted until then is paid.

Examples:
  echo '{"type":"range_reduce","start":1,"end":1000,"operation":"sum"}' | artel run -      prints 500500
  artel run primes.js --seed /ip4/192.0.2.7/tcp/4411/p2p/12D3KooW…
  artel run job.json --json | jq .result
  artel run job.json --delegate 12D3KooW…     later: artel result JOB
  artel run job.json --file items:float64=samples.bin
  artel run job.json --file items:bytes:65536=video.raw --file context.words:lines=words.txt
  artel run job.json --quote`
    )
    .action(async (file: string, options: Options) => {
      const config = configOf(options, { compute: false })
      const spec = await readSpec(file)
      const files = (options.file ?? []).map(readFileFlag)
      await untilInterrupted(signal => run(spec, files, config, options, signal))
    })
}

async function run(
  task: unknown,
  files: FileFlag[],
  config: Config,
  options: Options,
  signal: AbortSignal
): Promise<number> {
  const { operations, close } = await open(config, signal)
  let spec: string
  try {
    spec = encodeSpec(await withFiles(task, files, operations, signal))
  } catch (error) {
    await close()
    throw error
  }
  if (options.quote === true) {
    try {
      print(await operations.quote({ spec }, { signal }), options, describeQuote)
      return 0
    } finally {
      await close()
    }
  }
  const view =
    options.quiet === true || (options.json === true && !process.stderr.isTTY) ? undefined : createProgress()
  let job: string | undefined
  try {
    const onProgress: Parameters<Operations['run']>[1]['onProgress'] = progress => {
      job = progress.job
      view?.update(progress)
    }
    const { value, report } = await operations.run(
      { spec, ...(options.delegate == null ? {} : { delegate: options.delegate }) },
      { onProgress, signal }
    )
    view?.end()
    const result = decodeValue(Buffer.from(value, 'base64'))
    if (options.quiet !== true && options.json !== true) process.stderr.write(`${summary(report)}\n`)
    print({ job: report.job, state: report.state, result, report }, options, () => toJson(result))
    return 0
  } catch (error) {
    view?.end()
    if (!signal.aborted) throw error
    if (job != null) await operations.cancel({ job })
    process.stderr.write(`artel: interrupted${job == null ? '' : `, job ${job} is cancelled`}\n`)
    return EXIT.interrupted
  } finally {
    await close()
  }
}

async function open(
  config: Config,
  signal: AbortSignal
): Promise<{ operations: Operations; close(): Promise<void> }> {
  if (existsSync(controlPath(config.data))) {
    try {
      const client = await connectControl(config.data)
      return { operations: client, close: async () => client.close() }
    } catch (error) {
      // a socket that a killed node left behind
      if (!(error instanceof ControlError)) throw error
    }
  }
  const { createNode } = await import('../create-node.ts')
  const node = await createNode(config, {
    role: 'node',
    logger: createLogger({ ...config, logLevel: quieter(config) }),
    signal
  })
  return { operations: createOperations(node), close: () => node.stop() }
}

/** Who runs one job wants its result, and to know why nothing happens; not the news of a node. */
function quieter({ logLevel }: Config): Config['logLevel'] {
  return logLevel === 'info' ? 'warn' : logLevel
}

function summary({ job, submitted, finished, paid, shares }: Plain<JobReport>): string {
  const rows = shares.map(({ worker, slices, units, paid: share }) => [worker, slices, units, credits(share)])
  const time = finished == null ? '' : ` in ${finished - submitted} ms`
  return `${table(['worker', 'slices', 'units', 'credits'], rows)}\n${job}: done${time}, ${credits(paid)} credits`
}

const SURENESS = {
  measured: 'from the measured speed of this code on the network',
  calibrated: 'from a short run of it on this machine',
  default: 'nothing is known of this code; the whole bound may be needed'
}

function describeQuote({ quote, forecast }: QuoteView): string {
  const { expected, bound, fair, basis, cpuMs, factors } = quote
  const level = ({ level, low, high }: QuoteView['forecast']['inOneHour']): string =>
    `${level.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`
  const shown = Object.entries(factors).map(([name, factor]) => `${name} × ${Number(factor.toFixed(3))}`)
  return [
    `expected:  ${credits(expected)} credits, ${SURENESS[basis]}`,
    `at most:   ${credits(bound)} credits`,
    ...(cpuMs == null ? [] : [`CPU time:  ${(cpuMs / 1000).toFixed(3)} s`]),
    `factors:   ${shown.join(', ')}`,
    `market:    ${forecast.now.toFixed(2)} now, ${level(forecast.inOneHour)} in 1 h, ${level(forecast.inSixHours)} in 6 h`,
    ...(BigInt(fair) > BigInt(bound)
      ? [`The work is worth ${credits(fair)} credits: set maxPrice to that, or workers may refuse it.`]
      : [])
  ].join('\n')
}
