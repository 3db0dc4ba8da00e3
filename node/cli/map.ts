import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { Command, Option } from 'commander'
import type { Progress } from '../../scheduler/index.ts'
import { CREDIT_MICRO } from '../../scheduler/words.ts'
import { BudgetError, EXIT, InputError } from '../errors.ts'
import type { Operations } from '../operations.ts'
import { batchesOf, createBatchSize, inOrder, linesOf, textOf } from './batches.ts'
import { createBudget } from './budget.ts'
import { configOf, settingFlags, type Words } from './flags.ts'
import { untilInterrupted } from './lifecycle.ts'
import { openNode } from './open-node.ts'
import { credits, duration, type OutputOptions, toJson } from './output.ts'
import { createStatusLine } from './progress.ts'
import { runJob } from './run-job.ts'
import { isFunctionFile, readModule } from './spec-file.ts'
import { parseCredits } from './transfer.ts'

type Options = OutputOptions & { text?: boolean; quiet?: boolean; maxPrice?: bigint } & Record<
    string,
    unknown
  >
type Type = 'map' | 'filter' | 'python'

// Jobs under way: while one is settled and written, the others keep the workers busy.
const WINDOW = 4
const END = Buffer.from('\n')

export function mapCommand(words: Words): Command {
  return command('map', 'a function over every line of standard input, on the network', words).addHelpText(
    'after',
    `
A line is a JSON value, or else a text. The results come in the order of the lines, as they are there, one a line.
The default export of a module may also be a task without its items: { fn, context, requirements, … }.
A .py file that defines main(x) runs in Python.

Examples:
  seq 1 100 | artel map 'x => x * x'
  seq 1 100 | artel map ./fn.js
  seq 1 100 | artel map ./main.py
  cat urls.txt | artel map 'x.split("/")[2]' --text | sort | uniq -c`
  )
}

export function filterCommand(words: Words): Command {
  return command('filter', 'the lines of standard input for which a function is true', words).addHelpText(
    'after',
    `
As artel map, but prints the lines that are kept, as they came.

Examples:
  seq 1 100 | artel filter 'x % 7 === 0'
  cat words.txt | artel filter './is-palindrome.js' --text`
  )
}

function command(type: Type, description: string, words: Words): Command {
  return settingFlags(new Command(type).description(description), words)
    .argument(
      '<function>',
      'a .js or .ts module whose default export it is, a .py file, or its text: x => x * x, x ** 2'
    )
    .option('--text', 'every line is a text, also where it looks like JSON')
    .addOption(new Option('--max-price <credits>', 'most credits for all of it').argParser(parseCredits))
    .option('--quiet', 'no summary')
    .option('--json', 'texts with quotes too, so that every line is JSON')
    .action(async (fn: string, options: Options) => {
      const config = configOf(options, { compute: false })
      const isPython = fn.endsWith('.py')
      if (isPython && type === 'filter')
        throw new InputError('artel filter takes JavaScript; artel map takes Python, too')
      const task = isPython ? { source: await readFile(fn, 'utf8') } : await readFunction(fn)
      await untilInterrupted(async signal => {
        await using node = await openNode(config, signal)
        return await stream(isPython ? 'python' : type, task, node.operations, options, signal)
      })
    })
}

/** The fields of the task beside its items. */
async function readFunction(argument: string): Promise<Record<string, unknown>> {
  const exported = isFunctionFile(argument) ? await readModule(argument) : argument
  if (typeof exported === 'object' && exported !== null) return exported as Record<string, unknown>
  if (typeof exported === 'function' || typeof exported === 'string') return { fn: exported }
  throw new InputError(`the default export of ${argument} is no function; write: export default x => x * x`)
}

