import type { Row, RunOptions } from './harness/contract.ts'
import { startFleet } from './harness/fleet.ts'
import { summary } from './harness/statistics.ts'

const GB = 1_000_000_000
// a round number of records and of chunks
const BYTES = 954 * 1024 * 1024
const RECORD = 1024 * 1024

export const metrics: Record<string, string> = {
  'cid.throughput':
    'about 1 GB by CID from the client to two workers: submit to result, every byte through the walls',
  'cid.put': 'the same data put into the block store of the client'
}

/** Data by CID through two worker processes on loopback: noise-encrypted, verified block by block, walled. */
export async function run({ quick }: RunOptions): Promise<Row[]> {
  const bytes = quick ? 64 * RECORD : BYTES
  const rounds = quick ? 1 : 3
  await using fleet = await startFleet({ workers: 2 })
  const throughput: number[] = []
  const put: number[] = []
  for (let round = 0; round < rounds; round++) {
    const { putMs, ms } = await fleet.client.call('byCid', { bytes, record: RECORD })
    throughput.push((bytes * 1000) / ms / (GB / 1000))
    put.push((bytes * 1000) / putMs / (GB / 1000))
  }
  return [summary('cid.throughput', 'MB/s', throughput), summary('cid.put', 'MB/s', put)]
}
