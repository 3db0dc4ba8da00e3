import type { Row, RunOptions } from './harness/contract.ts'
import { startFleet } from './harness/fleet.ts'
import { alternate, summary } from './harness/statistics.ts'

const ITEMS = 10 ** 12
/** each sub-range by Gauss's formula, so that the coordinator is what has work */
const PARTIAL = '(from, to) => Number(((BigInt(from) + BigInt(to)) * BigInt(to - from + 1) / 2n) % 65521n)'
/** longer than a slice is meant to take, so that every item is a slice of its own */
const SLOW = 'n => { let s = 0; for (let i = 0; i < 3e8; i++) s = (s + i) | 0; return s + n }'
/** artel.js sets the same for every node; memory counts here */
const AS_USERS_START = ['--max-semi-space-size=4', '--semi-space-growth-factor=1']
const QUEUED = { few: 1000, many: 100_000 }

export const metrics: Record<string, string> = {
  'large.range': 'a range of 10^12 items in 59,605 blocks through two workers, submit to result',
  'large.range-memory': 'the same: most resident memory of the client, which coordinates it',
  'large.delay-p99':
    'event loop delay of the client while 100,000 slices of a job are queued, 99th percentile',
  'large.delay-p99.1000': 'the same with 1,000 slices queued'
}

export async function run({ quick }: RunOptions): Promise<Row[]> {
  const rounds = quick ? 1 : 3
  const forMs = quick ? 2000 : 15_000
  await using fleet = await startFleet({ workers: 2, clientFlags: AS_USERS_START })
  const range = {
    type: 'range_reduce',
    start: 1,
    end: ITEMS,
    partial: PARTIAL,
    operation: 'sum',
    verify: 'none'
  }
  const queue = (end: number) => ({ type: 'map', range: { start: 1, end }, fn: SLOW })
  const memory: number[] = []
  const { ms, few, many } = await alternate(rounds, {
    ms: async () => {
      const { ms, rssMb } = await fleet.client.call('watched', { spec: range })
      memory.push(rssMb)
      return ms
    },
    few: async () => (await fleet.client.call('watched', { spec: queue(QUEUED.few), forMs })).delayMs,
    many: async () => (await fleet.client.call('watched', { spec: queue(QUEUED.many), forMs })).delayMs
  })
  return [
    summary('large.range', 'ms', ms),
    summary('large.range-memory', 'MB', memory),
    summary('large.delay-p99', 'ms', many),
    summary('large.delay-p99.1000', 'ms', few)
  ]
}
