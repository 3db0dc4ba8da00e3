import { strict as assert } from 'node:assert'
import { hash } from 'node:crypto'
import { defaultLogger } from '@libp2p/logger'
import fc from 'fast-check'
import { encodeValue } from '../../sandbox/index.ts'
import {
  addData,
  type Blocks,
  CHUNK_BYTES,
  chunkCid,
  openData,
  readData
} from '../../scheduler/data/chunked-data.ts'
import {
  assemble,
  type BlockRange,
  blocksOf,
  DataItems,
  encodeInput
} from '../../scheduler/data/pieced-input.ts'
import { findReferences, resolveInputs, withReferences } from '../../scheduler/data/references.ts'
import { createBlockExchange } from '../../scheduler/streams/block-exchange.ts'
import { STREAMED } from '../../scheduler/tasks/registry.ts'
import { memoryBlocks } from './memory-blocks.ts'
import { startNodes, type TwoNodes } from './network.ts'

const signal = (): AbortSignal => AbortSignal.timeout(240_000)

/** Bytes that differ from chunk to chunk and are no multiple of a chunk. */
const someBytes = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 12)) & 0xff)

describe('scheduler: data by CID', () => {
  it('stores data in chunks of a MiB under their SHA-256 and reads the same bytes back', async () => {
    for (const length of [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES + 12_345]) {
      const blocks = memoryBlocks()
      const bytes = someBytes(length)
      // in parts that have nothing to do with chunks
      const parts = function* () {
        for (let at = 0; at < length; at += 700_001) yield bytes.subarray(at, at + 700_001)
      }
      const { cid, size } = await addData(blocks, parts())
      const data = await openData(blocks, cid, { signal: signal() })
      assert.equal(size, length)
      assert.deepEqual(Buffer.from(await readData(blocks, data, { signal: signal() })), Buffer.from(bytes))
      assert.deepEqual(
        data.chunks.map(chunk => Buffer.from(chunk).toString('hex')),
        Array.from({ length: Math.max(1, Math.ceil(length / CHUNK_BYTES)) }, (_, i) =>
          hash('sha256', bytes.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES))
        )
      )
    }
  })

  it('gives a worker the very bytes that inline items would have had, for any cut', async () => {
    const blocks = memoryBlocks()
    const numbers = Float64Array.from({ length: 300_000 }, (_, i) => i / 3)
    const bytes = new Uint8Array(numbers.buffer)
    const { cid } = await addData(blocks, [bytes])
    const data = await openData(blocks, cid, { signal: signal() })
    const get = ({ block }: BlockRange) =>
      readData(blocks, { cid: '', size: CHUNK_BYTES, chunks: [block] }, { signal: signal() })
    const items = new DataItems(data, { type: 'float64' })
    const records = new DataItems(data, { size: 5000 })
    assert.deepEqual([items.length, records.length], [300_000, 480])
    await fc.assert(
      fc.asyncProperty(
        fc.nat(300_000),
        fc.nat(3000),
        fc.nat(480),
        fc.nat(40),
        async (first, count, from, some) => {
          const cut = encodeInput({ first, items: items.slice(first, first + count) })
          const end = Math.min(first + count, 300_000)
          // an empty slice is an empty list
          const inline = first < end ? numbers.subarray(first, end) : []
          assert.deepEqual(
            Buffer.from(await assemble(cut, get)),
            Buffer.from(encodeValue({ first, items: inline }))
          )
          const list = Array.from({ length: Math.max(0, Math.min(480, from + some) - from) }, (_, i) =>
            bytes.subarray((from + i) * 5000, (from + i + 1) * 5000)
          )
          const recordCut = encodeInput({ items: records.slice(from, from + some), x: 1 })
          assert.deepEqual(
            Buffer.from(await assemble(recordCut, get)),
            Buffer.from(encodeValue({ items: list, x: 1 }))
          )
        }
      ),
      { numRuns: 30 }
    )
    // a worker needs only the blocks that its numbers lie in
    const [block] = data.chunks
    assert.deepEqual(
      blocksOf(encodeInput({ items: items.slice(0, 10) })).map(([range]) => range.block),
      [block]
    )
  })

  it('puts data in place of references and keeps the references for the disk', async () => {
    const blocks = memoryBlocks()
    const add = async (text: string | Uint8Array) =>
      (await addData(blocks, [typeof text === 'string' ? Buffer.from(text) : text])).cid
    const spec = {
      type: 'filter',
      items: { cid: await add('[1,2,3]'), as: 'json' as const },
      context: {
        words: { cid: await add('a\nb\n'), as: 'lines' as const },
        nothing: { cid: await add(''), as: 'lines' as const },
        blank: { cid: await add('\n'), as: 'lines' as const },
        table: { cid: await add(new Uint8Array(Float32Array.of(0.5, 2).buffer)), as: 'float32' as const },
        blob: { cid: await add('xy') }
      }
    }
    const found = findReferences(spec)
    const { spec: resolved } = await resolveInputs<object>(spec, found, blocks, {
      signal: signal(),
      streamed: STREAMED
    })
    assert.deepEqual(resolved, {
      type: 'filter',
      items: [1, 2, 3],
      context: {
        words: ['a', 'b'],
        nothing: [],
        blank: [''],
        table: Float32Array.of(0.5, 2),
        blob: new Uint8Array([120, 121])
      }
    })
    assert.deepEqual(withReferences(resolved, found), spec)
  })

  it('says what is wrong with a reference', async () => {
    const blocks = memoryBlocks()
    const { cid } = await addData(blocks, [new Uint8Array(10)])
    assert.throws(() => findReferences({ items: { cid: 'nonsense' } }), {
      name: 'SpecError',
      field: 'items.cid'
    })
    assert.throws(() => findReferences({ items: { cid, as: 'gold' } }), {
      name: 'SpecError',
      field: 'items.as'
    })
    assert.throws(() => findReferences({ items: { cid, size: 10 } }), {
      name: 'SpecError',
      field: 'items.size'
    })
    const resolve = (reference: object) => {
      const spec = { type: 'map', items: reference }
      return resolveInputs(spec, findReferences(spec), blocks, { signal: signal(), streamed: STREAMED })
    }
    await assert.rejects(resolve({ cid }), { name: 'SpecError', field: 'items.size' })
    await assert.rejects(resolve({ cid, as: 'float64' }), /10 bytes are no whole number of float64/)
    const missing = chunkCid(new Uint8Array(32)).toString()
    await assert.rejects(resolve({ cid: missing, as: 'uint8' }), { name: 'DataMissingError', cid: missing })
  })
})

