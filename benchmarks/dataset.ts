import type { Row, RunOptions } from './harness/contract.ts'
import { startFleet } from './harness/fleet.ts'
import { alternate, ratios, summary } from './harness/statistics.ts'

const MIB = 1024 * 1024
const ITEM = 64 * 1024
const WITHOUT = 'the same without keep'
// What two busy cores do in two minutes; ARTEL_BENCH_DATASET_MIB gives another size.
const USUAL_MIB = 128

export const metrics: Record<string, string> = {
  'dataset.chain':
    'items of 64 KiB made, mapped twice and counted at two workers, results kept there, 128 MiB if not told otherwise',
  'dataset.share': 'speed of dataset.chain as a multiple of the peer',
  'dataset.moved':
    'bytes over the connections of who asked, as a share of the bytes of one of the three datasets'
}

/** Results that stay where they are made, beside the same jobs whose results come and go out again. */
export async function run({ quick }: RunOptions): Promise<Row[]> {
  const { ARTEL_BENCH_DATASET_MIB: told = quick ? 16 : USUAL_MIB } = process.env
  const bytes = Number(told) * MIB
  const rounds = quick ? 1 : 3
  await using fleet = await startFleet({ workers: 2 })
  const shares: number[] = []
  const chain = async (keep: boolean): Promise<number> => {
    const done = await fleet.client.call('chain', { items: bytes / ITEM, size: ITEM, keep })
    if (keep) shares.push((100 * done.bytes) / bytes)
    return done.ms
  }
  const { kept, plain } = await alternate(rounds, { kept: () => chain(true), plain: () => chain(false) })
  return [
    summary('dataset.chain', 'ms', kept),
    summary('dataset.chain', 'ms', plain, WITHOUT),
    summary('dataset.share', '×', ratios(plain, kept), WITHOUT),
    summary('dataset.moved', '%', shares)
  ]
}
