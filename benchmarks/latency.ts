import type { Row, RunOptions } from './harness/contract.ts'
import { startFleet } from './harness/fleet.ts'
import { alternate, percentile, ratios, summary } from './harness/statistics.ts'
import { installed, JOB_PEERS, peerVersions, startStreams } from './peers/index.ts'

const LIBP2P = 'libp2p round trip'
// What a job may take beside two round trips: one there and back, one for what the walls and the ledger do.
const ALLOWED_MS = 0.5

export const metrics: Record<string, string> = {
  'latency.p50': 'one warm tiny job, submit to verified result, one worker: median of a run',
  'latency.of-allowed':
    'latency.p50 of Artel as a multiple of what is asked: two bare round trips and 0.5 ms',
  'latency.busy-p50': 'the same job while another client’s job keeps the worker busy: median of a run',
  'latency.busy-p99': 'the same: 99th percentile of a run',
  'latency.busy-of-idle':
    'latency.busy-p99 as a multiple of latency.p50 of the same round; at most 10 is asked'
}

export const versions = () => peerVersions(JOB_PEERS)

/** One job beside a bare round trip between two processes (noise, yamux, one stream that stays open) and beside the peers. */
export async function run({ quick }: RunOptions): Promise<Row[]> {
  const rounds = quick ? 1 : 5
  const jobs = quick ? 20 : 200
  await using fleet = await startFleet({ workers: 1, hasOther: true })
  await using streams = await startStreams()
  await using stack = new AsyncDisposableStack()
  const peers: Record<string, () => Promise<number>> = {}
  for (const kind of await installed(JOB_PEERS)) {
    const peer = stack.use(await kind.start())
    peers[kind.name] = async () => percentile(await peer.latencies(jobs), 50)
  }
  const busyP50: number[] = []
  const { job, busy, trip, ...others } = await alternate<string>(rounds, {
    ...peers,
    job: async () => percentile(await fleet.client.call('latencies', { jobs }), 50),
    busy: async () => {
      await fleet.other!.call('beginBulk')
      const samples = await fleet.client.call('latencies', { jobs })
      await fleet.other!.call('endBulk')
      busyP50.push(percentile(samples, 50))
      return percentile(samples, 99)
    },
    trip: async () => {
      const samples: number[] = []
      for (let i = 0; i < 10 * jobs; i++) samples.push(await streams.roundTrip())
      return percentile(samples, 50)
    }
  })
  return [
    summary('latency.p50', 'ms', job!),
    summary('latency.p50', 'ms', trip!, LIBP2P),
    ...Object.entries(others).map(([name, samples]) => summary('latency.p50', 'ms', samples, name)),
    summary(
      'latency.of-allowed',
      '×',
      job!.map((ms, i) => ms / (2 * trip![i]! + ALLOWED_MS)),
      LIBP2P
    ),
    // the first round warms up
    summary('latency.busy-p50', 'ms', busyP50.slice(1)),
    summary('latency.busy-p99', 'ms', busy!),
    summary('latency.busy-of-idle', '×', ratios(busy!, job!))
  ]
}
