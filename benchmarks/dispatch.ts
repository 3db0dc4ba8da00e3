import type { Row, RunOptions } from './harness/contract.ts'
import { startFleet } from './harness/fleet.ts'
import { percentile, summary } from './harness/statistics.ts'

const LARGEST = 100_000
// Small batches are given several at a time, as a client does that wants throughput; a large one fills the workers.
const BATCHES = [
  { size: 64, atOnce: 8 },
  { size: 1024, atOnce: 4 },
  { size: 16_384, atOnce: 2 },
  { size: LARGEST, atOnce: 1 }
]

const ROLE_NAMES = {
  client: 'the client',
  workers: 'the two workers together',
  sandbox: 'their walled processes together',
  seed: 'the seed, which is the witness'
}
const ROLES = Object.keys(ROLE_NAMES) as (keyof typeof ROLE_NAMES)[]

export const metrics: Record<string, string> = {
  ...Object.fromEntries(
    BATCHES.map(({ size, atOnce }) => [
      `dispatch.tasks-per-second.${size}`,
      `tiny tasks through submitMany in batches of ${size.toLocaleString('en-US')}, ${atOnce} under way`
    ])
  ),
  ...Object.fromEntries(
    ROLES.map(role => [
      `dispatch.cpu-per-task.${role}`,
      `CPU time of ${ROLE_NAMES[role]} per task, in the largest batches`
    ])
  ),
  'dispatch.latency-p50': 'one warm tiny job, submit to verified result: median of a run',
  'dispatch.latency-p99': 'the same: 99th percentile of a run'
}

/** Tiny tasks (`range_reduce 1..1000`) through two worker processes on loopback, noise-encrypted, walled. */
export async function run({ quick }: RunOptions): Promise<Row[]> {
  const rounds = quick ? 1 : 3
  const tasks = quick ? 2000 : 100_000
  const jobs = quick ? 20 : 200
  await using fleet = await startFleet({ workers: 2 })
  const { client } = fleet

  await client.call('latencies', { jobs })
  const p50: number[] = []
  const p99: number[] = []
  for (let round = 0; round < rounds; round++) {
    const samples = await client.call('latencies', { jobs })
    p50.push(percentile(samples, 50))
    p99.push(percentile(samples, 99))
  }

  const costs = ROLES.map(() => [] as number[])
  const rates = BATCHES.map(() => [] as number[])
  for (let round = 0; round <= rounds; round++)
    for (const [i, { size, atOnce }] of BATCHES.entries()) {
      // 100,000 tasks in batches of 64 are as many escrows as a client has in an hour
      const count = Math.max(size, Math.min(tasks, size * 256))
      let ms = 0
      const cpu = await fleet.cpuOf(async () => {
        ms = await client.call('batches', { tasks: count, size, atOnce })
      })
      if (round === 0) continue
      rates[i]!.push((Math.ceil(count / size) * size * 1000) / ms)
      if (size === LARGEST)
        for (const [j, role] of ROLES.entries()) costs[j]!.push((cpu[role] * 1000) / count)
    }

  return [
    ...BATCHES.map(({ size }, i) => summary(`dispatch.tasks-per-second.${size}`, 'tasks/s', rates[i]!)),
    ...ROLES.map((role, i) => summary(`dispatch.cpu-per-task.${role}`, 'µs', costs[i]!)),
    summary('dispatch.latency-p50', 'ms', p50),
    summary('dispatch.latency-p99', 'ms', p99)
  ]
}
