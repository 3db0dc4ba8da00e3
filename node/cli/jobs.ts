import { type Command, Option } from 'commander'
import { JOB_STATES, TASK_TYPES } from '../../scheduler/words.ts'
import type { Compute } from '../../services/index.ts'
import { EXIT } from '../errors.ts'
import { harmless } from '../logger.ts'
import type { Operations } from '../operations.ts'
import { confirm } from './confirm.ts'
import { wholeNumber } from './flags.ts'
import { compact, credits, print, table, toJson } from './output.ts'
import { createProgress } from './progress.ts'
import { type NodeOptions, nodeCommand, withNode } from './with-node.ts'

type Report = Compute.JobReport

/** most jobs of one answer */
const PAGE = 200
const ID = 'as `artel run` and `artel jobs` show it'

export function jobsCommand(): Command {
  return nodeCommand('jobs', 'the jobs of the running node, the newest first')
    .addOption(new Option('--state <state>', 'only jobs in this state').choices(JOB_STATES))
    .addOption(new Option('--type <type>', 'only tasks of this type').choices([...TASK_TYPES, 'batch']))
    .option('--limit <n>', 'at most this many', wholeNumber('--limit'), 20)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Examples:
  artel jobs
  artel jobs --state failed --limit 5
  artel jobs --state running --json | jq -r '.[].job'`
    )
    .action((options: NodeOptions & { state?: Compute.JobState; type?: string; limit: number }) =>
      withNode(options, async node => {
        const { state, type, limit } = options
        const { items, total } = await newestJobs(node, { state, type }, limit)
        print(items, options, () => describeAll(items, total))
      })
    )
}

/** The newest jobs, `limit` at most, page after page. */
export async function newestJobs(
  { compute }: Pick<Operations, 'compute'>,
  filter: { state?: Compute.JobState; type?: string },
  limit: number
): Promise<Pick<Compute.JobPage, 'items' | 'total'>> {
  const items: Report[] = []
  let cursor: string | undefined
  for (;;) {
    const page = await compute.jobs({ ...filter, cursor, limit: Math.min(PAGE, limit - items.length) })
    items.push(...page.items)
    cursor = page.next
    if (cursor == null || items.length >= limit) return { items, total: page.total }
  }
}

function describeAll(reports: Report[], total: number): string {
  if (reports.length === 0) return 'no jobs'
  const rows = table(['job', 'type', 'state', 'done', 'credits', 'submitted', 'name'], reports.map(row))
  return total > reports.length ? `${rows}\n${total - reports.length} more; see them with --limit` : rows
}

export function jobCommand(): Command {
  return nodeCommand('job', 'state, cost and workers of a job')
    .argument('<id>', ID)
    .option('--follow', 'show its progress until it ends')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  artel job 5f0c3f1e9a7b2d44 --follow\n  artel job 5f0c3f1e9a7b2d44 --json | jq -r .state'
    )
    .action((id: string, options: NodeOptions & { follow?: boolean }) =>
      withNode(options, async (node, signal) => {
        const follow = options.follow === true
        const view = follow ? createProgress() : undefined
        try {
          const onProgress = (progress: Compute.Progress): void => view?.update(progress)
          const report = follow
            ? await node.compute.follow({ id }, { onProgress, signal })
            : await node.compute.job({ id }, { signal })
          view?.end()
          print(report, options, describe)
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
  return nodeCommand('result', 'the result of a job; waits for its end')
    .argument('<id>', ID)
    .option('--json', 'print { job, result } as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  artel result 5f0c3f1e9a7b2d44\n  artel result 5f0c3f1e9a7b2d44 > result.json'
    )
    .action((id: string, options: NodeOptions) =>
      withNode(options, async (node, signal) => {
        await node.compute.follow({ id }, { signal })
        const result = await node.compute.result({ id }, { signal })
        print({ job: id, result }, options, () => toJson(result))
      })
    )
}

export function cancelCommand(): Command {
  return nodeCommand('cancel', 'ends a job; what was accepted is paid, the rest is freed')
    .argument('<id>', ID)
    .option('--yes', 'do not ask; where nobody can be asked, nothing is asked')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  artel cancel 5f0c3f1e9a7b2d44\n  artel cancel 5f0c3f1e9a7b2d44 --json | jq -r .paid'
    )
    .action((id: string, options: NodeOptions & { yes?: boolean }) =>
      withNode(options, async (node, signal) => {
        const report = await node.compute.job({ id }, { signal })
        if (report.finished != null) {
          print(report, options, ({ job, state }) => `nothing to cancel: ${job} is ${state}`)
          return
        }
        if (process.stdin.isTTY)
          await confirm(`This ends ${id} (${share(report)} done) for good.`, options, signal)
        print(await node.compute.cancel({ id }), options, describe)
      })
    )
}

const share = ({ done, total }: Report): string => `${total === 0 ? 0 : Math.floor((100 * done) / total)} %`

const row = ({ job, type, state, done, total, paid, submitted, name }: Report): string[] => [
  job,
  type,
  state,
  `${compact(done)}/${compact(total)}`,
  credits(paid),
  new Date(submitted).toISOString(),
  name ?? ''
]

const harmlessLines = (text: string): string[] => text.trimEnd().split('\n').map(harmless)

function describe(report: Report): string {
  const { failure, memoOf, shares, verification, waiting, barred = [] } = report
  const lines = [table(['job', 'type', 'state', 'done', 'credits', 'submitted', 'name'], [row(report)])]
  if (failure != null) lines.push(`failed (${failure.name}): ${harmless(failure.message)}`)
  if (failure?.stack != null) lines.push(...harmlessLines(failure.stack))
  if (failure?.said != null) lines.push('its process printed:', ...harmlessLines(failure.said))
  if (waiting != null) lines.push(harmless(`waits: ${waiting.message}`))
  if (memoOf != null) lines.push(`the result is that of job ${memoOf}`)
  if (verification?.confidence != null) {
    const { replicas, compared, audited, canaries, confidence } = verification
    const copies = `${replicas.toFixed(3)} copies per unit`
    lines.push(
      `verified: each result right with at least ${(confidence * 100).toFixed(2)} %; ${copies}, ` +
        `${compared} slices compared, ${audited} units audited, ${canaries} canaries`
    )
  }
  if (barred.length > 0)
    lines.push(
      table(
        ['not asked', 'why', 'until'],
        barred.map(({ worker, reason, until }) => [
          worker,
          reason,
          until == null ? '' : new Date(until).toISOString()
        ])
      )
    )
  if (shares.length > 0)
    lines.push(
      table(
        ['worker', 'slices', 'units', 'credits', 'because'],
        shares.map(({ worker, slices, units, paid, why = {} }) => [
          worker,
          slices,
          units,
          credits(paid),
          Object.entries(why)
            .map(([reason, times]) => `${reason} ${times}`)
            .join(', ')
        ])
      )
    )
  return lines.join('\n')
}
