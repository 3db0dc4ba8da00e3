import type { Row, RunOptions } from './harness/contract.ts'
import { startFleet } from './harness/fleet.ts'
import { percentile, ratios, summary } from './harness/statistics.ts'
import { installed, type Peer, peerVersions, TASK_PEERS } from './peers/index.ts'

const BATCH = 16_384

export const metrics: Record<string, string> = {
  'tiny.tasks-per-second': 'the tiny task as a stream of independent tasks, each system in its fastest way',
  'tiny.share': 'tiny.tasks-per-second of Artel as a multiple of the peer in the same round',
  'tiny.latency-p50': 'one tiny task, from the call to its result: median of a run'
}

export const versions = () => peerVersions(TASK_PEERS)

/**
 * Tiny tasks beside the peers, one system after the other within each round. Two workers everywhere. The pools run
 * threads of this process, the queues two worker processes behind a server.
 */
export async function run({ quick, failed }: RunOptions): Promise<Row[]> {
  const rounds = quick ? 1 : 3
  const share = quick ? 20 : 1
  const peers = await installed(TASK_PEERS)
  await using fleet = await startFleet({ workers: 2 })
  const artel = {
    name: undefined,
    // a stream: what the last batch leaves idle must not weigh
    tasks: quick ? BATCH : 8 * BATCH,
    throughput: (tasks: number) => fleet.client.call('batches', { tasks, size: BATCH, atOnce: 2 }),
    latencies: (jobs: number) => fleet.client.call('latencies', { jobs })
  }
  const rates = new Map<string | undefined, number[]>()
  const p50 = new Map<string | undefined, number[]>()
  const measure = async (
    name: string | undefined,
    { throughput, latencies }: Pick<Peer, 'throughput' | 'latencies'>,
    tasks: number
  ): Promise<void> => {
    // warm-up
    await throughput(Math.ceil(tasks / 4))
    await latencies(20)
    const ms = await throughput(tasks)
    rates.set(name, [...(rates.get(name) ?? []), (tasks * 1000) / ms])
    p50.set(name, [...(p50.get(name) ?? []), percentile(await latencies(100), 50)])
  }
  for (let round = 0; round < rounds; round++) {
    await measure(undefined, artel, artel.tasks)
    for (const kind of peers) {
      console.error(`round ${round + 1}: ${kind.name}`)
      try {
        await using peer = await kind.start()
        await measure(kind.name, peer, Math.ceil(kind.tasks / share))
      } catch (error) {
        failed(kind.name, error as Error)
      }
    }
  }
  const own = rates.get(undefined)!
  return [
    ...[...rates].map(([name, samples]) => summary('tiny.tasks-per-second', 'tasks/s', samples, name)),
    ...[...rates].flatMap(([name, samples]) =>
      // one that failed in some round has no neighbours
      name == null || samples.length < own.length
        ? []
        : [summary('tiny.share', '×', ratios(own, samples), name)]
    ),
    ...[...p50].map(([name, samples]) => summary('tiny.latency-p50', 'ms', samples, name))
  ]
}