describe('scheduler: blocks between peers', () => {
  let nodes: TwoNodes
  const exchanges: { stop(): Promise<void> }[] = []
  beforeEach(async () => {
    nodes = await startNodes()
  })
  afterEach(async () => {
    await Promise.all(exchanges.splice(0).map(exchange => exchange.stop()))
    await nodes.stop()
  })

  const exchange = async (
    network: TwoNodes['a'],
    blocks: Blocks,
    onMissing?: (digest: Uint8Array) => void
  ) => {
    const made = createBlockExchange({ network, blocks, logger: defaultLogger(), onMissing })
    exchanges.push(made)
    await made.start()
    return made
  }

  it('fetches many blocks at once, each only once', async () => {
    const source = memoryBlocks()
    let reads = 0
    const counted: Blocks = {
      ...source,
      get(cid, options) {
        reads++
        return source.get(cid, options)
      }
    }
    const bytes = someBytes(20 * CHUNK_BYTES)
    const { cid } = await addData(source, [bytes])
    const { chunks } = await openData(source, cid, { signal: signal() })
    await exchange(nodes.a, counted)
    const worker = await exchange(nodes.b, memoryBlocks())
    const from = nodes.a.peerId.toString()
    // every block twice, half of the second ones after the first have come
    const first = await Promise.all(
      [...chunks, ...chunks.slice(0, 10)].map(digest => worker.get(from, digest))
    )
    const second = await Promise.all(chunks.map(digest => worker.get(from, digest)))
    assert.equal(Buffer.concat(first.slice(0, 20)).equals(bytes), true)
    assert.equal(Buffer.concat(second).equals(bytes), true)
    assert.equal(reads, new Set(chunks.map(chunk => Buffer.from(chunk).toString('hex'))).size)
  })

  it('tells a block that is not there, and the one who should have had it', async () => {
    const digest = new Uint8Array(32)
    const missed: Uint8Array[] = []
    await exchange(nodes.a, memoryBlocks(), missing => missed.push(missing))
    const worker = await exchange(nodes.b, memoryBlocks())
    await assert.rejects(worker.get(nodes.a.peerId.toString(), digest), {
      name: 'BlockError',
      message: new RegExp(`does not have block ${chunkCid(digest)}`)
    })
    assert.deepEqual(
      missed.map(each => [...each]),
      [[...digest]]
    )
  })

  it('refuses a wrong block and never asks that peer again', async () => {
    const source = memoryBlocks()
    const right = someBytes(1000)
    const { cid } = await addData(source, [right])
    const { chunks } = await openData(source, cid, { signal: signal() })
    source.kept.set(cid, someBytes(1001))
    await exchange(nodes.a, source)
    const worker = await exchange(nodes.b, memoryBlocks())
    const from = nodes.a.peerId.toString()
    await assert.rejects(worker.get(from, chunks[0]!), { name: 'BlockError', message: /sent a wrong block/ })
    source.kept.set(cid, right)
    await assert.rejects(worker.get(from, chunks[0]!), { name: 'BlockError', message: /is not asked again/ })
  })
})
