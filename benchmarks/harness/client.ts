import { randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { multiaddr } from '@multiformats/multiaddr'
import { type ArtelNode, createNode, loadConfig } from '../../node/index.ts'
import { matrices } from '../peers/compute.ts'

/** The process of a fleet's client: a node that lends nothing unless it is told to, asked by messages of its parent. */

const READY_DEADLINE_MS = 120_000
const JOB_DEADLINE_MS = 300_000
const BULK_DEADLINE_MS = 60_000
const SAMPLE_MS = 20
/** the tiny task of the targets, and what it gives */
const TINY = { type: 'range_reduce', start: 1, end: 1000, operation: 'sum' }
const TINY_RESULT = 500_500
/** every byte is written, at the speed of memory */
const CHANGE = 'bytes => new Uint8Array(bytes.length).fill(bytes[0] + 1)'

export type ClientOperations = typeof operations

// Enough to know how long a unit takes: slices are of their full length from then on.
const BULK_UNITS = 1000
// Who pays nothing for most of it is not served for long.
const BULK_CREDITS = 50

let node: ArtelNode
let bulk: Awaited<ReturnType<ArtelNode['submit']>>

const operations = {
  /** Starts the node, connects to the workers and waits until all have offered. */
  async start(init: {
    data: string
    network: string
    seeds: string[]
    workers: string[]
    slots: number
  }): Promise<void> {
    const { data, network, seeds, workers, slots } = init
    const lent = slots > 0 ? { compute: true, slots } : { compute: false }
    const config = loadConfig({ flags: { data, network, seeds, ...lent, logLevel: 'error' } })
    const signal = AbortSignal.timeout(READY_DEADLINE_MS)
    node = await createNode(config, { signal })
    for (const worker of workers) await node.libp2p.dial(multiaddr(worker), { signal })
    while (node.scheduler.workers().length < workers.length + Math.min(slots, 1)) {
      const arrived = Promise.withResolvers<void>()
      node.scheduler.addEventListener('worker:add', () => arrived.resolve(), { once: true })
      signal.addEventListener('abort', () => arrived.reject(signal.reason), { once: true })
      await arrived.promise
    }
  },

  /**
   * Gives `tasks` tiny tasks to the workers in batches of `size`, `atOnce` batches under way, and checks every
   * result. ms from the first submit to the last result.
   */
  async batches(init: { tasks: number; size: number; atOnce: number; verify?: unknown }): Promise<number> {
    const { tasks, size, atOnce, verify } = init
    const spec = verify == null ? TINY : { ...TINY, verify }
    const specs = Array.from({ length: size }, () => spec)
    let left = Math.ceil(tasks / size)
    const started = performance.now()
    await Promise.all(
      Array.from({ length: atOnce }, async () => {
        while (left-- > 0) {
          const job = await node.submitMany(specs, { signal: AbortSignal.timeout(JOB_DEADLINE_MS) })
          const outcomes = (await job.result()) as { ok: boolean; value?: unknown }[]
          if (outcomes.length !== size || outcomes.some(outcome => outcome.value !== TINY_RESULT))
            throw new Error('a batch gave wrong results')
        }
      })
    )
    return performance.now() - started
  },

  /** ms from submit to result of single tiny jobs, one after the other. */
  async latencies({ jobs }: { jobs: number }): Promise<number[]> {
    const samples: number[] = []
    for (let i = 0; i < jobs; i++) {
      const started = performance.now()
      const job = await node.submit(TINY, { signal: AbortSignal.timeout(JOB_DEADLINE_MS) })
      const value = await job.result()
      samples.push(performance.now() - started)
      if (value !== TINY_RESULT) throw new Error(`a tiny task gave ${value}`)
    }
    return samples
  },

  /** Begins a job that no worker comes to the end of, and waits until something of it is done. */
  async beginBulk(): Promise<void> {
    const signal = AbortSignal.timeout(BULK_DEADLINE_MS)
    const fn = 'n => { let sum = 0; for (let i = 0; i < 100_000; i++) sum += (n * i) % 7; return sum }'
    bulk = await node.submit(
      { type: 'map', range: { start: 1, end: 1_000_000 }, fn, verify: 'none', maxPrice: BULK_CREDITS },
      { signal }
    )
    while (bulk.report().done < BULK_UNITS) await once(bulk, 'progress', { signal })
  },

  async endBulk(): Promise<void> {
    await bulk.cancel()
    await bulk.settled({ signal: AbortSignal.timeout(JOB_DEADLINE_MS) })
  },

  /** Puts `bytes` of data into the block store and has workers take every byte of it: ms for either. */
  async byCid({ bytes, record }: { bytes: number; record: number }): Promise<{ putMs: number; ms: number }> {
    const chunk = new Uint8Array(1 << 20)
    function* data(): Generator<Uint8Array> {
      // every chunk differs, or it would be one block
      for (let at = 0; at < bytes; at += chunk.length) {
        randomFillSync(chunk, 0, 4096)
        yield chunk
      }
    }
    const putAt = performance.now()
    const { cid } = await node.scheduler.addData(data())
    const putMs = performance.now() - putAt
    const items = { cid, as: 'bytes', size: record }
    const spec = { type: 'map_reduce', items, map: 'x => x.length', reduce: 'sum', verify: 'none' }
    const { ms, value } = await job(spec)
    if (value !== bytes) throw new Error(`the workers saw ${value} of ${bytes} bytes`)
    return { putMs, ms }
  },

  /** Has workers make `records` of `record` bytes each: ms from submit until all are here. */
  async bytesOut({ records, record }: { records: number; record: number }): Promise<number> {
    const items = Array.from({ length: records }, (_, i) => i)
    const fn = `n => new Uint8Array(${record}).fill(n % 251)`
    const { ms, value } = await job({ type: 'map', items, fn, verify: 'none' })
    for (const [i, bytes] of (value as Uint8Array[]).entries())
      if (bytes.length !== record || bytes[record - 1] !== i % 251) throw new Error(`record ${i} is wrong`)
    return ms
  },

  /**
   * One job and what it does to this process: its most resident memory, and the 99th percentile of the event loop's
   * delay. `forMs`: it is cancelled then, else it runs to its end.
   */
  async watched({ spec, forMs }: { spec: unknown; forMs?: number }) {
    const delay = monitorEventLoopDelay({ resolution: 1 })
    let rss = process.memoryUsage.rss()
    const look = setInterval(() => {
      rss = Math.max(rss, process.memoryUsage.rss())
    }, SAMPLE_MS)
    const started = performance.now()
    const submitted = await node.submit(spec, { signal: AbortSignal.timeout(JOB_DEADLINE_MS) })
    delay.enable()
    try {
      if (forMs == null) await submitted.result()
      else await new Promise(resolve => setTimeout(resolve, forMs))
    } finally {
      clearInterval(look)
      delay.disable()
    }
    const ms = performance.now() - started
    if (forMs != null) await submitted.cancel()
    await submitted.settled({ signal: AbortSignal.timeout(JOB_DEADLINE_MS) })
    return { ms, rssMb: rss / 1e6, delayMs: delay.percentile(99) / 1e6 }
  },

  /**
   * `items` of `size` bytes are made, mapped twice and counted, each a job of its own: ms, and the bytes that went over
   * this node's connections. `keep`: what is made stays at the workers; else it comes here and goes out again.
   */
  async chain({ items, size, keep }: { items: number; size: number; keep: boolean }) {
    const rest = { verify: 'none', ...(keep ? { keep } : {}) }
    const before = await moved()
    const started = performance.now()
    const made: string[] = []
    const map = async (input: object): Promise<unknown> => {
      const job = await node.submit(
        { type: 'map', ...input, ...rest },
        { signal: AbortSignal.timeout(JOB_DEADLINE_MS) }
      )
      made.push(job.id)
      if (!keep) return job.result()
      await job.resultBytes() // the list of parts
      return { dataset: job.id }
    }
    const range = { start: 0, end: items - 1 }
    const first = await map({ range, fn: `n => new Uint8Array(${size}).fill(n)` })
    const second = await map({ items: first, fn: CHANGE })
    const third = await map({ items: second, fn: CHANGE })
    const count = 'bytes => bytes.length * bytes[0]'
    const last = { type: 'map_reduce', items: third, map: count, reduce: 'sum', verify: 'none' }
    const { value } = await job(last)
    const ms = performance.now() - started
    const bytes = (await moved()) - before
    const expected = size * Array.from({ length: items }, (_, n) => (n + 2) % 256).reduce((a, b) => a + b, 0)
    if (value !== expected) throw new Error(`the workers counted ${value} in place of ${expected}`)
    if (keep) for (const id of made) await node.scheduler.datasets.release(id)
    return { ms, bytes }
  },

  /** One job: its time, and its result for the caller to check. */
  job,

  /** One product of two matrices of `size` rows, made here; the sum of its numbers is for the caller to check. */
  async product({ size }: { size: number }): Promise<{ ms: number; sum: number }> {
    const { a, b } = matrices(size)
    const matrix = (data: Float64Array) => ({ rows: size, cols: size, data })
    const spec = { type: 'matrix', operation: 'multiply', a: matrix(a), b: matrix(b), verify: 'none' }
    const { ms, value } = await job(spec)
    return { ms, sum: (value as { data: Float64Array }).data.reduce((sum, x) => sum + x, 0) }
  }
}

/** Bytes over all connections of this node so far, both ways. */
async function moved(): Promise<number> {
  const { values } = await node.registry.getSingleMetric('libp2p_data_transfer_bytes_total')!.get()
  return values
    .filter(({ labels }) => String(labels.protocol).startsWith('global '))
    .reduce((sum, { value }) => sum + value, 0)
}

async function job(spec: unknown): Promise<{ ms: number; value: unknown }> {
  const started = performance.now()
  const submitted = await node.submit(spec, { signal: AbortSignal.timeout(JOB_DEADLINE_MS) })
  const value = await submitted.result()
  return { ms: performance.now() - started, value }
}

process.on(
  'message',
  async ({ id, operation, params }: { id: number; operation: string; params: never[] }) => {
    try {
      const run = operations[operation as keyof ClientOperations] as (...params: never[]) => Promise<unknown>
      process.send!({ id, value: await run(...params) })
    } catch (error) {
      process.send!({ id, error: (error as Error).stack })
    }
  }
)
// the parent is gone, or says so
const stop = async (): Promise<void> => {
  await node?.stop()
  process.exit()
}
process.once('SIGTERM', stop)
process.once('disconnect', stop)
