import { parseArgs } from 'node:util'
import { benchNames, loadBench } from './harness/benches.ts'
import { compare } from './harness/compare.ts'
import type { Report, RunOptions } from './harness/contract.ts'
import { writeReadme } from './harness/readme.ts'
import { asMarkdown, asText, commit, machine, versions } from './harness/report.ts'

const USAGE = `usage: npm run bench -- [NAME | compare BASE [NAME]] [--json | --markdown] [--write] [--quick] [--profile FOLDER]
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
  if (rest.length > 0) throw new UsageError(`one bench at a time, got ${positionals.join(' ')}`)
  if (first !== 'all') known(first)
  const report = await measure(first, { quick: values.quick, profiles: values.profile })
  print(report, values)
  if (values.write) await writeReadme(report)
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

async function measure(name: string, options: RunOptions): Promise<Report> {
  const report: Report = {
    bench: name,
    commit: commit(),
    machine: machine(),
    versions: versions(),
    rows: []
  }
  for (const each of name === 'all' ? benchNames() : [name]) {
    const bench = await loadBench(each)
    console.error(`${each} …`)
    report.rows.push(...(await bench.run(options)))
    Object.assign(report.versions, await bench.versions?.())
  }
  return report
}

function print(report: Report, { json, markdown }: { json: boolean; markdown: boolean }): void {
  if (json) console.log(JSON.stringify(report, null, 2))
  else console.log(markdown ? asMarkdown(report) : asText(report))
}
