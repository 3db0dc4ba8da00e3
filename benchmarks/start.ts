import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Row, RunOptions } from './harness/contract.ts'
import { startNode } from './harness/fleet.ts'
import { end, ownCpuMs, residentMb } from './harness/process.ts'
import { summary } from './harness/statistics.ts'

// What the start left behind has been collected by then, also in a quick run.
const IDLE_MS = 10_000
const QUICK_IDLE_MS = 4_000

export const metrics: Record<string, string> = {
  'start.cold': 'spawn of `artel start` with a new data folder until it says ready, warm sandboxes included',
  'start.again': 'the same with the data folder of an earlier run',
  'start.idle-memory': 'resident memory of the process of a node that joined a network and idles for 10 s',
  'start.idle-sandboxes':
    'resident memory of the sandbox processes that it keeps warm, shared pages counted in each',
  'start.device-cpu':
    'CPU time of `artel start --profile device`, with the log of this computer, from its spawn until it says ready',
  'start.device-memory': 'resident memory of that node, idle for 10 s'
}

export async function run({ quick, failed }: RunOptions): Promise<Row[]> {
  const rounds = quick ? 1 : 5
  await using started = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'artel-bench-'))
  started.defer(() => rm(folder, { recursive: true, force: true }))
  const seed = await startNode('seed', join(folder, 'seed'), ['--compute', 'false'])
  started.defer(() => end(seed.process))
  const network = ['--seed', seed.address, '--network', join(folder, 'seed/network.json')]

  const cold: number[] = []
  const again: number[] = []
  const memory: number[] = []
  const sandboxes: number[] = []
  for (let round = 0; round <= rounds; round++) {
    const data = join(folder, `node-${round}`)
    const first = await startNode('start', data, network)
    await end(first.process)
    const second = await startNode('start', data, network)
    try {
      if (round === 0) continue // files are in the page cache from here on
      cold.push(first.readyMs)
      again.push(second.readyMs)
      if (round > 3) continue
      await delay(quick ? QUICK_IDLE_MS : IDLE_MS)
      const { own, children } = residentMb(second.process.pid!)
      memory.push(own)
      sandboxes.push(children)
    } finally {
      await end(second.process)
    }
  }
  // a commit to compare with may know no such node
  const device = await deviceRows(folder, network, quick).catch(error => {
    failed('start.device', error)
    return []
  })
  return [
    summary('start.cold', 'ms', cold),
    summary('start.again', 'ms', again),
    summary('start.idle-memory', 'MB', memory),
    summary('start.idle-sandboxes', 'MB', sandboxes),
    ...device
  ]
}

async function deviceRows(folder: string, network: string[], quick: boolean): Promise<Row[]> {
  const flags = ['--profile', 'device', '--devices-enabled', '--host-metrics-enabled', ...network]
  const cpu: number[] = []
  const memory: number[] = []
  for (let round = 0; round <= (quick ? 1 : 3); round++) {
    const node = await startNode('start', join(folder, 'board'), flags)
    try {
      if (round === 0) continue
      cpu.push(ownCpuMs(node.process.pid!))
      await delay(quick ? QUICK_IDLE_MS : IDLE_MS)
      memory.push(residentMb(node.process.pid!).own)
    } finally {
      await end(node.process)
    }
  }
  return [summary('start.device-cpu', 'ms', cpu), summary('start.device-memory', 'MB', memory)]
}
