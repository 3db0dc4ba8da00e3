import { strict as assert } from 'node:assert'
import { readdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Stream } from '@libp2p/interface'
import { createSandbox, decodeValue, encodeValue } from '../../sandbox/index.ts'
import type { Scheduler } from '../../scheduler/index.ts'
import { until } from '../bootstrap/nodes.ts'
import { createWorkerNetwork } from './worker-network.ts'

const COUNT = 300
// 6 MiB in all, so that there are many chunks
const ITEM = 20_000
const make = `i => String(i).padStart(6, '0') + 'x'.repeat(${ITEM})`
const made = Array.from({ length: COUNT }, (_, i) => String(i).padStart(6, '0') + 'x'.repeat(ITEM))
const change = `text => text.slice(0, 6) + 'y'.repeat(${ITEM})`
const changed = made.map(text => text.slice(0, 6) + 'y'.repeat(ITEM))
const within = () => AbortSignal.timeout(240_000)

async function bytesOf(scheduler: Scheduler, id: string): Promise<Uint8Array> {
  const { size, chunks } = await scheduler.datasets.collect(id, { signal: within() })
  const all: Uint8Array[] = []
  for await (const chunk of chunks) all.push(chunk)
  const bytes = Buffer.concat(all)
  assert.equal(bytes.length, size)
  return bytes
}

function assertSame(bytes: Uint8Array, expected: unknown): void {
  // a difference of megabytes tells nobody anything
  assert.ok(Buffer.compare(bytes, encodeValue(expected)) === 0, 'other bytes than without keep')
}

describe('scheduler: datasets between nodes', () => {
  const sandbox = createSandbox({ warm: 2 })
  let folder: string
  const network = createWorkerNetwork({ sandbox, folder: () => folder })
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-datasets-'))
    await sandbox.start()
  })
  afterEach(() => network.stop())
  after(async () => {
    await sandbox.stop()
    await rm(folder, { recursive: true })
  })

  /** Three workers and who asks them, with the bytes that all its streams brought or took. */
  async function start() {
    const workers = [await network.start(1), await network.start(1), await network.start(1)]
    let moved = 0
    const counted = (stream: Stream): Stream => {
      const { send } = stream
      stream.send = data => {
        moved += data.byteLength
        return send.call(stream, data)
      }
      setImmediate(() =>
        stream.addEventListener('message', ({ data }) => {
          moved += data.byteLength
        })
      )
      return stream
    }
    const { scheduler } = await network.start(0, base => ({
      dialProtocol: async (peer, protocol, options) =>
        counted(await base.dialProtocol(peer, protocol, options))
    }))
    await until(
      () => scheduler.workers().filter(({ connected }) => connected).length === 3,
      'streams to the workers'
    )
    return { workers, scheduler, moved: () => moved }
  }

  async function keep(scheduler: Scheduler, spec: object): Promise<string> {
    const job = await scheduler.submit({ keep: true, verify: 'none', ...spec })
    await job.resultBytes({ signal: within() })
    return job.id
  }
  const range = { start: 0, end: COUNT - 1 }

  it('maps twice and counts, and hardly anything passes through who asked', async () => {
    const { scheduler, moved } = await start()
    const first = await keep(scheduler, { type: 'map', range, fn: make, verify: 'quorum:2' })
    const second = await keep(scheduler, { type: 'map', items: { dataset: first }, fn: change })
    const count = await scheduler.submit({
      type: 'map_reduce',
      items: { dataset: second },
      map: 'text => text.length',
      reduce: 'sum'
    })
    assert.equal(await count.result({ signal: within() }), COUNT * (ITEM + 6))
    const { items, bytes, holders } = scheduler.datasets.show(second)
    assert.equal(items, COUNT)
    assert.ok(holders.length > 1, 'several workers have it')
    assert.ok(moved() < bytes / 20, `${moved()} bytes moved for one of ${bytes}`)
    assertSame(await bytesOf(scheduler, second), changed)
    const page = await scheduler.datasets.page(second, { first: 17, count: 3 }, { signal: within() })
    assertSame(page, changed.slice(17, 20))
  })

  it('calculates again only what a killed holder had, of all that led to it', async () => {
    const { scheduler, workers } = await start()
    const first = await keep(scheduler, { type: 'map', range, fn: make })
    const second = await keep(scheduler, { type: 'map', items: { dataset: first }, fn: change })
    const shares = scheduler.datasets.show(second)
    const [holder] = shares.holders
    assert.ok(holder != null && holder.bytes < shares.bytes)
    await workers.find(({ id }) => id === holder.peer)!.stop()
    assertSame(await bytesOf(scheduler, second), changed)
    const again = scheduler.jobs({ limit: 20 }).items.filter(({ name }) => name?.includes('once more'))
    const of = (id: string) => again.filter(({ name }) => name?.includes(id))
    const units = of(second).reduce((sum, { total }) => sum + total, 0)
    assert.ok(units > 0 && units < shares.slices, `${units} of ${shares.slices} slices are calculated again`)
    // and nothing is twice when it is asked for again
    assertSame(await bytesOf(scheduler, second), changed)
    assert.equal(
      scheduler.jobs({ limit: 20 }).items.filter(({ name }) => name?.includes('once more')).length,
      again.length
    )
  })

  it('gives what it gives without: filter, map_reduce and sort of a dataset', async () => {
    const { scheduler } = await start()
    const numbers = Array.from({ length: 2000 }, (_, i) => (i * 7919) % 2003)
    const all = await keep(scheduler, { type: 'map', items: numbers, fn: 'x => x / 3' })
    const some = await keep(scheduler, { type: 'filter', items: { dataset: all }, fn: 'x => x > 100' })
    const expected = numbers.map(x => x / 3).filter(x => x > 100)
    assertSame(await bytesOf(scheduler, some), expected)
    for (const spec of [
      { type: 'map_reduce', map: 'x => x / 7', reduce: 'sum' },
      { type: 'sort', order: 'descending' },
      { type: 'filter', fn: 'x => x < 500' },
      { type: 'filter', fn: 'x => x < 500', indexes: true },
      { type: 'map', fn: '(x, i) => x * i + Math.random()' }
    ]) {
      const [kept, plain] = await Promise.all(
        [{ dataset: some }, expected].map(async items => {
          const job = await scheduler.submit({ ...spec, items })
          return job.resultBytes({ signal: within() })
        })
      )
      assertSame(kept!, decodeValue(plain!))
    }
  })

  it('lets go of what is released, at its holders too', async () => {
    const { scheduler } = await start()
    const blocks = (): string[] =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name => /\/[0-9a-f]{64}$/.test(name))
    const before = blocks()
    const id = await keep(scheduler, { type: 'map', range, fn: make })
    assert.ok(blocks().length > before.length, 'it is on the disks of the workers')
    assert.deepEqual(
      scheduler.datasets.list().map(each => each.id),
      [id]
    )
    await scheduler.datasets.release(id)
    assert.deepEqual(scheduler.datasets.list(), [])
    assert.deepEqual(blocks(), before)
    const gone = { name: 'DatasetMissingError' }
    assert.throws(() => scheduler.datasets.show(id), gone)
    await assert.rejects(scheduler.submit({ type: 'map', items: { dataset: id }, fn: 'x => x' }), gone)
  })
})
