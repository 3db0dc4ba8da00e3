import { parseArgs } from 'node:util'
import { benchNames, loadBench } from './harness/benches.ts'
import { budgetOf } from './harness/budget.ts'
import { compare } from './harness/compare.ts'
import type { Report, RunOptions } from './harness/contract.ts'
import { profileInto } from './harness/profiles.ts'
import { writeReadme } from './harness/readme.ts'
import { asMarkdown, asText, commit, machine, versions } from './harness/report.ts'

const USAGE = `usage: npm run bench -- [NAME | compare BASE [NAME] | budget FOLDER [BYTES]] [--json | --markdown] [--write] [--quick] [--profile FOLDER [--walls]]
benches: ${benchNames().join(', ')}; without NAME all of them`

const EXIT_USAGE = 2

class UsageError extends Error {
  override name = 'UsageError'
}

try {
  await main()
} catch (error) {
  const known = error instanceof UsageError
  console.error(known ? error.message : error)
  process.exitCode = known ? EXIT_USAGE : 1
}

async function main(): Promise<void> {
  const { values, positionals } = read()
  if (values.help) {
    console.log(USAGE)
    return
  }
  const [first = 'all', ...rest] = positionals
  if (first === 'compare') {
    const [base, name = 'dispatch'] = rest
    if (base == null) throw new UsageError('compare takes a commit to compare with, as in: compare HEAD~1')
    known(name)
    print(await compare(base, name, values.quick), values)
    return
  }
  if (first === 'budget') {
    const [folder, bytes] = rest
    if (folder == null)
      throw new UsageError('budget takes the folder of --profile, and how many bytes were moved')
    console.log(budgetOf(folder, bytes == null ? undefined : Number(bytes)))
    return
  }
  if (rest.length > 0) throw new UsageError(`one bench at a time, got ${positionals.join(' ')}`)
  if (first !== 'all') known(first)
  const endProfiles =
    values.profile == null ? undefined : await profileInto(values.profile, { walls: values.walls })
  const reports: Report[] = []
  for (const name of first === 'all' ? benchNames() : [first]) {
    const report = await measure(name, { quick: values.quick })
    reports.push(report)
    // at once: an hour later the machine may be gone
    if (values.write && report.rows.length > 0) await writeReadme(report)
  }
  await endProfiles?.()
  print(first === 'all' ? together(reports) : reports[0]!, values)
  if (reports.some(({ rows }) => rows.length === 0)) process.exitCode = 1
}

function read() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        json: { type: 'boolean', default: false },
        markdown: { type: 'boolean', default: false },
        quick: { type: 'boolean', default: false },
        profile: { type: 'string' },
        walls: { type: 'boolean', default: false },
        write: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false }
      }
    })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function known(name: string): void {
  const names = benchNames()
  if (!names.includes(name))
    throw new UsageError(`there is no bench "${name}"; there are ${names.join(', ')}`)
}

/** One bench. Where it fails, the report says why and has no rows: the others still count. */
async function measure(name: string, options: Omit<RunOptions, 'failed'>): Promise<Report> {
  console.error(`${name} …`)
  const bench = await loadBench(name)
  const failures: Record<string, string> = {}
  const failed = (what: string, { message, stack }: Error): void => {
    failures[what] = message
    console.error(`${what} failed: ${stack}`)
  }
  const report: Report = {
    bench: name,
    commit: commit(),
    machine: machine(),
    versions: { ...versions(), ...(await bench.versions?.()) },
    rows: []
  }
  try {
    report.rows = await bench.run({ ...options, failed })
  } catch (error) {
    failed(name, error as Error)
  }
  return Object.keys(failures).length === 0 ? report : { ...report, failed: failures }
}

/** The reports of all benches as one. */
function together(reports: Report[]): Report {
  const failures = Object.assign({}, ...reports.map(({ failed }) => failed))
  return {
    ...reports[0]!,
    bench: 'all',
    versions: Object.assign({}, ...reports.map(({ versions }) => versions)),
    rows: reports.flatMap(({ rows }) => rows),
    ...(Object.keys(failures).length === 0 ? {} : { failed: failures })
  }
}

function print(report: Report, { json, markdown }: { json: boolean; markdown: boolean }): void {
  if (json) console.log(JSON.stringify(report, null, 2))
  else console.log(markdown ? asMarkdown(report) : asText(report))
}
