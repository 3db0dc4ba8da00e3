import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { openTabs, type Tabs } from '../node/demo/browser-tabs.ts'
import { type ArtelNode, createNode, loadConfig } from '../node/index.ts'
import type { Row, RunOptions } from './harness/contract.ts'
import { startNode } from './harness/fleet.ts'
import { cpuBetween, cpuTimes, end } from './harness/process.ts'
import { ROOT } from './harness/report.ts'
import { beside, besideRows, summary } from './harness/statistics.ts'
import { peerVersions, present } from './peers/index.ts'
import { PANDO, startPando } from './peers/pando.ts'

const NATIVE = 'native slot'
const DEADLINE_MS = 300_000
const POLL_MS = 10
const KB = 1000
const ASSETS = join(ROOT, 'services/gateway/ui/dist/assets')

export const metrics: Record<string, string> = {
  'browser.primes':
    '500,000 numbers from 10^9 tested by trial division, one tab of Chromium, without replicas',
  'browser.primes-share':
    'speed of browser.primes as a multiple of the peer; one slot of a node is to be had 0.7 times',
  'browser.primes-cpu': 'CPU time of all processes of browser or worker for it',
  'browser.primes-cpu-share':
    'the CPU time that the peer takes for browser.primes as a multiple of the tab’s',
  'browser.items': 'sin, exp and ** of 20,000 numbers, one tab, without replicas',
  'browser.items-share': 'speed of browser.items as a multiple of the peer',
  'browser.join': 'button pressed until the node has the tab as a worker',
  'browser.load': 'bytes over the line, compressed, of the script that lends'
}

const PRIMES = `n => {
  let count = 0
  for (let k = 1e9 + n * 500; k < 1e9 + (n + 1) * 500; k++) {
    let factor = 2
    while (factor * factor <= k && k % factor !== 0) factor++
    if (factor * factor > k) count++
  }
  return count
}`
const WAVE = 'x => Math.sin(x) * Math.exp(x / 3000) + x ** 0.3'

interface Work {
  metric: string
  fn: string
  /** it is calculated for 1 to this number */
  last: number
}

/** A tab, a slot of a node behind all walls, and a tab of Pando, one after the other on the same work. */
export async function run({ quick, failed }: RunOptions): Promise<Row[]> {
  const rounds = quick ? 1 : 5
  await using started = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'artel-bench-'))
  started.defer(() => rm(folder, { recursive: true, force: true }))
  const node = started.adopt(await openNode(join(folder, 'seed')), it => it.stop())
  const tabs = started.use(await openTabs())
  const worker = await startNode('start', join(folder, 'worker'), [
    ...['--seed', node.addresses()[0]!, '--network', join(folder, 'seed/network.json')],
    ...['--slots', '1', '--gateway-enabled', 'false', '--trusted-peer', '*']
  ])
  started.defer(() => end(worker.process))
  await workers(node, 1)
  const slot = node.scheduler.workers()[0]!.peer
  const hasPando = (await present([PANDO])).has(PANDO.name)

  const joins: number[] = []
  for (let round = 0; round < rounds; round++) {
    const begin = performance.now()
    const tab = await tabs.lend('tab', node.gateway!.url!)
    await workers(node, 2)
    joins.push(performance.now() - begin)
    await tab.close()
    await workers(node, 1)
  }
  const tab = await tabs.lend('tab', node.gateway!.url!)
  await workers(node, 2)
  const rows: Row[] = []
  const works: Work[] = [
    { metric: 'browser.primes', fn: PRIMES, last: quick ? 100 : 1_000 },
    { metric: 'browser.items', fn: WAVE, last: 20_000 }
  ]
  for (const work of works) {
    const { value: expected } = await compute(node, slot, work)
    const at = async (peer: string): Promise<number> => {
      const { ms, value } = await compute(node, peer, work)
      if (`${value}` !== `${expected}`) throw new Error('the tab calculated something else than the slot')
      return ms
    }
    await using pando = hasPando ? await openPando(tabs, work) : undefined
    const cpu = createCpuMeter()
    const peers: Record<string, () => Promise<number>> = {
      [NATIVE]: cpu.metered(NATIVE, worker.process.pid!, () => at(slot)),
      ...(pando && { [PANDO.name]: cpu.metered(PANDO.name, tabs.pid, pando.run) })
    }
    const measured = await beside(
      rounds,
      cpu.metered('', tabs.pid, () => at(tab.id)),
      peers,
      failed
    )
    rows.push(...besideRows(work.metric, 'ms', measured, `${work.metric}-share`))
    if (work.metric !== 'browser.primes') continue
    const used = {
      artel: cpu.samples(''),
      peers: measured.peers.map(([name]) => [name, cpu.samples(name)] as [string, number[]])
    }
    rows.push(...besideRows('browser.primes-cpu', 'ms', used, 'browser.primes-cpu-share'))
  }
  await tabs.end()
  return [...rows, summary('browser.join', 'ms', joins), summary('browser.load', 'kB', [await scriptKb()])]
}

