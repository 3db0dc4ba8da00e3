import { strict as assert } from 'node:assert'
import { isProvenStateless } from '../../sandbox/index.ts'
import { wasmModule } from '../sandbox/wasm-module.ts'
import { WorkRunner } from './run-work.ts'

/** Ways to keep something from one item to the next. The answer to an item is 1, or an error that names what is kept. */
const KEEPERS: Record<string, string> = {
  'a global': 'x => { globalThis.n = (globalThis.n ?? 0) + 1; return globalThis.n }',
  'a global that is defined':
    'x => { if (!("n" in globalThis)) Object.defineProperty(globalThis, "n", { value: { count: 0 } }); return ++globalThis.n.count }',
  'a global of an expression': 'globalThis.n = (globalThis.n ?? 0) + 1',
  'a global beside a promise':
    'async x => { globalThis.n = (globalThis.n ?? 0) + 1; await null; return globalThis.n }',
  'the elements of what came before':
    'x => { globalThis.all ??= []; globalThis.all.push(x); return globalThis.all.length }',
  'a regular expression in a global':
    'x => { globalThis.r ??= /a/g; const found = globalThis.r.test("a"); return found ? globalThis.r.lastIndex : 0 }',
  'a generator in a global':
    'x => { globalThis.g ??= (function* () { for (let i = 1; ; i++) yield i })(); return globalThis.g.next().value }'
}
/** The same where nothing is changed, only frozen: an error, the same for every item. */
const REFUSED: Record<string, string> = {
  'a property of the function': 'function f(x) { f.n = (f.n ?? 0) + 1; return f.n }',
  'its prototype': 'function f(x) { f.prototype.n = (f.prototype.n ?? 0) + 1; return f.prototype.n }',
  Math: 'x => { Math.n = (Math.n ?? 0) + 1; return Math.n }',
  'a prototype': 'x => { Array.prototype.n = ([].n ?? 0) + 1; return [].n }',
  'a method': 'x => { [].map.n = ([].map.n ?? 0) + 1; return [].map.n }',
  'the prototype of iterators':
    'x => { const p = Object.getPrototypeOf([].values()); p.n = (p.n ?? 0) + 1; return p.n }',
  'the context': 'x => { given.n = (given.n ?? 0) + 1; return given.n }',
  'the limit of stack traces': 'x => { Error.stackTraceLimit++; return Error.stackTraceLimit }'
}

const CUTS = [{}, { slice: 2000 }, { slice: 7 }, { slice: 1 }]
const items = Array.from({ length: 200 }, (_, i) => i)

describe('scheduler: what an item leaves behind, and chance', function () {
  this.timeout(120_000)
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

  for (const [name, fn] of Object.entries(KEEPERS))
    it(`${name}: is gone for the next item`, async () => {
      assert.deepStrictEqual(
        await result({ type: 'map', items, fn }),
        items.map(() => 1)
      )
    })

  for (const [name, fn] of Object.entries(REFUSED))
    it(`${name}: cannot be changed, told alike however it is cut`, async () => {
      for (const how of [{ slice: 200 }, { slice: 1 }])
        await assert.rejects(
          runner.run({ type: 'map', items, fn, context: { given: {} } }, how),
          /threw: TypeError: Cannot (add property n|assign to read only property 'stackTraceLimit')/
        )
    })

  it('a global of 2,000 items counts to 1', async () => {
    const spec = { type: 'range_reduce', start: 1, end: 2000, map: KEEPERS['a global'], operation: 'max' }
    assert.equal(await result(spec), 1)
  })

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

  it('is held against nobody where it cannot be ruled out, nor where the program is none', () => {
    const isProven = (source: string): boolean => isProvenStateless({ kind: 'function', source })
    assert.equal(isProven('x => x + 1'), true)
    for (const source of [
      'async x => x',
      'x => { try { return x } catch { return 1 } }',
      'x => (',
      '('.repeat(1e5)
    ])
      assert.equal(isProven(source), false, source.slice(0, 50))
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
