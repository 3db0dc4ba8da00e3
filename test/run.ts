import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { join, resolve } from 'node:path'

/**
 * All tests, four files at a time: most of a file's time is waiting, for processes to start, leases to end and machines to
 * boot, and four files at a time leave a third of two cores idle.
 */
const JOBS = 4
/** Started first, longest first, so that none of them is left over at the end for one core. */
const LONG = [
  'services/dashboard',
  'integration/evil-workers',
  'integration/faults',
  'integration/package',
  'services/messenger/page',
  'services/messenger/administration',
  'integration/jobs',
  'node/alone',
  'sandbox/hostile',
  'services/files/processes',
  'services/devices/processes',
  'node/cli-alone',
  'services/vm/page',
  'scheduler/tasks-inference',
  'integration/lifecycle',
  'services/tv/page',
  'node/sdk-python',
  'node/cli-run',
  'services/tv/campaigns',
  'services/tv/relay',
  'node/cli-node',
  'node/updates-processes',
  'scheduler/onnx-tests',
  'services/devices/release-processes',
  'services/sas/service',
  'sandbox/sandbox',
  'node/tab',
  'services/vm/troubles',
  'services/dashboard-accounts',
  'services/assistant/own-messenger',
  'services/gateway-hostile',
  'services/accounts-http',
  'services/vm/service',
  'integration/full-disk',
  'node/sdk-peers',
  'sandbox/onnx',
  'services/devices/page',
  'scheduler/tasks-matrix',
  'node/tab-page',
  'scheduler/state',
  'benchmarks/benchmarks',
  'scheduler/values',
  'services/vm/outages',
  'sandbox/determinism',
  'services/vm/hostile-guest',
  'services/sas/money-wire',
  'services/directory',
  'services/gateway',
  'node/create-node',
  'services/vm/kills',
  'integration/power-cut'
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
