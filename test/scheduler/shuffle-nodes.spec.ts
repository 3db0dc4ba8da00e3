import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Stream } from '@libp2p/interface'
import { createSandbox, encodeValue } from '../../sandbox/index.ts'
import { COMPUTE_PROTOCOL, type Job, type Scheduler } from '../../scheduler/index.ts'
import { BLOCKS_PROTOCOL } from '../../scheduler/streams/block-exchange.ts'
import { until } from '../bootstrap/nodes.ts'
import { alone } from './alone.ts'
import { createWorkerNetwork } from './worker-network.ts'

const WORDS = 2500
const words = Array.from({ length: WORDS }, (_, i) => `word ${i}`.padEnd(80, '.'))
// 5 MiB of text, of which every item has every word once
const items = Array.from({ length: 64 }, (_, i) => `${i} `.padEnd(80_000, '-'))
const spec = {
  type: 'map_reduce',
  items,
  map: `text => Array.from({ length: ${WORDS} }, (_, i) => [('word ' + i).padEnd(80, '.'), parseInt(text) / (i + 1)])`,
  reduce: 'sum',
  maxPrice: 1
}
/** In the tree of 64 leaves, which is a power of two. */
function total(values: number[]): number {
  if (values.length === 1) return values[0]!
  const half = values.length / 2
  return total(values.slice(0, half)) + total(values.slice(half))
}
const expected = encodeValue(
  words
    .map((word, i) => [word, total(items.map((_, item) => item / (i + 1)))] as [string, number])
    .sort(([a], [b]) => (a < b ? -1 : 1))
)

describe('scheduler: a shuffle between nodes', () => {
  const sandbox = createSandbox({ warm: 2 })
  let folder: string
  const network = createWorkerNetwork({ sandbox, folder: () => folder })
  const { start } = network
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-shuffle-'))
    await sandbox.start()
  })
  afterEach(() => network.stop())
  after(async () => {
    await sandbox.stop()
    await rm(folder, { recursive: true })
  })

  /** The requester of three workers, which counts the bytes that they send it. */
  async function startRequester() {
    let bytes = 0
    const count = (stream: Stream): Stream => {
      // the first listener gets what has come already: that is not this one
      setImmediate(() =>
        stream.addEventListener('message', ({ data }) => {
          bytes += data.byteLength
        })
      )
      return stream
    }
    const { scheduler } = await start(0, network => ({
      dialProtocol: async (peer, protocol, options) => {
        const stream = await network.dialProtocol(peer, protocol, options)
        return protocol === COMPUTE_PROTOCOL ? count(stream) : stream
      }
    }))
    await until(
      () => scheduler.workers().filter(({ connected }) => connected).length === 3,
      'streams to the workers'
    )
    return { scheduler, bytes: () => bytes }
  }

  const partsOf = (scheduler: Scheduler, { id }: Job): number[] =>
    [...new Set(scheduler.slices(id)!.items.map(({ part }) => part))].sort((a, b) => a - b)

  async function run(scheduler: Scheduler, more: object = {}): Promise<Job> {
    const job = await scheduler.submit({ ...spec, ...more })
    const result = await job.resultBytes({ signal: AbortSignal.timeout(240_000) })
    assert.equal(Buffer.compare(result, expected), 0)
    const { state, done, total } = await job.settled()
    assert.deepEqual([state, done], ['completed', total])
    return job
  }

  it('passes fewer bytes through the requester than the groups of its slices have', async () => {
    for (let i = 0; i < 3; i++) await start(1)
    const { scheduler, bytes } = await startRequester()
    const job = await run(scheduler)
    assert.deepEqual(partsOf(scheduler, job), [0, 1])
    const slices = scheduler.slices(job.id)!.items.filter(({ part }) => part === 0).length
    const { replicas } = job.report().verification!
    // every slice has every word, and is calculated so many times; so is the result
    const groups = slices * replicas * expected.length
    assert.ok(slices > 4 && bytes() < groups / 2, `${bytes()} bytes for ${groups} of groups`)
  })

  it('gives the same result when a worker’s blocks cannot be had, or are wrong', async () => {
    await start(1, network => ({
      handle: (protocol, handler, options) =>
        network.handle(
          protocol,
          protocol === BLOCKS_PROTOCOL ? stream => stream.abort(new Error('gone')) : handler,
          options
        )
    }))
    await start(1, network => ({
      handle: (protocol, handler, options) =>
        network.handle(
          protocol,
          protocol === BLOCKS_PROTOCOL
            ? stream => void stream.addEventListener('message', () => stream.send(Uint8Array.of(3, 1, 2, 3)))
            : handler,
          options
        )
    }))
    await start(1)
    const { scheduler } = await startRequester()
    const job = await run(scheduler, { verify: 'none' })
    assert.ok(partsOf(scheduler, job).includes(2))
    const { shares } = job.report()
    assert.equal(shares.length, 3, 'nobody is left out for blocks of others')
  })

  it('gives the same result when workers cannot reach each other', async () => {
    for (let i = 0; i < 3; i++)
      await start(1, network => ({
        dialProtocol: (peer, protocol, options) =>
          protocol === BLOCKS_PROTOCOL
            ? Promise.reject(new Error('no way'))
            : network.dialProtocol(peer, protocol, options)
      }))
    const { scheduler } = await startRequester()
    const job = await run(scheduler, { verify: 'none' })
    assert.ok(partsOf(scheduler, job).includes(4))
  })

  it('goes on after a restart of its coordinator, which has lost what it kept itself', async () => {
    const key = await generateKeyPair('Ed25519')
    const directory = await mkdtemp(join(folder, 'alone-'))
    const first = alone(key, sandbox, directory)
    await first.start()
    const { id } = await first.submit(spec)
    await until(() => first.slices(id)!.items.some(({ part }) => part === 1), 'a reduced partition')
    await first.stop()
    const second = alone(key, sandbox, directory)
    await second.start()
    try {
      const job = second.job(id)!
      assert.equal(
        Buffer.compare(await job.resultBytes({ signal: AbortSignal.timeout(240_000) }), expected),
        0
      )
      assert.deepEqual(partsOf(second, job).slice(0, 2), [0, 1])
    } finally {
      await second.stop()
    }
  })
})
