import { Command } from 'commander'
import { decodeValue } from '../../sandbox/index.ts'
import type { JobReport } from '../../scheduler/index.ts'
import { type ControlClient, connectControl } from '../control.ts'
import { EXIT } from '../errors.ts'
import type { Plain } from '../operations.ts'
import { configOf, settingFlags } from './flags.ts'
import { untilInterrupted } from './lifecycle.ts'
import { credits, type OutputOptions, print, table, toJson } from './output.ts'
import { createProgress } from './progress.ts'

type Options = OutputOptions & { follow?: boolean } & Record<string, unknown>
type Report = Plain<JobReport>

export function jobsCommand(): Command {
  return command('jobs', 'the jobs of the running node, the newest first')
    .addHelpText(
      'after',
      `
Examples:
  artel jobs
  artel jobs --json | jq -r '.[] | select(.state == "running") | .job'`
    )
    .action((options: Options) =>
      withNode(options, async node => {
        print((await node.jobs()).items, options, reports =>
          reports.length === 0
            ? 'no jobs'
            : table(['job', 'type', 'state', 'done', 'credits', 'submitted'], reports.map(row))
        )
        return 0
      })
    )
}

export function jobCommand(): Command {
  return command('job', 'state, cost and workers of a job')
    .argument('<id>', 'as `artel run` and `artel jobs` show it')
    .option('--follow', 'show its progress until it ends')
    .addHelpText(
      'after',
      '\nExamples:\n  artel job 5f0c3f1e9a7b2d44 --follow\n  artel job 5f0c3f1e9a7b2d44 --json | jq -r .state'
    )
    .action((id: string, options: Options) =>
      withNode(options, async (node, signal) => {
        const view = options.follow === true ? createProgress() : undefined
        try {
          const onProgress = (progress: Parameters<NonNullable<typeof view>['update']>[0]): void =>
            view?.update(progress)
          const report = await node.job({ job: id, follow: options.follow === true }, { onProgress, signal })
          view?.end()
          print(report, options, describe)
          return 0
        } catch (error) {
          view?.end()
          // whoever stops looking does not stop the job
          if (signal.aborted) return EXIT.interrupted
          throw error
        }
      })
    )
}

export function resultCommand(): Command {
  return command('result', 'the result of a job; waits for its end')
    .argument('<id>', 'as `artel run` and `artel jobs` show it')
    .addHelpText(
      'after',
      '\nExamples:\n  artel result 5f0c3f1e9a7b2d44\n  artel result 5f0c3f1e9a7b2d44 > result.json'
    )
    .action((id: string, options: Options) =>
      withNode(options, async (node, signal) => {
        const { value } = await node.result({ job: id }, { signal })
        const result = decodeValue(Buffer.from(value, 'base64'))
        print({ job: id, result }, options, () => toJson(result))
        return 0
      })
    )
}

export function cancelCommand(): Command {
  return command('cancel', 'ends a job; what was accepted is paid, the rest is freed')
    .argument('<id>', 'as `artel run` and `artel jobs` show it')
    .addHelpText(
      'after',
      '\nExamples:\n  artel cancel 5f0c3f1e9a7b2d44\n  artel cancel 5f0c3f1e9a7b2d44 --json | jq -r .paid'
    )
    .action((id: string, options: Options) =>
      withNode(options, async node => {
        print(await node.cancel({ job: id }), options, describe)
        return 0
      })
    )
}

function command(name: string, description: string): Command {
  return settingFlags(new Command(name).description(description), ['data'])
    .option('--json', 'print JSON')
    .option('--verbose', 'errors with their stack')
}

async function withNode(
  options: Options,
  work: (node: ControlClient, signal: AbortSignal) => Promise<number>
): Promise<void> {
  const node = await connectControl(configOf(options).data)
  await untilInterrupted(async signal => {
    try {
      return await work(node, signal)
    } finally {
      node.close()
    }
  })
}

const row = ({ job, type, state, done, total, paid, submitted }: Report): string[] => [
  job,
  type,
  state,
  `${done}/${total}`,
  credits(paid),
  new Date(submitted).toISOString()
]

function describe(report: Report): string {
  const { failure, memoOf, shares } = report
  const lines = [table(['job', 'type', 'state', 'done', 'credits', 'submitted'], [row(report)])]
  if (failure != null) lines.push(`failed (${failure.name}): ${failure.message}`)
  if (memoOf != null) lines.push(`the result is that of job ${memoOf}`)
  if (shares.length > 0)
    lines.push(
      table(
        ['worker', 'slices', 'units', 'credits'],
        shares.map(({ worker, slices, units, paid }) => [worker, slices, units, credits(paid)])
      )
    )
  return lines.join('\n')
}
