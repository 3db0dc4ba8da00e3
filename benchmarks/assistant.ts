import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { openProvider } from '../node/demo/provider.ts'
import type { Row, RunOptions } from './harness/contract.ts'
import { startNode } from './harness/fleet.ts'
import { end, residentMb } from './harness/process.ts'
import { percentile, summary } from './harness/statistics.ts'
import { freePort } from './peers/processes.ts'

const PORTKEY = '@portkey-ai/gateway'
const KEY = 'sk-bench'
const START_MS = 60_000
const DIRECT = 'no gateway'

export const metrics: Record<string, string> = {
  'assistant.latency-p50':
    'a chat completion of a provider on loopback that answers at once, one after the other: median of a run',
  'assistant.memory': 'resident memory of the gateway after that'
}

interface Way {
  peer?: string
  url: string
  headers: Record<string, string>
  pid?: number
}

/** The same question to the same provider: directly, through the assistant of a node, through Portkey's gateway. */
export async function run({ quick, failed }: RunOptions): Promise<Row[]> {
  const rounds = quick ? 1 : 5
  const calls = quick ? 50 : 300
  await using started = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'artel-bench-'))
  started.defer(() => rm(folder, { recursive: true, force: true }))
  const provider = started.use(await openProvider(KEY))
  const own = { authorization: `Bearer ${KEY}` }
  const ways: Way[] = [{ peer: DIRECT, url: provider.url, headers: own }]
  ways.push(await openAssistant(folder, provider.url, started))
  try {
    ways.push({
      ...(await openPortkey(started)),
      headers: { ...own, 'x-portkey-provider': 'openai', 'x-portkey-custom-host': provider.url }
    })
  } catch (error) {
    failed(PORTKEY, error as Error)
  }
  const latency = new Map<Way, number[]>(ways.map(way => [way, []]))
  // in turn, so that a machine that gets slower hits all alike; the first round warms up
  for (let round = 0; round <= rounds; round++)
    for (const way of ways) {
      const times: number[] = []
      for (let i = 0; i < calls; i++) times.push(await ask(way))
      if (round > 0) latency.get(way)!.push(percentile(times, 50))
    }
  const rows = ways.map(way => summary('assistant.latency-p50', 'ms', latency.get(way)!, way.peer))
  for (const { pid, peer } of ways)
    if (pid != null) rows.push(summary('assistant.memory', 'MB', [residentMb(pid).own], peer))
  return rows
}

async function ask({ url, headers }: Way): Promise<number> {
  const body = { model: 'small', max_tokens: 100, messages: [{ role: 'user', content: 'How are you?' }] }
  const from = performance.now()
  const response = await fetch(`${url}/chat/completions`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(body)
  })
  const { choices } = (await response.json()) as { choices?: unknown[] }
  if (choices?.length !== 1) throw new Error(`${url} answered ${response.status}`)
  return performance.now() - from
}

async function openAssistant(folder: string, provider: string, started: AsyncDisposableStack): Promise<Way> {
  const data = join(folder, 'node')
  const flags = ['--gateway-enabled', '--gateway-port', '0', '--assistant-enabled', '--compute', 'false']
  const node = await startNode('seed', data, [...flags, '--assistant-quota-credits', '1000'])
  started.defer(() => end(node.process))
  const { url } = JSON.parse(await readFile(join(data, 'gateway.json'), 'utf8')) as { url: string }
  const headers = { authorization: `Bearer ${(await readFile(join(data, 'gateway-token'), 'utf8')).trim()}` }
  const put = async (path: string, body: object): Promise<void> => {
    const response = await fetch(`${url}/api/v1/assistant/${path}`, {
      method: 'PUT',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify(body)
    })
    if (!response.ok) throw new Error(`${path}: ${await response.text()}`)
  }
  await put('secrets/bench', { value: KEY })
  const models = [{ id: 'small', inputPerMillion: '1000', outputPerMillion: '1000' }]
  await put('providers/bench', { provider: { kind: 'openai', url: provider, secret: 'bench', models } })
  return { url: `${url}/v1`, headers, pid: node.process.pid! }
}

/** Installed by `npm ci --prefix benchmarks/peers`. */
async function openPortkey(started: AsyncDisposableStack): Promise<Omit<Way, 'headers'>> {
  const program = join(import.meta.dirname, 'peers/node_modules', PORTKEY, 'build/start-server.js')
  const port = await freePort()
  const child: ChildProcess = spawn(process.execPath, [program, `--port=${port}`, '--headless'], {
    stdio: 'ignore'
  })
  started.defer(() => end(child))
  const url = `http://127.0.0.1:${port}`
  for (const endAt = performance.now() + START_MS; ; await delay(100)) {
    if (child.exitCode != null || performance.now() > endAt)
      throw new Error('it did not start; install it with: npm ci --prefix benchmarks/peers')
    try {
      await fetch(url)
      return { peer: PORTKEY, url: `${url}/v1`, pid: child.pid! }
    } catch {
      // it does not listen yet
    }
  }
}
