import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { join, resolve } from 'node:path'

/**
 * All tests, four files at a time: most of a file's time is waiting, for processes to start, leases to end and machines to
 * boot, and two files at a time leave half of two cores idle.
 */
const JOBS = 6
/** Started first, longest first, so that none of them is left over at the end for one core. */
const LONG = [
  'services/dashboard',
  'integration/package',
  'integration/faults',
  'integration/jobs',
  'integration/evil-workers',
  'services/files/processes',
  'node/cli-run',
  'integration/full-disk',
  'node/cli-alone',
  'node/cli-node',
  'services/devices/processes',
  'integration/lifecycle',
  'node/alone',
  'integration/delegation',
  'scheduler/values',
  'scheduler/shuffle-nodes',
  'services/vm/move',
  'services/vm/hostile-guest',
  'services/vm/service',
  'ledger/kills',
  'scheduler/tasks-matrix'
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
