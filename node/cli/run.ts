import { Command } from 'commander'
import type { Compute } from '../../services/index.ts'
import { EXIT } from '../errors.ts'
import type { Config } from '../settings.ts'
import { type FileFlag, fileFlag, readFileFlag, withFiles } from './file-flag.ts'
import { configOf, settingFlags, type Words } from './flags.ts'
import { untilInterrupted } from './lifecycle.ts'
import { openNode } from './open-node.ts'
import { credits, duration, type OutputOptions, print, table, toJson } from './output.ts'
import { createProgress } from './progress.ts'
import { describeQuote, quoteOf } from './quote.ts'
import { runJob } from './run-job.ts'
import { readSpec, SPEC_ARGUMENT } from './spec-file.ts'

type Options = OutputOptions & {
  file?: string[]
  delegate?: string
  notify?: string
  quiet?: boolean
  quote?: boolean
} & Record<string, unknown>

export function runCommand(words: Words): Command {
  return fileFlag(
    settingFlags(new Command('run').description('run a task on the network and print its result'), words)
  )
    .argument('<file>', SPEC_ARGUMENT)
    .option('--quote', 'only say what it would cost, as artel quote does')
    .option('--delegate <peer>', 'peer that coordinates the job; it goes on there when this node is gone')
    .option('--notify <url>', 'webhook that is told how the job ended: one of the setting webhooks.urls')
    .option('--quiet', 'no progress, no summary: only the result')
    .option('--json', 'print { job, state, result, report } as JSON')
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
  artel run job.json --file items:bytes:65536=video.raw --file context.words:lines=words.txt`
    )
    .action(async (file: string, options: Options) => {
      const config = configOf(options, { compute: false })
      const task = await readSpec(file)
      const spec = options.notify == null ? task : { ...Object(task), notify: { url: options.notify } }
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
  await using node = await openNode(config, signal)
  const { operations } = node
  const spec = await withFiles(task, files, operations, signal)
  if (options.quote === true) {
    print(await quoteOf(operations, spec, signal), options, describeQuote)
    return 0
  }
  const view =
    options.quiet === true || (options.json === true && !process.stderr.isTTY) ? undefined : createProgress()
  let job: string | undefined
  try {
    const { result, report } = await runJob(operations, spec, {
      ...(options.delegate == null ? {} : { delegate: options.delegate }),
      onJob: id => {
        job = id
      },
      onProgress: progress => view?.update(progress),
      signal
    })
    view?.end()
    if (options.quiet !== true && options.json !== true) process.stderr.write(`${summary(report)}\n`)
    print({ job: report.job, state: report.state, result, report }, options, () => toJson(result))
    return 0
  } catch (error) {
    view?.end()
    if (!signal.aborted) throw error
    if (job != null) await operations.compute.cancel({ id: job })
    process.stderr.write(`artel: interrupted${job == null ? '' : `, job ${job} is cancelled`}\n`)
    return EXIT.interrupted
  }
}

function summary({ job, submitted, finished, paid, shares }: Compute.JobReport): string {
  const rows = shares.map(({ worker, slices, units, paid: share }) => [worker, slices, units, credits(share)])
  const time = finished == null ? '' : ` in ${duration(finished - submitted)}`
  return `${table(['worker', 'slices', 'units', 'credits'], rows)}\n${job}: done${time}, ${credits(paid)} credits`
}
