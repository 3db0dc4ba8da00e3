import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { SERVICES, type ServiceModule } from '../services/index.ts'
import type { Row, RunOptions } from './harness/contract.ts'
import { startNode } from './harness/fleet.ts'
import { end, residentMb } from './harness/process.ts'
import { summary } from './harness/statistics.ts'

// What the start left behind has been collected by then.
const IDLE_MS = 5_000

const MODULES = SERVICES as readonly ServiceModule[]
const names = MODULES.map(({ name }) => name)

/** What is switched on in each measurement. */
const CASES: Record<string, string[]> = {
  none: [],
  gateway: ['gateway'],
  ...Object.fromEntries(MODULES.map(module => [module.name, withNeeds(module)])),
  all: ['gateway', ...names]
}

function withNeeds({ name, needs = [] }: ServiceModule): string[] {
  return [name, ...needs.filter(need => names.includes(need))]
}

export const metrics: Record<string, string> = {
  'services.start': 'spawn of `artel start` until it is ready, nothing lent, with what is named switched on',
  'services.memory': 'resident memory of that node after 5 s'
}

export async function run({ quick }: RunOptions): Promise<Row[]> {
  const rounds = quick ? 1 : 3
  await using started = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'artel-bench-'))
  started.defer(() => rm(folder, { recursive: true, force: true }))
  const seed = await startNode('seed', join(folder, 'seed'), ['--compute', 'false'])
  started.defer(() => end(seed.process))
  const network = ['--seed', seed.address, '--network', join(folder, 'seed/network.json')]

  const figures = new Map(
    Object.keys(CASES).map(name => [name, { start: [] as number[], memory: [] as number[] }])
  )
  // one after the other in each round, so that a busy minute is not that of one service
  for (let round = 0; round <= rounds; round++)
    for (const [name, on] of Object.entries(CASES)) {
      const flags = ['gateway', ...names].flatMap(each => [`--${each}-enabled`, String(on.includes(each))])
      const node = await startNode('start', join(folder, name), [
        ...network,
        ...['--compute', 'false', '--gateway-port', '0'],
        ...flags
      ])
      try {
        if (round === 0) continue // files are in the page cache from here on
        await delay(quick ? 1000 : IDLE_MS)
        figures.get(name)!.start.push(node.readyMs)
        figures.get(name)!.memory.push(residentMb(node.process.pid!).own)
      } finally {
        await end(node.process)
      }
    }
  return [...figures].flatMap(([name, { start, memory }]) => [
    summary('services.start', 'ms', start, name),
    summary('services.memory', 'MB', memory, name)
  ])
}
