import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeValue } from '../sandbox/index.ts'
import { openStore } from '../scheduler/store/job-store.ts'
import type { Row, RunOptions } from './harness/contract.ts'
import { startNode } from './harness/fleet.ts'
import { HttpConnection } from './harness/http-client.ts'
import { end, ownCpuMs } from './harness/process.ts'
import { percentile, summary } from './harness/statistics.ts'

const TINY = JSON.stringify({ type: 'range_reduce', start: 1, end: 1000, operation: 'sum' })
const TINY_RESULT = 500_500
const SUBMIT = '/api/v1/tasks?wait=30000'
const CONNECTIONS = 32
const JOBS = 100_000

export const metrics: Record<string, string> = {
  'gateway.latency-p50':
    '`POST /api/v1/tasks?wait` of a tiny task to its result, one after the other: median of a run',
  'gateway.requests-per-second': 'the same over 32 connections, together with the work, all on this machine',
  'gateway.cpu-per-request': 'CPU time of the node, without its walled processes, for one of those requests',
  'gateway.read-latency-p50': '`GET /api/v1/tasks/:id` of a finished job: median of a run',
  'gateway.list-latency-p50': 'first page of 50 of a list of 100,000 jobs: median of a run'
}

/** A seed that is the witness, and the node that is asked and does the work itself. */
export async function run({ quick }: RunOptions): Promise<Row[]> {
  const rounds = quick ? 1 : 3
  const share = quick ? 10 : 1
  await using started = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'artel-bench-'))
  started.defer(() => rm(folder, { recursive: true, force: true }))
  const seed = await startNode('seed', join(folder, 'seed'), ['--compute', 'false'])
  started.defer(() => end(seed.process))
  const data = join(folder, 'node')
  const network = ['--seed', seed.address, '--network', join(folder, 'seed/network.json')]
  // a folder with jobs and without a key is a damaged one
  await end((await startNode('start', data, network)).process)
  fill(data, JOBS / share)
  const flags = [...network, '--slots', '1', '--gateway-enabled', 'true', '--gateway-port', '0']
  const node = await startNode('start', data, flags)
  started.defer(() => end(node.process))
  const { url } = JSON.parse(await readFile(join(data, 'gateway.json'), 'utf8'))
  const token = (await readFile(join(data, 'gateway-token'), 'utf8')).trim()
  const connections = await Promise.all(
    Array.from({ length: CONNECTIONS }, () => HttpConnection.open(url, token))
  )
  for (const connection of connections) started.defer(() => connection.close())
  const first = connections[0]!

  const samples = {
    latency: [] as number[],
    rate: [] as number[],
    cpu: [] as number[],
    read: [] as number[],
    list: [] as number[]
  }
  for (let round = 0; round <= rounds; round++) {
    const job = await submit(first)
    const latency = await times(200 / share, () => submit(first))
    const cpuBefore = ownCpuMs(node.process.pid!)
    const rate = await flood(connections, 10_000 / share)
    const cpu = (ownCpuMs(node.process.pid!) - cpuBefore) / (10_000 / share)
    const read = await times(1000 / share, () => get(first, `/api/v1/tasks/${job}`))
    const list = await times(200 / share, () => get(first, '/api/v1/tasks?limit=50'))
    if (round === 0) continue // warms up
    samples.latency.push(percentile(latency, 50))
    samples.rate.push(rate)
    samples.cpu.push(cpu)
    samples.read.push(percentile(read, 50))
    samples.list.push(percentile(list, 50))
  }
  return [
    summary('gateway.latency-p50', 'ms', samples.latency),
    summary('gateway.requests-per-second', 'requests/s', samples.rate),
    summary('gateway.cpu-per-request', 'ms', samples.cpu),
    summary('gateway.read-latency-p50', 'ms', samples.read),
    summary('gateway.list-latency-p50', 'ms', samples.list)
  ]
}

/** A node's store as if it had done many jobs before. */
function fill(data: string, jobs: number): void {
  const store = openStore(join(data, 'jobs.sqlite'))
  const specs = encodeValue([JSON.parse(TINY)])
  const from = Date.now() - jobs
  store.db.exec('PRAGMA synchronous = OFF')
  for (let i = 0; i < jobs; i++) {
    const id = i.toString(16).padStart(16, '0')
    store.addJob({ id, type: 'range_reduce', submitted: from + i, bound: 1n }, specs)
    store.endJob(id, {
      state: 'completed',
      finished: from + i,
      done: 1000,
      total: 1000,
      retries: 0,
      shares: []
    })
    store.settled(id)
  }
  store.close()
}

/** Id of a job whose result was right. */
async function submit(connection: HttpConnection): Promise<string> {
  const { status, body } = await connection.ask('POST', SUBMIT, TINY)
  const { job, result } = JSON.parse(body)
  if (status !== 200 || result !== TINY_RESULT) throw new Error(`a tiny task gave ${status} ${body}`)
  return job.job
}

async function get(connection: HttpConnection, path: string): Promise<void> {
  const { status, body } = await connection.ask('GET', path)
  if (status !== 200) throw new Error(`${path} gave ${status} ${body}`)
}

async function times(count: number, work: () => Promise<unknown>): Promise<number[]> {
  const samples: number[] = []
  for (let i = 0; i < count; i++) {
    const started = performance.now()
    await work()
    samples.push(performance.now() - started)
  }
  return samples
}

/** Requests per second over all connections, each with one under way. */
async function flood(connections: HttpConnection[], requests: number): Promise<number> {
  let left = requests
  const started = performance.now()
  await Promise.all(
    connections.map(async connection => {
      while (left-- > 0) await submit(connection)
    })
  )
  return (requests * 1000) / (performance.now() - started)
}
