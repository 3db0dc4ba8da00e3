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
  'integration/package',
  'integration/evil-workers',
  'integration/faults',
  'integration/jobs',
  'services/files/processes',
  'sandbox/hostile',
  'services/devices/processes',
  'services/vm/page',
  'node/cli-run',
  'services/messenger/page',
  'services/messenger/administration',
  'node/tab',
  'node/alone',
  'node/cli-alone',
  'services/tv/campaigns',
  'node/sdk',
  'node/cli-node',
  'integration/full-disk',
  'services/vm/kills',
  'services/tv/page',
  'services/sas/service',
  'services/tv/relay',
  'services/dashboard-accounts',
  'services/gateway-hostile',
  'sandbox/determinism',
  'integration/lifecycle',
  'node/tab-page',
  'scheduler/tasks-inference',
  'scheduler/onnx-tests',
  'services/vm/troubles',
  'services/vm/service',
  'services/vm/hostile-guest',
  'scheduler/shuffle-nodes'
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
