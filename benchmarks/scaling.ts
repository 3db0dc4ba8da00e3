import type { Row, RunOptions } from './harness/contract.ts'
import { startFleet } from './harness/fleet.ts'
import { summary } from './harness/statistics.ts'
import { computationSpec } from './peers/index.ts'

const WORKERS = [1, 2, 4, 8]
const BATCH = 16_384
const PRIMES = { quick: 10 ** 5, full: 5 * 10 ** 6 }

const each = (name: string, meaning: (workers: number) => string): [string, string][] =>
  WORKERS.map(workers => [`scaling.${name}.${workers}`, meaning(workers)])

const many = (workers: number): string => (workers === 1 ? '1 worker process' : `${workers} worker processes`)

export const metrics: Record<string, string> = Object.fromEntries([
  ...each('primes', workers => `primes up to 5,000,000 with ${many(workers)} of one slot, without replicas`),
  ...each(
    'lost',
    workers => `share of all CPU time of scaling.primes.${workers} outside the walled processes`
  ),
  ...each('tiny', workers => `tiny tasks per second in batches of 16,384, 2 under way, ${many(workers)}`)
])

/**
 * The same work with more and more worker processes. They share the cores of one machine: beyond those, the time
 * cannot fall, and what more workers cost shows in the share that is lost to coordination.
 */
export async function run({ quick }: RunOptions): Promise<Row[]> {
  const rounds = quick ? 1 : 3
  const end = quick ? PRIMES.quick : PRIMES.full
  const spec = { ...(await computationSpec({ name: 'primes', start: 1, end })), verify: 'none' }
  const rows: Row[] = []
  for (const workers of quick ? WORKERS.slice(0, 2) : WORKERS) {
    console.error(many(workers))
    await using fleet = await startFleet({ workers })
    const { client } = fleet
    const tasks = (quick ? 1 : 4) * BATCH
    const [primes, lost, tiny]: number[][] = [[], [], []]
    for (let round = 0; round <= rounds; round++) {
      let ms = 0
      const cpu = await fleet.cpuOf(async () => {
        ms = (await client.call('job', spec)).ms
      })
      const rate = (tasks * 1000) / (await client.call('batches', { tasks, size: BATCH, atOnce: 2 }))
      if (round === 0) continue
      primes!.push(ms)
      lost!.push(
        (100 * (cpu.client + cpu.workers + cpu.seed)) / Object.values(cpu).reduce((a, b) => a + b, 0)
      )
      tiny!.push(rate)
    }
    rows.push(
      summary(`scaling.primes.${workers}`, 'ms', primes!),
      summary(`scaling.lost.${workers}`, '%', lost!),
      summary(`scaling.tiny.${workers}`, 'tasks/s', tiny!)
    )
  }
  return rows
}
