import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { encodeValue } from '../../sandbox/index.ts'
import { parseSpec } from '../../scheduler/tasks/parse-spec.ts'
import { WorkRunner } from './run-work.ts'

/** An adder without imports: (func (export "add") (param f64 f64) (result f64)). */
const adder = Uint8Array.from(
  `0061736d 01000000 01070160027c7c017c 03020100 0707010361646400 00 0a09010700200020 01a00b`
    .replace(/\s/g, '')
    .match(/../g)!
    .map(pair => Number.parseInt(pair, 16))
)

/** A WASI command that writes its stdin, at most 64 KiB, to stdout; iovec at 0, its buffer at 16. */
const echo = (() => {
  const name = (text: string): number[] => [text.length, ...Buffer.from(text)]
  const section = (id: number, body: number[]): number[] => [id, body.length, ...body]
  const constant = (value: number): number[] => [0x41, value]
  const call = (fd: number, fn: number): number[] => [...[fd, 0, 1, 8].flatMap(constant), ...[0x10, fn, 0x1a]]
  const store = (at: number, ...value: number[]): number[] => [...constant(at), ...value, 0x36, 2, 0]
  const code = [
    0,
    ...store(0, ...constant(16)),
    ...store(4, 0x41, 0x80, 0x80, 4),
    ...call(0, 0),
    ...store(4, ...constant(8), 0x28, 2, 0),
    ...call(1, 1),
    0x0b
  ]
  const wasi = (field: string): number[] => [...name('wasi_snapshot_preview1'), ...name(field), 0, 0]
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [2, 0x60, 4, 0x7f, 0x7f, 0x7f, 0x7f, 1, 0x7f, 0x60, 0, 0]),
    ...section(2, [2, ...wasi('fd_read'), ...wasi('fd_write')]),
    ...section(3, [1, 1]),
    ...section(5, [1, 0, 2]),
    ...section(7, [2, ...name('memory'), 2, 0, ...name('_start'), 0, 2]),
    ...section(10, [1, code.length, ...code])
  ])
})()