async function stream(
  type: Type,
  task: Record<string, unknown>,
  operations: Operations,
  options: Options,
  interrupted: AbortSignal
): Promise<number> {
  const started = Date.now()
  const broken = new AbortController()
  const signal = AbortSignal.any([interrupted, broken.signal])
  const size = createBatchSize()
  const asJson = options.json === true
  const status = createStatusLine(options.quiet === true)
  const running = new Map<string, Progress>()
  const budget = options.maxPrice == null ? undefined : createBudget(options.maxPrice, WINDOW)
  let [read, done, spent] = [0, 0, 0n]
  // whoever reads our output wants no more of it
  process.stdout.on('error', () => broken.abort())

  async function run(lines: Buffer[]) {
    const first = read
    read += lines.length
    const bound = await budget?.take()
    let paid = 0n
    const items = lines.map(textOf).map(line => (options.text === true ? line : valueOfLine(line)))
    const maxPrice = bound == null ? {} : { maxPrice: Number(bound) / Number(CREDIT_MICRO) }
    let job: string | undefined
    const began = Date.now()
    const onJob = (id: string): void => {
      job = id
    }
    const onProgress = (progress: Progress): void => {
      running.set(progress.job, progress)
      show()
    }
    try {
      const indexes = type === 'filter' ? { indexes: true } : {}
      const spec = { ...task, type, items, firstIndex: first, ...indexes, ...maxPrice }
      const { result, report } = await runJob(operations, spec, { onJob, onProgress, signal })
      size.took(lines.length, Date.now() - began)
      paid = report.paid
      spent += paid
      const results = result as unknown[]
      // what passes a filter passes as it came; a text becomes JSON where all has to be
      const given = lines.map((line, i) =>
        asJson && typeof items[i] === 'string' ? Buffer.from(toJson(items[i])) : line
      )
      const output =
        type === 'filter'
          ? results.map(index => given[Number(index) - first]!)
          : results.map(result => Buffer.from(lineOf(result, asJson)))
      return { items: lines.length, output }
    } catch (error) {
      if (signal.aborted && job != null) await operations.compute.cancel({ id: job })
      else if (job != null) await explain(job, first, error as Error)
      throw error
    } finally {
      if (job != null) running.delete(job)
      if (bound != null) budget?.end(bound, paid)
    }
  }

  /** Says where it was: the failure names the first item of its slice. */
  async function explain(job: string, first: number, error: Error): Promise<void> {
    const { failure } = await operations.compute.job({ id: job }, { signal })
    if (failure?.unit != null)
      error.message = `in the lines from ${first + failure.unit + 1} on: ${failure.message}`
  }

  function show(): void {
    const workers = Math.max(0, ...[...running.values()].map(progress => progress.workers))
    const paid = [...running.values()].reduce((sum, progress) => sum + progress.paid, spent)
    status.update({ done, read, workers, paid, elapsedMs: Date.now() - started })
  }

  async function write({ items, output }: Awaited<ReturnType<typeof run>>): Promise<void> {
    done += items
    show()
    if (output.length === 0) return
    const bytes = Buffer.concat(output.flatMap(line => [line, END]))
    // somebody slow reads: nothing more is read either
    if (!process.stdout.write(bytes)) await once(process.stdout, 'drain', { signal })
  }

  try {
    await inOrder(
      batchesOf(linesOf(process.stdin), () => size.items, signal),
      WINDOW,
      run,
      write
    )
    status.end()
    if (options.quiet !== true)
      process.stderr.write(`${done} lines in ${duration(Date.now() - started)}, ${credits(spent)} credits\n`)
    return 0
  } catch (error) {
    status.end()
    const isInterrupted = interrupted.aborted
    const isUnread = broken.signal.aborted
    broken.abort()
    await Promise.all([...running.keys()].map(id => operations.compute.cancel({ id })))
    if (isUnread) return 0
    if (error instanceof BudgetError) error.message += ` (${done} lines are done)`
    if (!isInterrupted) throw error
    process.stderr.write(`artel: interrupted after ${done} lines\n`)
    return EXIT.interrupted
  }
}

function valueOfLine(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    // not JSON: a text
    return line
  }
}

const lineOf = (value: unknown, asJson: boolean): string =>
  typeof value === 'string' && !asJson ? value : (toJson(value) ?? 'null')