export const versions = async (): Promise<Record<string, string>> => peerVersions([PANDO])

/** Collects what CPU time a process and what it started took for each run. */
function createCpuMeter() {
  const all = new Map<string, number[]>()
  return {
    metered: (name: string, pid: number, work: () => Promise<number>) => async (): Promise<number> => {
      const before = cpuTimes(pid)
      const ms = await work()
      all.set(name, [...(all.get(name) ?? []), cpuBetween(before, cpuTimes(pid))])
      return ms
    },
    /** without the first run, which warms up */
    samples: (name: string): number[] => all.get(name)!.slice(1)
  }
}

/** Whose jobs they are; it computes nothing and serves the page. */
function openNode(data: string): Promise<ArtelNode> {
  const flags = { data, compute: false, logLevel: 'error', role: 'seed', trustedPeers: ['*'] }
  const gateway = { 'gateway.enabled': true, 'gateway.port': 0, 'gateway.volunteers': true }
  return createNode(loadConfig({ environment: {}, flags: { ...flags, ...gateway } }), { founds: true })
}

async function workers({ scheduler }: ArtelNode, count: number): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS
  while (scheduler.workers().length !== count) {
    if (performance.now() > deadline) throw new Error(`there were never ${count} workers`)
    await setTimeout(POLL_MS)
  }
}

/** ms from submit to result, at one worker. */
async function compute(
  node: ArtelNode,
  peer: string,
  { fn, last }: Work
): Promise<{ ms: number; value: unknown }> {
  const spec = {
    ...{ type: 'map', range: { start: 1, end: last }, fn },
    ...{ verify: 'none', privacy: { workers: [peer] } }
  }
  const begin = performance.now()
  const job = await node.submit(spec, { signal: AbortSignal.timeout(DEADLINE_MS) })
  const value = await job.result()
  const ms = performance.now() - begin
  // its settlement is not part of the next one's time
  await job.settled()
  return { ms, value }
}

async function openPando(tabs: Tabs, { fn, last }: Work) {
  const pando = await startPando(fn)
  const page = await tabs.open(pando.url)
  const numbers = Array.from({ length: last }, (_, i) => i + 1)
  return {
    async run(): Promise<number> {
      const begin = performance.now()
      const results = await pando.map(numbers)
      if (results.length !== last) throw new Error(`${results.length} results of ${last}`)
      return performance.now() - begin
    },
    async [Symbol.asyncDispose]() {
      await page.context().close()
      await pando[Symbol.asyncDispose]()
    }
  }
}

async function scriptKb(): Promise<number> {
  const [script] = (await readdir(ASSETS)).filter(name => /^tab-.*\.js\.br$/.test(name))
  return (await stat(join(ASSETS, script!))).size / KB
}