describe('tasks over lists', () => {
  const runner = new WorkRunner()
  before(() => runner.start())
  after(() => runner.stop())

  const items = fc.array(fc.oneof(fc.integer(), fc.string(), fc.double()), { maxLength: 40 })
  const slice = fc.option(fc.integer({ min: 1, max: 41 }), { nil: undefined })

  it('filter keeps what Array.filter keeps, in order, for any cut', async () => {
    await fc.assert(
      fc.asyncProperty(items, slice, fc.integer(), async (items, slice, seed) => {
        const kept = await runner.run(
          { type: 'filter', items, fn: 'String(x).length % 2 === index % 2' },
          { slice, seed }
        )
        const expected = items.filter((x, index) => String(x).length % 2 === index % 2)
        assert.deepEqual(kept, encodeValue(expected))
      }),
      { numRuns: 15 }
    )
  })

  it('filter waits for async verdicts', async () => {
    const fn = async (x: number) => x > 2
    assert.deepEqual(await runner.result({ type: 'filter', items: [1, 2, 3, 4], fn }, { slice: 3 }), [3, 4])
  })

  const contexts: [string, unknown, unknown][] = [
    ['filter', { type: 'filter', items: [1, 5, 9], fn: 'x > limit' }, [5, 9]],
    ['map', { type: 'map', items: [1, 5, 9], fn: 'x + limit' }, [5, 9, 13]],
    ['map_reduce', { type: 'map_reduce', items: [1, 5], map: 'x * limit', reduce: 'sum' }, 24],
    ['range_reduce', { type: 'range_reduce', start: 1, end: 3, map: '(x) => x * limit' }, 24]
  ]
  for (const [name, spec, expected] of contexts) {
    it(`${name} sees the keys of its context as variables`, async () => {
      const result = await runner.result({
        ...(spec as object),
        context: { limit: 4 }
      })
      assert.deepEqual(result, expected)
    })
  }

  it('refuses more items than the type may carry', () => {
    const items = new Array(1e6 + 1).fill(0)
    for (const type of ['filter', 'map'])
      assert.throws(
        () => parseSpec({ type, items, fn: 'x' }),
        /^SpecError: items: 1000001 items inline, at most 1000000/
      )
  })

  it('refuses free variables by their names', () => {
    assert.throws(() => parseSpec({ type: 'filter', items: [], fn: 'x > limit + other' }), {
      name: 'SpecError',
      message: /^fn: uses `limit`, `other`, which do not exist in the sandbox; pass them in `context`$/
    })
    assert.throws(
      () => parseSpec({ type: 'script', source: 'export default input => fetch(input)' }),
      /source: uses `fetch`, which does not exist in the sandbox/
    )
  })

  it('seeds chance by program and item, not by slice, also in async functions', async () => {
    const items = [1, 2, 3, 4, 5, 6]
    const fn = async () => {
      const one = Math.random()
      await undefined
      return [one, Math.random()]
    }
    const specs = [
      { type: 'map', items, fn: 'Math.random()' },
      { type: 'map', items, fn },
      { type: 'filter', items, fn: 'Math.random() < 0.5' },
      { type: 'map_reduce', items, map: 'Math.random()' },
      { type: 'range_reduce', start: 1, end: 6, map: () => Math.random() }
    ]
    for (const spec of specs) {
      const whole = await runner.run(spec, { slice: 6 })
      for (const slice of [1, 2]) assert.deepEqual(await runner.run(spec, { slice }), whole)
    }
    const numbers = [
      ...(await runner.result(specs[0])),
      ...(await runner.result(specs[1])).flat(),
      ...(await runner.result({ ...specs[0], context: { another: 'job' } }))
    ] as number[]
    assert.equal(new Set(numbers).size, 24)
    assert.ok(numbers.every(x => x >= 0 && x < 1))
  })

  it('runs an export of a WebAssembly module, once or per item', async () => {
    const spec = { type: 'wasm', module: adder, export: 'add' }
    assert.equal(await runner.result({ ...spec, args: [1.5, 2] }), 3.5)
    const items = Array.from({ length: 9 }, (_, i) => [i, 10])
    for (const slice of [1, 4, 9])
      assert.deepEqual(
        await runner.result({ ...spec, items }, { slice }),
        items.map(([a, b]) => a! + b!)
      )
  })

  it('runs a WASI command from stdin to stdout', async () => {
    const spec = { type: 'wasm', module: echo }
    const bytes = (text: string) => new Uint8Array(Buffer.from(text))
    assert.deepEqual(await runner.result({ ...spec, stdin: 'héllo' }), bytes('héllo'))
    assert.deepEqual(await runner.result({ ...spec, items: [bytes('a'), bytes('bc')] }, { slice: 1 }), [
      bytes('a'),
      bytes('bc')
    ])
  })

  it('runs a module once, with any input', async () => {
    const source = `const twice = bytes => bytes.map(byte => 2 * byte)
      export default async ({ bytes, name }) => ({ bytes: twice(bytes), name: name + '!' })`
    assert.deepEqual(
      await runner.result({ type: 'script', source, input: { bytes: Uint8Array.of(1, 2), name: 'x' } }),
      { bytes: Uint8Array.of(2, 4), name: 'x!' }
    )
  })

  const refusals: [string, object, RegExp][] = [
    [
      'bytes that are no module',
      { type: 'wasm', module: Uint8Array.of(1) },
      /module: is not valid WebAssembly/
    ],
    ['an export that is not there', { type: 'wasm', module: adder, export: 'sub' }, /`sub`.*it has add/],
    [
      'imports of a library',
      { type: 'wasm', module: echo, export: '_start' },
      /imports wasi_snapshot_preview1/
    ],
    [
      'a script without default export',
      { type: 'script', source: 'const a = 1' },
      /source: has no default export/
    ],
    [
      'a script with imports',
      { type: 'script', source: 'import "fs"; export default 1' },
      /source: has an `import`/
    ]
  ]
  for (const [name, spec, message] of refusals) {
    it(`refuses ${name}`, () => {
      assert.throws(() => parseSpec(spec), { name: 'SpecError', message })
    })
  }
})
