import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { EXAMPLES } from '../../services/gateway/ui/src/compose/examples.ts'
import { readSpec, SpecTextError } from '../../services/gateway/ui/src/compose/read-spec.ts'
import { writeSpec } from '../../services/gateway/ui/src/compose/write-spec.ts'
import { createFormat, decimal } from '../../services/gateway/ui/src/format.ts'
import { effectOf, heldOverTime, microOf } from '../../services/gateway/ui/src/parts/credits.ts'
import { cellsOf } from '../../services/gateway/ui/src/parts/heat-cells.ts'
import { viewsOf } from '../../services/gateway/ui/src/parts/result-shape.ts'
import { parseRoute } from '../../services/gateway/ui/src/router.ts'

const ME = 'me'

describe('services: dashboard, a task as text', () => {
  it('reads objects of JavaScript with functions as their source, constants and comments, without running them', () => {
    const text = `// primes
const limit = 10 * 1000
export default {
  type: 'range_reduce', start: -1, end: limit, 'name': \`a\`,
  map: x => x * x, // squares
  reduce(a, b) { return a + b },
}`
    assert.deepEqual(readSpec(text), {
      type: 'range_reduce',
      start: -1,
      end: 10_000,
      name: 'a',
      map: 'x => x * x',
      reduce: 'function reduce(a, b) { return a + b }'
    })
  })

  it('reads every JSON value as JSON.parse does', () => {
    const object = fc.dictionary(fc.string(), fc.jsonValue())
    fc.assert(
      fc.property(object, value => {
        const text = JSON.stringify(value)
        assert.deepEqual(readSpec(text), JSON.parse(text))
      })
    )
  })

  it('gives back what it writes', () => {
    const value = {
      type: 'map',
      items: [1, "it's", 'a "b"', null, { c: [true] }],
      fn: 'x => x + 1',
      text: 'two\nlines'
    }
    assert.deepEqual(readSpec(writeSpec(value)), value)
  })

  it('says where the text is none, and why', () => {
    const cases: [string, number, RegExp][] = [
      ['', 0, /empty/],
      ['{ type: }', 8, /Unexpected token/],
      ['{ type: load() }', 8, /read, not run/],
      ['{ items: [...more] }', 10, /without gaps and spreads/],
      ['{ items: more }', 9, /more is not known/],
      ['while (true) {}', 0, /only constants/],
      ['{ end: 18446744073709551616n }', 7, /larger/]
    ]
    for (const [text, from, message] of cases)
      assert.throws(
        () => readSpec(text),
        (error: SpecTextError) =>
          error instanceof SpecTextError && error.from === from && message.test(error.message),
        text
      )
  })

  it('reads every example', () => {
    for (const { code, id } of EXAMPLES) assert.ok((readSpec(code) as { type?: string }).type, id)
  })
})

describe('services: dashboard, figures and pictures', () => {
  it('writes micro-credits exactly, and reads credits as people write them', () => {
    assert.equal(decimal('-1'), '-0.000001')
    assert.equal(
      createFormat('en').credits('12345678901234567890123456'),
      '12,345,678,901,234,567,890.123456'
    )
    assert.equal(createFormat('ru').credits('1500000'), '1,5')
    assert.equal(microOf('1,5'), '1500000')
    for (const none of ['0', '', '-1', '1.1234567', '1e3', 'x']) assert.equal(microOf(none), undefined, none)
  })

  it('follows what an account held back from its balance: an escrow only reserves', () => {
    const entry = { seq: 1, from: ME }
    const entries = [
      { ...entry, time: 4000, type: 'transfer' as const, to: 'you', amount: '1000000' },
      { ...entry, time: 3000, type: 'settle' as const, to: 'you', amount: '2000000' },
      { ...entry, time: 2000, type: 'escrow' as const, amount: '9000000' },
      { ...entry, time: 1000, type: 'grant' as const, to: ME, amount: '100000000' }
    ]
    assert.deepEqual(
      entries.map(each => effectOf(each, ME)),
      [-1_000_000n, -2_000_000n, 0n, 100_000_000n]
    )
    const supply = { granted: '0', burnt: '0', total: '0' }
    const balance = { account: ME, available: '97000000', reserved: '0', supply }
    assert.deepEqual(heldOverTime(entries, balance, 5000), [
      [1, 2, 3, 4, 5],
      [100, 100, 98, 97, 97]
    ])
  })

  it('gives every unit of a job one cell, with all who calculated it', () => {
    const paid = '5'
    const slices = {
      items: [
        {
          part: 0,
          first: 0,
          count: 2,
          workers: [
            { worker: 'a', paid },
            { worker: 'b', paid }
          ]
        },
        { part: 1, first: 0, count: 1, workers: [{ worker: 'a', paid }] }
      ],
      open: [{ part: 0, first: 2, count: 1, worker: 'b', sinceMs: 1 }]
    }
    const cells = cellsOf(slices, 5)
    assert.deepEqual(
      cells.map(({ workers, open }) => workers.join('+') || (open == null ? '-' : `(${open})`)),
      ['a+b', 'a+b', '(b)', 'a', '-']
    )
    assert.equal(cells[0]!.paid, 10n)
    const many = cellsOf({ items: [], open: [] }, 1e12, 1000)
    assert.ok(many.length <= 1000)
    assert.equal(
      many.reduce((sum, { count }) => sum + count, 0),
      1e12
    )
  })

  it('takes a result for what it is', () => {
    const kind = (value: unknown): string[] => Object.keys(viewsOf(value))
    assert.deepEqual(kind(42), ['single'])
    assert.deepEqual(kind([1, 2.5, 3]), ['lines'])
    assert.deepEqual(kind([{ a: 1 }, { a: 2 }]), ['rows'])
    assert.deepEqual(viewsOf([['a', 1]]).rows?.columns, ['key', 'value'])
    assert.deepEqual(kind({ rows: 2, cols: 2, data: [1, 2, 3, 4] }), ['rows'])
    const tensor = { y: { type: 'float32', dims: [2, 2], data: [1, 2, 3, 4] } }
    assert.deepEqual(viewsOf(tensor).rows?.rows, [
      [1, 2],
      [3, 4]
    ])
    assert.deepEqual(kind({ model: {}, epochs: [{ loss: 2 }, { loss: 1 }] }), ['lines'])
    assert.deepEqual(kind(`iVBORw0KGgo${'A'.repeat(69)}`), ['image'])
    assert.deepEqual(kind([]), [])
    const grey = Array.from({ length: 8 }, () => Array.from({ length: 10 }, (_, x) => x))
    const { picture } = viewsOf(grey)
    assert.deepEqual([picture!.width, picture!.height, ...picture!.pixels.slice(4, 8)], [10, 8, 1, 1, 1, 255])
    const rgba = Buffer.from([1, 2, 3, 255, 5, 6, 7, 255, 9, 9, 9, 255]).toString('base64')
    assert.equal(viewsOf(Array.from({ length: 8 }, () => rgba)).picture?.width, 3)
  })

  it('finds the page of an address, and the overview for every other', () => {
    assert.deepEqual(parseRoute('#/jobs/a%2Fb'), { page: 'jobs', id: 'a/b' })
    assert.deepEqual(parseRoute('#/ledger'), { page: 'ledger' })
    for (const other of ['', '#', '#/', '#/nowhere', '#/jobs/%']) assert.ok(parseRoute(other).page)
  })
})
