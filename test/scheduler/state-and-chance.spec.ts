import { strict as assert } from 'node:assert'
import { wasmModule } from '../sandbox/wasm-module.ts'
import { WorkRunner } from './run-work.ts'

const CUTS = [{}, { slice: 2000 }, { slice: 7 }, { slice: 1 }]
const items = Array.from({ length: 200 }, (_, i) => i)

describe('scheduler: what an item leaves behind, and chance', () => {
  const runner = new WorkRunner()
  before(() => runner.start())
  after(() => runner.stop())

  /** The result, which is the same for every cut. */
  async function result(spec: Record<string, unknown>, cutting: { slice?: number }[] = CUTS): Promise<any> {
    const results: unknown[] = []
    for (const [i, how] of cutting.entries()) results.push(await runner.result(spec, { seed: i + 1, ...how }))
    for (const other of results) assert.deepStrictEqual(other, results[0])
    return results[0]
  }

  it('a counter in a global of WebAssembly, or in its memory, is 0 for every item', async () => {
    const counters = {
      global: '23 00 41 01 6a 24 00 23 00', // global.set(global.get + 1), global.get
      memory: '41 00 41 00 28 02 00 41 01 6a 36 02 00 41 00 28 02 00'
    }
    for (const body of Object.values(counters)) {
      const module = wasmModule({ body, result: true })
      const args = items.map(() => [])
      assert.deepStrictEqual(
        await result({ type: 'wasm', module, export: 'main', items: args }),
        items.map(() => 1)
      )
    }
  })

  it('chance of every function of a job hangs on what it is applied to', async () => {
    const jobs: Record<string, Record<string, unknown>> = {
      map: { type: 'map', items, fn: 'x => [Math.random(), Math.random()]' },
      filter: { type: 'filter', items, fn: 'x => Math.random() < 0.5' },
      'map of a reduce': {
        type: 'range_reduce',
        start: 1,
        end: 1000,
        map: 'x => Math.random()',
        operation: 'average'
      },
      reduce: {
        type: 'range_reduce',
        start: 1,
        end: 1000,
        operation: 'custom',
        reduce: '(a, b) => Math.random() < 0.5 ? a : b',
        map: 'x => x'
      },
      'reduce with an initial value': {
        type: 'range_reduce',
        start: 1,
        end: 77,
        operation: 'custom',
        reduce: '(a, b) => a + b + Math.random()',
        initial: 5
      },
      'reduce of groups': {
        type: 'map_reduce',
        items: items.flatMap(x => items.slice(0, 20).map(y => x + y)),
        map: 'x => [[x % 7, x], [x % 3, Math.random()]]',
        reduce: '(a, b) => a + b * Math.random()'
      },
      'reduce of one value': {
        type: 'map_reduce',
        items,
        map: 'x => x',
        reduce: '(a, b) => Math.random() < 0.5 ? a : b'
      }
    }
    for (const spec of Object.values(jobs)) await result(spec)
    const pairs: [number, number][] = await result(jobs.map!)
    assert.equal(new Set(pairs.flat()).size, 400)
    const mean = pairs.flat().reduce((sum, x) => sum + x) / 400
    assert.ok(Math.abs(mean - 0.5) < 0.1, `the mean is ${mean}`)
  })

  it('promises and generators where a value is needed are refused by name', async () => {
    const range = { type: 'range_reduce', start: 1, end: 100 }
    const promised = /a promise|async/
    await assert.rejects(
      runner.run({ ...range, map: 'x => Promise.resolve(false)', operation: 'count' }),
      promised
    )
    await assert.rejects(runner.run({ ...range, map: 'x => Promise.resolve(x)' }), promised)
    await assert.rejects(
      runner.run({
        ...range,
        operation: 'custom',
        map: 'x => x',
        reduce: '(a, b) => Promise.resolve(a + b)'
      }),
      promised
    )
    await assert.rejects(
      runner.run({
        type: 'map_reduce',
        items,
        map: 'x => [x % 2, x]',
        reduce: '(a, b) => Promise.resolve(a)'
      }),
      promised
    )
    const generator = '(function* () { yield x })()'
    await assert.rejects(runner.run({ ...range, map: generator, operation: 'count' }), /an iterator/)
    await assert.rejects(runner.run({ type: 'filter', items, fn: generator }), /an iterator/)
    await assert.rejects(runner.run({ type: 'map', items, fn: generator }), /cannot cross/)
    // where they can be waited for they are
    assert.deepStrictEqual(await result({ type: 'filter', items: [1, 2, 3], fn: 'async x => x > 1' }), [2, 3])
    assert.deepStrictEqual(
      await result({ type: 'map_reduce', items: [1, 2, 3], map: 'async x => [x % 2, x]', reduce: 'sum' }),
      [
        [0, 2],
        [1, 4]
      ]
    )
  })
})
