import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { decodeValue, encodeValue } from '../../sandbox/index.ts'
import { addData } from '../../scheduler/data/chunked-data.ts'
import type { Part, Work } from '../../scheduler/tasks/contract.ts'
import { createWork } from '../../scheduler/tasks/job-parts.ts'
import { parseSpec } from '../../scheduler/tasks/parse-spec.ts'
import { memoryBlocks } from './memory-blocks.ts'
import { runHere } from './programs.ts'
import { createRandom, WorkRunner } from './run-work.ts'

type Key = string | number
const byKey =
  <T>(key: (item: T, index: number) => Key, sign = 1) =>
  ([a, i]: [T, number], [b, j]: [T, number]): number => {
    const [left, right] = [key(a, i), key(b, j)]
    return sign * (left < right ? -1 : left > right ? 1 : 0)
  }
/** What Array.prototype.sort, which is stable, makes of it. */
const sorted = <T>(items: T[], key: (item: T, index: number) => Key, sign = 1): T[] =>
  items
    .map((item, i): [T, number] => [item, i])
    .sort(byKey(key, sign))
    .map(([item]) => item)

describe('tasks: sort', () => {
  const runner = new WorkRunner()
  before(() => runner.start())
  after(() => runner.stop())

  const slice = fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined })
  // few different keys and many items: most of them are equal
  const records = fc.array(
    fc.record({ n: fc.integer({ min: -3, max: 3 }), s: fc.string({ maxLength: 3 }) }),
    {
      maxLength: 150
    }
  )

  it('gives what Array.prototype.sort gives with the same key, in both orders, for any cut', async () => {
    const keys = [
      (item: { n: number }) => item.n,
      (item: { s: string }) => item.s,
      (item: { n: number; s: string }, index: number) => `${item.s}${(index % 5) - item.n}`
    ]
    await fc.assert(
      fc.asyncProperty(
        records,
        fc.nat(2),
        fc.boolean(),
        slice,
        fc.integer(),
        async (items, which, up, slice, seed) => {
          const key = keys[which]!
          const spec = { type: 'sort', items, key, order: up ? 'ascending' : 'descending' }
          const result = await runner.run(spec, { slice, seed })
          assert.deepEqual(result, encodeValue(sorted(items, key, up ? 1 : -1)))
        }
      ),
      { numRuns: 15 }
    )
  })

  it('sorts numbers and strings by themselves', async () => {
    const numbers = fc.array(fc.double({ noNaN: true }), { maxLength: 100 })
    const strings = fc.array(fc.string({ unit: 'binary' }), { maxLength: 100 })
    await fc.assert(
      fc.asyncProperty(fc.oneof(numbers, strings), slice, fc.integer(), async (items, slice, seed) => {
        const result = await runner.run({ type: 'sort', items }, { slice, seed })
        assert.deepEqual(result, encodeValue(sorted(items as Key[], item => item)))
      }),
      { numRuns: 10 }
    )
  })

  it('has an order for keys of every type: by type, NaN after the numbers', async () => {
    const items = ['b', Number.NaN, 2, true, 10n, 1, 'a', 9n, false, Number.NEGATIVE_INFINITY]
    assert.deepEqual(await runner.result({ type: 'sort', items }, { slice: 1 }), [
      9n,
      10n,
      false,
      true,
      Number.NEGATIVE_INFINITY,
      1,
      2,
      Number.NaN,
      'a',
      'b'
    ])
  })

  it('calls an async key once for each item, with its number and the context', async () => {
    const items = Array.from({ length: 60 }, (_, i) => i)
    const result = await runner.result(
      { type: 'sort', items, key: 'async (x, index) => (x * factor + index) % 7', context: { factor: 3 } },
      { slice: 2 }
    )
    assert.deepEqual(
      result,
      sorted(items, (x, index) => (x * 3 + index) % 7)
    )
  })

  it('merges the same pages however the work is cut', async () => {
    const random = createRandom(7)
    const items = Array.from({ length: 12_000 }, (_, i) => ({
      id: i,
      word: 'abcdefgh'.charAt(random() * 8).repeat(1 + random() * 120)
    }))
    const spec = { type: 'sort', items, key: (item: { word: string }) => item.word.length }
    const expected = encodeValue(sorted(items, spec.key))
    for (const how of [{ slice: 1 }, { slice: 1000 }, { seed: 2 }, { seed: 3 }])
      assert.equal(Buffer.compare(await runner.run(spec, how), expected), 0)
  })

  it('gives the bytes of inline items for numbers and records by CID', async () => {
    const random = createRandom(5)
    const blocks = memoryBlocks()
    const numbers = Float64Array.from({ length: 60_000 }, () => Math.round(random() * 1e4) / 8)
    const { cid } = await addData(blocks, [new Uint8Array(numbers.buffer)])
    const inline = encodeValue([...numbers].sort((a, b) => a - b))
    for (const how of [{ slice: 3 }, { seed: 4 }]) {
      const spec = { type: 'sort', items: { cid, as: 'float64' } }
      assert.equal(Buffer.compare(await runner.run(spec, { ...how, blocks }), inline), 0)
    }
    const bytes = Uint8Array.from({ length: 1024 * 700 }, () => random() * 256)
    const list = Array.from({ length: 700 }, (_, i) => bytes.subarray(i * 1024, (i + 1) * 1024))
    const added = await addData(blocks, [bytes])
    const spec = { type: 'sort', items: { cid: added.cid, size: 1024 }, key: (x: Uint8Array) => x[0]! }
    assert.equal(Buffer.compare(await runner.run(spec, { blocks }), encodeValue(sorted(list, x => x[0]!))), 0)
  })

  it('is a stage of a pipeline', async () => {
    const nodes = [
      { id: 'squares', task: { type: 'map', items: [3, -1, 2], fn: 'x => x * x' } },
      { id: 'order', task: { type: 'sort', order: 'descending' }, dependsOn: ['squares'] }
    ]
    const { order } = await runner.result({ type: 'pipeline', nodes })
    assert.deepEqual(order, [9, 4, 1])
  })

  it('says which item has no key to sort by', async () => {
    await assert.rejects(
      runner.result({ type: 'sort', items: [{ a: 1 }, {}], key: 'x => x.a' }),
      /the key of item 1 is undefined; a key is a number/
    )
    assert.throws(() => parseSpec({ type: 'sort', items: [1], key: 'x => y' }), {
      name: 'SpecError',
      field: 'key'
    })
  })

  describe('its pages', () => {
    const work = (items: unknown[], key?: string): Work => {
      const spec = parseSpec({ type: 'sort', items, key })
      return createWork(spec, encodeValue(spec).length)
    }
    const noRun = () => () => assert.fail('nothing runs here')
    const encoded = (part: Part, first: number, count: number): Uint8Array =>
      part.inputs(first, count)[0] as Uint8Array

    /** The part that merges pages, after all runs were sorted in this process. */
    async function pagesOf(made: Work): Promise<Part> {
      const [[, runs]] = (await made.next(undefined, noRun)) as [[number, Part]]
      const run = runHere({ ...runs.load, kind: 'function' } as never)
      runs.reducer.add(0, runs.units, await run(encoded(runs, 0, runs.units)))
      const [[, pages]] = (await made.next(0, noRun)) as [[number, Part]]
      return pages
    }

    it('are of even size whatever the keys are, and every item is in one', async () => {
      const length = 12_000
      const random = createRandom(9)
      const cases: Record<string, (i: number) => number> = {
        equal: () => 7,
        ascending: i => i,
        descending: i => -i,
        'by chance': () => random(),
        'nearly all equal': i => (i % 1000 === 0 ? i : 5),
        skewed: () => Math.floor(1 / (random() + 1e-3))
      }
      for (const [name, keyOf] of Object.entries(cases)) {
        const items = Array.from({ length }, (_, i) => ({ key: keyOf(i), text: 'x'.repeat(110) }))
        const pages = await pagesOf(work(items, 'x => x.key'))
        const bytes = Array.from({ length: pages.units }, (_, i) => encoded(pages, i, 1).length)
        assert.ok(pages.units >= 4, `${name}: ${pages.units} pages`)
        // items of 256 KiB, once more for what the samples miss, and their keys
        assert.ok(Math.max(...bytes) < 2.5 * 256 * 1024, `${name}: a page of ${Math.max(...bytes)} bytes`)
        const all = decodeValue(encoded(pages, 0, pages.units)) as { pages: [unknown[]][][] }
        assert.equal(
          all.pages.flat().reduce((sum, [own]) => sum + own.length, 0),
          length
        )
      }
    })

    it('takes no answer for a run that is not in order or not of its length', async () => {
      const [[, runs]] = (await work(Array.from({ length: 40 }, (_, i) => i)).next(undefined, noRun)) as [
        [number, Part]
      ]
      const run = Array.from({ length: 16 }, (_, i) => i)
      const wrong = [
        null,
        [],
        [[run], [run]],
        [[run.toReversed()]],
        [[run.slice(1)]],
        [[run, run]],
        [[run.map(() => null)]]
      ]
      for (const answer of wrong)
        assert.throws(() => runs.reducer.add(0, 1, encodeValue(answer)), { name: 'ProtocolError' })
      runs.reducer.add(0, 1, encodeValue([[run]]))
    })

    it('takes no answer for a page with an item too many', async () => {
      const pages = await pagesOf(work(Array.from({ length: 40 }, (_, i) => 40 - i)))
      const page = Array.from({ length: 40 }, (_, i) => i + 1)
      for (const answer of [page, [page, page], [[...page, 41]], [page.slice(1)], [{}]])
        assert.throws(() => pages.reducer.add(0, 1, encodeValue(answer)), { name: 'ProtocolError' })
      pages.reducer.add(0, 1, encodeValue([page]))
    })
  })
})
