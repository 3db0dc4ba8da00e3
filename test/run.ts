import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { join, resolve } from 'node:path'

/**
 * All tests, two files at a time: most of them wait for processes and networks of their own, and those of three together keep
 * two cores so busy that the longest of them come close to their time limits.
 */
const JOBS = 2
/** Started first, longest first, so that none of them is left over at the end for one core. */
const LONG = [
  'node/cli-run',
  'node/cli-node',
  'node/cli-alone',
  'integration/faults',
  'integration/evil-workers',
  'integration/jobs',
  'integration/lifecycle',
  'services/dashboard',
  'integration/package',
  'integration/full-disk',
  'ledger/kills',
  'node/alone',
  'integration/delegation',
  'ledger/processes',
  'sandbox/hostile'
]

const files = globSync('test/**/*.spec.ts').sort()
const long = LONG.map(name => `test/${name}.spec.ts`)
const ordered = [...long, ...files.filter(file => !long.includes(file))]

const mocha = spawn(
  join('node_modules', '.bin', 'mocha'),
  ['--parallel', `--jobs=${JOBS}`, '--reporter=test/reporter.ts', ...process.argv.slice(2), ...ordered],
  // TypeScript is compiled once for all processes that the tests start
  { stdio: 'inherit', env: { NODE_COMPILE_CACHE: resolve('node_modules/.cache/artel'), ...process.env } }
)
mocha.on('close', (code, signal) => {
  if (signal != null) console.error(`mocha was ended by ${signal}`)
  process.exitCode = code ?? 1
})
