import type { Row, RunOptions } from './harness/contract.ts'
import { startFleet } from './harness/fleet.ts'
import { beside, besideRows } from './harness/statistics.ts'
import { startStreams } from './peers/index.ts'

const RECORD = 1024 * 1024
const MB = 1_000_000

export const metrics: Record<string, string> = {
  'data.in': '192 MiB by CID from the client to two workers, every byte through the walls: submit to result',
  'data.in-share': 'speed of data.in as a multiple of the peer',
  'data.out': '192 MiB of results from two workers, every byte through the walls: submit to result',
  'data.out-share': 'speed of data.out as a multiple of the peer'
}

/**
 * Data through a job beside the same bytes over one libp2p stream (noise, yamux) and over plain TCP between two
 * processes that do nothing else.
 */
export async function run({ quick, failed }: RunOptions): Promise<Row[]> {
  const rounds = quick ? 1 : 3
  const records = quick ? 16 : 192
  const bytes = records * RECORD
  await using fleet = await startFleet({ workers: 2 })
  await using streams = await startStreams()
  const rate = (ms: number): number => (bytes * 1000) / ms / MB
  const into = await beside(
    rounds,
    async () => rate((await fleet.client.call('byCid', { bytes, record: RECORD })).ms),
    {
      'libp2p stream': async () => rate(await streams.libp2p.in(bytes)),
      TCP: async () => rate(await streams.tcp.in(bytes))
    },
    failed
  )
  const out = await beside(
    rounds,
    async () => rate(await fleet.client.call('bytesOut', { records, record: RECORD })),
    {
      'libp2p stream': async () => rate(await streams.libp2p.out(bytes)),
      TCP: async () => rate(await streams.tcp.out(bytes))
    },
    failed
  )
  return [
    ...besideRows('data.in', 'MB/s', into, 'data.in-share'),
    ...besideRows('data.out', 'MB/s', out, 'data.out-share')
  ]
}
