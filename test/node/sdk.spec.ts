import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mock } from 'node:test'
import { type Artel, ArtelError, connect, type JobReport, type Progress } from '../../node/sdk/index.ts'
import { until } from '../bootstrap/nodes.ts'
import { encodeModel } from '../scheduler/onnx-model.ts'

/** f64 addition under the name add */
const ADDER = Uint8Array.from(
  '0061736d0100000001070160027c7c017c030201000707010361646400000a0901070020002001a00b'
    .match(/../g)!
    .map(pair => Number.parseInt(pair, 16))
)

describe('node: SDK, against a node of its own', () => {
  let folder: string
  let artel: Artel

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-sdk-'))
    artel = await connect({ embedded: true, data: join(folder, 'own'), settings: { logLevel: 'silent' } })
  })
  after(async () => {
    await artel?.close()
    await rm(folder, { recursive: true, force: true })
  })

  it('works alone: the owner’s jobs run behind this machine’s own walls', async () => {
    assert.deepEqual(await artel.peers(), [])
    assert.equal(await artel.rangeReduce({ start: 1, end: 1000, operation: 'sum' }), 500_500)
  })

  describe('every task', () => {
    it('rangeReduce, with functions as they are', async () => {
      assert.equal(await artel.rangeReduce({ start: 1, end: 100, map: x => x * x }), 338_350)
      const partial = (from: number, to: number): number => ((from + to) * (to - from + 1)) / 2
      assert.equal(
        await artel.rangeReduce({ start: 1, end: 1e6, partial, operation: 'sum' }),
        500_000_500_000
      )
      const exact = await artel.rangeReduce({ start: 1, end: 25, operation: 'product', exact: true })
      assert.equal(exact, 15_511_210_043_330_985_984_000_000n)
      const longest = await artel.rangeReduce({
        start: 1,
        end: 12,
        map: x => 'x'.repeat(x),
        operation: 'custom',
        reduce: (a: string, b: string) => (a.length > b.length ? a : b)
      })
      assert.equal(longest, 'x'.repeat(12))
    })

    it('sort, awaited and page by page', async () => {
      const words = ['pear', 'fig', 'apple', 'kiwi', 'date']
      const byLength = artel.sort(words, word => word.length)
      assert.deepEqual(await byLength, ['fig', 'pear', 'kiwi', 'date', 'apple'])
      const pages: number[][] = []
      for await (const page of artel.sort([3, 1, 2], undefined, { page: 2, order: 'descending' }))
        pages.push(page)
      assert.deepEqual(pages, [[3, 2], [1]])
    })

    it('map and filter', async () => {
      const words = ['a', 'bb', 'ccc']
      assert.deepEqual(await artel.map(words, (word, index) => word.length + index), [1, 3, 5])
      assert.deepEqual(await artel.map([1, 2, 3], 'x ** 2'), [1, 4, 9])
      assert.deepEqual(await artel.filter(words, word => word.length > 1), ['bb', 'ccc'])
      assert.deepEqual(await artel.map(words, async word => word.length), [1, 2, 3])
    })

    it('keeps what JSON cannot say: bigint, typed arrays, NaN, −0, bytes', async () => {
      const values = [2n ** 70n, new Float32Array([1.5]), Number.NaN, -0, new Uint8Array([0, 255]), undefined]
      assert.deepEqual(await artel.map(values, x => x), values)
    })

    it('mapReduce', async () => {
      const texts = ['to be or', 'not to be']
      const counts = await artel.mapReduce(
        texts,
        text => text.split(' ').map(word => [word, 1] as const),
        'sum'
      )
      const expected = [
        ['be', 2],
        ['not', 1],
        ['or', 1],
        ['to', 2]
      ]
      assert.deepEqual(counts, expected)
      assert.equal(await artel.mapReduce([1, 2, 3, 4], x => x * x, 'sum'), 30)
    })

    it('matrix', async () => {
      const a = { rows: 2, cols: 2, data: [1, 2, 3, 4] }
      const product = await artel.matrix('multiply', a, a)
      assert.deepEqual([...product.data], [7, 10, 15, 22])
      assert.ok(Math.abs((await artel.matrix('determinant', a)) + 2) < 1e-12)
    })

    it('mlInference and mlTrainStep', async () => {
      const model = encodeModel({
        inputs: [{ name: 'x', dims: ['batch', 2] }],
        outputs: ['y'],
        nodes: [{ op: 'Add', inputs: ['x', 'one'], outputs: ['y'] }],
        tensors: { one: { dims: [1], data: Float32Array.of(1) } }
      })
      const outputs = await artel.mlInference({ model, input: { dims: [1, 2], data: [3, 4] } })
      assert.deepEqual([...outputs.y!.data], [4, 5])
      const { epochs } = await artel.mlTrainStep({
        model: { layers: [{ units: 1 }] },
        data: { x: { rows: 4, cols: 1, data: [0, 1, 2, 3] }, y: { rows: 4, cols: 1, data: [0, 2, 4, 6] } },
        loss: 'mse',
        learningRate: 0.05,
        epochs: 30
      })
      assert.ok(epochs.at(-1)!.loss < epochs[0]!.loss / 10)
    })

    it('wasm, script and pipeline', async () => {
      assert.equal(await artel.wasm<number>({ module: ADDER, export: 'add', args: [2, 3] }), 5)
      assert.equal(await artel.script((name: string) => `hello ${name}`, 'you'), 'hello you')
      assert.equal(await artel.script('export default async n => n + 1', 41), 42)
      const outputs = await artel.pipeline([
        { id: 'squares', task: { type: 'map', items: [1, 2, 3], fn: (x: number) => x * x } },
        {
          id: 'sum',
          task: { type: 'script', source: 'export default list => list.reduce((a, b) => a + b)' },
          dependsOn: ['squares']
        }
      ])
      assert.deepEqual(outputs, { squares: [1, 4, 9], sum: 14 })
    })

    it('submit and submitMany', async () => {
      const list = await artel.submit({ type: 'map', items: [1, 2], fn: (x: number) => x + 1 })
      assert.deepEqual(list, [2, 3])
      const outcomes = await artel.submitMany<number>([
        { type: 'script', source: 'export default () => 7' },
        { type: 'script', source: 'export default () => { throw new Error("no") }' }
      ])
      assert.deepEqual(outcomes[0], { ok: true, value: 7 })
      assert.equal(outcomes[1]!.ok, false)
    })
  })

  describe('jobs', () => {
    const slow = { start: 1, end: 3e10, map: (x: number) => Math.sqrt(x) }

    it('tells progress and end, and is found again by its id', async () => {
      const progress: Progress[] = []
      const ends: JobReport[] = []
      const job = artel.rangeReduce({ start: 1, end: 1e8, map: x => x % 7 })
      job.on('progress', each => progress.push(each)).on('end', report => ends.push(report))
      const value = await job
      assert.equal(ends.length, 1)
      assert.equal(ends[0]!.state, 'completed')
      assert.equal(ends[0]!.paid, 0n)
      assert.ok(progress.every(({ job: id }) => id === ends[0]!.job))
      const again = artel.job<number>(await job.id)
      assert.equal(await again, value)
      assert.equal((await again.report()).job, await job.id)
      const listed: string[] = []
      for await (const { job: id } of artel.jobs({ type: 'range_reduce' })) listed.push(id)
      assert.ok(listed.includes(await job.id))
    })

    it('is a promise with catch and finally, and tells its end also to who comes late', async () => {
      const job = artel.map([1], x => x).catch(() => [])
      assert.deepEqual(await job, [1])
      const failing = artel.submit({ type: 'map', items: [1], fn: 'x => { throw new Error("no") }' })
      let isOver = false
      const name = await failing
        .finally(() => {
          isOver = true
        })
        .catch((error: Error) => error.name)
      assert.deepEqual([name, isOver], ['JobFailedError', true])
      const { state } = await new Promise<JobReport>(resolve => failing.on('end', resolve))
      assert.equal(state, 'failed')
    })

    it('queues what is submitted at once', async () => {
      let underWay = 0
      let most = 0
      const original = fetch
      const counted = mock.method(globalThis, 'fetch', async (...args: Parameters<typeof fetch>) => {
        most = Math.max(most, ++underWay)
        try {
          return await original(...args)
        } finally {
          underWay--
        }
      })
      try {
        const jobs = Array.from({ length: 400 }, (_, i) => artel.map([i], x => x + 1))
        assert.deepEqual(
          (await Promise.all(jobs)).flat(),
          Array.from({ length: 400 }, (_, i) => i + 1)
        )
        assert.ok(most <= 200, `${most} requests at once`)
      } finally {
        counted.mock.restore()
      }
    })

    it('is cancelled by its owner', async () => {
      const job = artel.rangeReduce(slow)
      const ended = assert.rejects(job.result(), { name: 'JobCancelledError' })
      await job.cancel()
      await ended
      assert.equal((await job.report()).state, 'cancelled')
    })

    it('is cancelled by its signal, also before it was acknowledged', async () => {
      const controller = new AbortController()
      const job = artel.rangeReduce(slow, { signal: controller.signal })
      controller.abort(new Error('enough'))
      await assert.rejects(job.result(), { message: 'enough' })
      const same = artel.job(await job.id)
      await assert.rejects(same.result(), { name: 'JobCancelledError' })
    })

    it('starts nothing when the signal has aborted already', async () => {
      const job = artel.rangeReduce(slow, { signal: AbortSignal.abort(new Error('too late')) })
      await assert.rejects(job.result(), { message: 'too late' })
      await assert.rejects(job.id, { message: 'too late' })
    })

    it('goes on when only the waiting ends', async () => {
      const job = artel.rangeReduce(slow)
      await assert.rejects(job.result({ signal: AbortSignal.timeout(10) }), { name: 'TimeoutError' })
      assert.equal((await artel.job(await job.id).report()).finished, undefined)
      await job.cancel()
    })

    it('fails with the author’s own stack', async () => {
      const job = artel.map([1, 2], x => {
        if (x === 2) throw new RangeError('two')
        return x
      })
      await assert.rejects(
        async () => job,
        (error: ArtelError) => {
          assert.ok(error instanceof ArtelError)
          assert.equal(error.name, 'JobFailedError')
          assert.match(error.message, /RangeError: two/)
          assert.equal(error.failure?.name, 'threw')
          assert.equal(error.failure?.unit, 1)
          return true
        }
      )
    })

    it('names what is wrong before it starts', async () => {
      const limit = 3
      await assert.rejects(async () => artel.filter([1, 2], x => x > limit), {
        name: 'SpecError',
        message: 'fn: uses `limit`, which does not exist in the sandbox; pass it in `context`'
      })
      assert.deepEqual(await artel.filter([2, 4], x => x > limit, { context: { limit } }), [4])
      await assert.rejects(artel.job('0123456789abcdef').result(), { name: 'UnknownJobError' })
      await assert.rejects(artel.job('../tokens').result(), { name: 'UnknownJobError' })
    })
  })

  describe('streams', () => {
    it('gives pages in order, of an array, an iterable and an async iterable', async () => {
      const items = Array.from({ length: 10 }, (_, i) => i)
      for (const source of [items, new Set(items), later(items)]) {
        const pages: number[][] = []
        for await (const page of artel.map(source, x => x * 2, { page: 4 })) pages.push(page)
        assert.deepEqual(
          pages.flat(),
          items.map(x => x * 2)
        )
        assert.ok(pages.every(page => page.length <= 4))
      }
      assert.deepEqual(await artel.map(later([1, 2, 3]), x => x + 1, { page: 2 }), [2, 3, 4])
    })

    it('gives functions the index in the whole, also by pages', async () => {
      const items = Array.from({ length: 10 }, (_, i) => i)
      const pages: number[][] = []
      for await (const page of artel.map(items, (_, index) => index, { page: 4 })) pages.push(page)
      assert.deepEqual(pages.flat(), await artel.map(items, (_, index) => index))
      assert.deepEqual(pages.flat(), items)
      const kept: number[][] = []
      for await (const page of artel.filter(items, (_, index) => index > 6, { page: 4 })) kept.push(page)
      assert.deepEqual(kept.flat(), [7, 8, 9])
      const dice: number[][] = []
      for await (const page of artel.map(items, () => Math.random(), { page: 4 })) dice.push(page)
      assert.deepEqual(dice.flat(), await artel.map(items, () => Math.random()))
    })

    it('refuses by name what was read already', async () => {
      function* three(): Generator<number> {
        yield* [1, 2, 3]
      }
      const once = three()
      const stream = artel.map(once, x => x)
      const pages: number[][] = []
      for await (const page of stream) pages.push(page)
      assert.deepEqual(pages.flat(), [1, 2, 3])
      await assert.rejects(Promise.resolve(stream), { name: 'ItemsReadError' })
      await assert.rejects(Promise.resolve(artel.filter(once, () => true)), { name: 'ItemsReadError' })
    })

    it('reads its source no further than what is under way: back-pressure', async () => {
      let taken = 0
      async function* endless(): AsyncGenerator<number> {
        for (;;) yield taken++
      }
      let read = 0
      let mostAhead = 0
      for await (const page of artel.map(endless(), x => x, { page: 10, ahead: 2 })) {
        read += page.length
        // a reader that is slower than the source
        await artel.balance()
        mostAhead = Math.max(mostAhead, taken - read)
        if (read >= 100) break
      }
      assert.ok(mostAhead <= 30, `${mostAhead} items ahead of the reader`)
      const before = taken
      await artel.balance()
      assert.ok(taken - before <= 1)
    })

    it('lets what is there go out when the source is slow', async () => {
      const gate = Promise.withResolvers<void>()
      async function* slow(): AsyncGenerator<number> {
        yield 1
        await gate.promise
        yield 2
      }
      const pages: number[][] = []
      for await (const page of artel.map(slow(), x => x)) {
        pages.push(page)
        gate.resolve()
      }
      assert.deepEqual(pages, [[1], [2]])
    })

    it('cancels what is under way when the reader leaves or its signal aborts', async () => {
      async function* forever(): AsyncGenerator<number> {
        for (let i = 0; ; i++) yield i
      }
      const controller = new AbortController()
      const never = artel.map(
        forever(),
        () => {
          for (;;);
        },
        { page: 1, signal: controller.signal }
      )
      const reading = (async () => {
        for await (const _ of never);
      })()
      await until(async () => (await running(artel)) > 0, 'a page runs')
      controller.abort(new Error('enough'))
      await assert.rejects(reading, { message: 'enough' })
      await until(async () => (await running(artel)) === 0, 'no page runs any more')
    })
  })

  it('quotes before it submits', async () => {
    const before: string[] = []
    for await (const { job } of artel.jobs()) before.push(job)
    const quote = await artel.quote({ type: 'range_reduce', start: 1, end: 1e7, map: x => x + 1 })
    assert.ok(quote.expected <= quote.bound)
    assert.equal(typeof quote.expected, 'bigint')
    const after: string[] = []
    for await (const { job } of artel.jobs()) after.push(job)
    assert.deepEqual(after, before)
  })

  it('shows balance, history, reputation, forecast, network and offers', async () => {
    const { account, available, reserved, supply } = await artel.balance()
    assert.equal(supply.total, supply.granted - supply.burnt)
    assert.equal(available + reserved, 100_000_000n)
    assert.ok(
      (await artel.history({ limit: 10 })).some(
        ({ type, amount }) => type === 'grant' && amount === 100_000_000n
      )
    )
    assert.equal((await artel.reputation()).account, account)
    assert.equal((await artel.forecast()).now > 0, true)
    const network = await artel.network()
    assert.equal(network.id, account)
    assert.deepEqual(
      (await artel.offers()).map(({ peer }) => peer),
      [account]
    )
    await assert.rejects(artel.transfer(account, 10n ** 12n), { name: 'InsufficientCreditsError' })
  })

  it('puts data into the block store, uses it by CID and reads it back', async () => {
    const bytes = new Uint8Array(new Float64Array([1, 2, 3]).buffer)
    const { cid, size } = await artel.addData(bytes)
    assert.equal(size, 24)
    const streamed = await artel.addData(later([bytes.subarray(0, 8), bytes.subarray(8)]))
    assert.equal(streamed.cid, cid)
    const read = new Uint8Array(await new Response(await artel.data(cid)).arrayBuffer())
    assert.deepEqual(read, bytes)
    const spec = { type: 'map', items: { cid, as: 'float64' }, fn: (x: number) => x + 1 } as const
    assert.deepEqual([...(await artel.submit(spec))], [2, 3, 4])
  })

  it('has connections that do not end each other', async () => {
    const data = join(folder, 'own')
    const [first, second] = [await connect({ data }), await connect({ data })]
    const ends = Promise.withResolvers<number>()
    const source = (async function* () {
      yield 1
      yield await ends.promise
    })()
    const pages = second.map(source, x => x + 1)[Symbol.asyncIterator]()
    assert.deepEqual((await pages.next()).value, [2])
    assert.deepEqual(await first.map([1], x => x), [1])
    await first.close()
    ends.resolve(2)
    assert.deepEqual((await pages.next()).value, [3])
    await second.close()
    assert.deepEqual(await artel.map([7], x => x), [7])
  })

  it('does not wait any more once it is closed, and says so', async () => {
    const { url, token } = await placeOf(join(folder, 'own'))
    const second = await connect({ url, token })
    const job = second.rangeReduce({ start: 1, end: 3e10, map: x => Math.sqrt(x) })
    const id = await job.id
    const waiting = assert.rejects(job.result(), { name: 'AbortError', message: /closed/ })
    await second.close()
    await waiting
    await artel.job(id).cancel()
  })

  it('refuses a wrong token by name', async () => {
    const { url } = await placeOf(join(folder, 'own'))
    await using stranger = await connect({ url, token: 'wrong' })
    await assert.rejects(stranger.balance(), { name: 'UnauthorizedError', status: 401 })
  })
})

async function* later<T>(items: Iterable<T>): AsyncGenerator<T> {
  for (const item of items) yield item
}

async function running(artel: Artel): Promise<number> {
  let count = 0
  for await (const { finished } of artel.jobs({ type: 'map' })) if (finished == null) count++
  return count
}

async function placeOf(folder: string): Promise<{ url: string; token: string }> {
  const { findNode } = await import('../../node/sdk/find-node.ts')
  return (await findNode(folder)) as { url: string; token: string }
}
