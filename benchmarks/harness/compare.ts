import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Report, Row } from './contract.ts'
import { end } from './process.ts'
import { ROOT } from './report.ts'
import { ratios, summary } from './statistics.ts'

const ROUNDS = 3
const run = promisify(execFile)

/**
 * Measures this working copy and the commit `base` in turn, A B A B, with this working copy's benchmarks. Three rows
 * per metric: this copy, `base`, and the ratio this ÷ base of neighbouring runs.
 */
export async function compare(base: string, bench: string, quick: boolean): Promise<Report> {
  await using started = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'artel-compare-'))
  started.defer(() => rm(folder, { recursive: true, force: true }))
  const other = join(folder, 'base')
  await run('git', ['worktree', 'add', '--detach', other, base], { cwd: ROOT })
  started.defer(async () => {
    await run('git', ['worktree', 'remove', '--force', other], { cwd: ROOT })
  })
  await symlink(join(ROOT, 'node_modules'), join(other, 'node_modules'))
  // the dashboard and the bundle of libraries, as \`npm ci\` makes them
  await run('npm', ['run', '--silent', '--if-present', 'prepare'], { cwd: other })
  // the same ruler for both
  await rm(join(other, 'benchmarks'), { recursive: true, force: true })
  const peers = join('benchmarks', 'peers', 'node_modules')
  await cp(join(ROOT, 'benchmarks'), join(other, 'benchmarks'), {
    recursive: true,
    filter: source => source !== join(ROOT, peers)
  })
  if (existsSync(join(ROOT, peers))) await symlink(join(ROOT, peers), join(other, peers))

  const here: Report[] = []
  const there: Report[] = []
  for (let round = 0; round < (quick ? 1 : ROUNDS); round++) {
    console.error(`round ${round + 1}: this working copy`)
    here.push(await measure(ROOT, bench, quick))
    console.error(`round ${round + 1}: ${base}`)
    there.push(await measure(other, bench, quick))
  }
  const rows = here[0]!.rows.filter(row => row.peer == null).flatMap(row => rowsOf(row, here, there, base))
  return { ...here[0]!, bench: `${bench} against ${base} (${there[0]!.commit.replace('+', '')})`, rows }
}

function rowsOf({ metric, unit }: Row, here: Report[], there: Report[], base: string): Row[] {
  const medians = (reports: Report[]): number[] =>
    reports.flatMap(({ rows }) => rows.find(row => row.metric === metric && row.peer == null)?.median ?? [])
  const a = medians(here)
  const b = medians(there)
  if (b.length < a.length) return [summary(metric, unit, a)]
  return [
    summary(metric, unit, a),
    summary(metric, unit, b, base),
    summary(metric, '×', ratios(a, b), `this ÷ ${base}`)
  ]
}

/** Runs one bench in the checkout at `root`. */
async function measure(root: string, bench: string, quick: boolean): Promise<Report> {
  const args = ['--no-node-snapshot', join(root, 'benchmarks/run.ts'), bench, '--json']
  const child = spawn(process.execPath, quick ? [...args, '--quick'] : args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit']
  })
  try {
    let text = ''
    child.stdout.setEncoding('utf8').on('data', chunk => {
      text += chunk
    })
    const [code] = await once(child, 'close')
    if (code !== 0) throw new Error(`the bench ${bench} failed in ${root}; its own words are above`)
    return JSON.parse(text)
  } finally {
    await end(child)
  }
}
