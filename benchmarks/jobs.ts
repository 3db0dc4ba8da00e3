import type { Row, RunOptions } from './harness/contract.ts'
import { startFleet } from './harness/fleet.ts'
import { alternate, percentile, ratios, summary } from './harness/statistics.ts'
import { COMPUTATIONS, computationSpec, threads } from './peers/index.ts'

const BATCH = 16_384
const CONFIDENCE = { confidence: 0.99 }
const THREADS = 'worker_threads'

export const metrics: Record<string, string> = {
  'jobs.tasks-per-second': 'tiny tasks in batches of 16,384, 2 under way, confidence 0.99, honest workers',
  'jobs.latency-p50': 'one warm tiny job, submit to verified result: median of a run',
  'jobs.compute': 'primes up to 10^7 by trial division, two workers, without replicas',
  'jobs.compute-verified': 'the same with confidence 0.99',
  'jobs.compute-share': 'speed of jobs.compute as a share of plain worker threads',
  'jobs.compute-verified-share': 'speed of jobs.compute-verified as a share of plain worker threads'
}

export async function run({ quick }: RunOptions): Promise<Row[]> {
  const rounds = quick ? 1 : 3
  await using fleet = await startFleet({ workers: 2 })
  return [...(await tiny(fleet.client, rounds, quick)), ...(await compute(fleet.client, rounds, quick))]
}

type Client = Awaited<ReturnType<typeof startFleet>>['client']

async function tiny(client: Client, rounds: number, quick: boolean): Promise<Row[]> {
  const tasks = (quick ? 1 : 4) * BATCH
  const { rate, latency } = await alternate(rounds, {
    rate: async () =>
      (tasks * 1000) / (await client.call('batches', { tasks, size: BATCH, atOnce: 2, verify: CONFIDENCE })),
    latency: async () => percentile(await client.call('latencies', { jobs: quick ? 20 : 100 }), 50)
  })
  return [summary('jobs.tasks-per-second', 'tasks/s', rate), summary('jobs.latency-p50', 'ms', latency)]
}

async function compute(client: Client, rounds: number, quick: boolean): Promise<Row[]> {
  const [primes] = COMPUTATIONS[quick ? 'quick' : 'full'] as [(typeof COMPUTATIONS)['full'][number]]
  const spec = await computationSpec(primes)
  const right = ({ ms, value }: { ms: number; value: unknown }): number => {
    if (value !== primes.value)
      throw new Error(`there are ${primes.value} primes up to ${primes.end}, got ${value}`)
    return ms
  }
  const times = await alternate(rounds, {
    plain: async () => right(await client.call('job', { ...spec, verify: 'none' })),
    threads: async () => right(await threads(primes)),
    verified: async () => right(await client.call('job', { ...spec, verify: CONFIDENCE }))
  })
  return [
    summary('jobs.compute', 'ms', times.plain),
    summary('jobs.compute', 'ms', times.threads, THREADS),
    summary('jobs.compute-verified', 'ms', times.verified),
    summary('jobs.compute-share', '×', ratios(times.threads, times.plain), THREADS),
    summary('jobs.compute-verified-share', '×', ratios(times.threads, times.verified), THREADS)
  ]
}
