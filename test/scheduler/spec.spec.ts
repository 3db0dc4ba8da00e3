import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { sliceUnits } from '../../scheduler/coordinator/slice-size.ts'
import { asWritten, SpecError, TASK_KINDS } from '../../scheduler/index.ts'
import { hasRoom } from '../../scheduler/market/match.ts'
import { boundOf, priceOf } from '../../scheduler/market/price.ts'
import { freeVariables, readSource } from '../../scheduler/tasks/author-source.ts'
import { batchWork } from '../../scheduler/tasks/job-parts.ts'
import { parseSpec } from '../../scheduler/tasks/parse-spec.ts'

const refusal = (input: unknown): SpecError => {
  try {
    parseSpec(input)
  } catch (error) {
    assert.ok(error instanceof SpecError, String(error))
    return error
  }
  assert.fail(`accepted: ${JSON.stringify(input)}`)
}

const range = { type: 'range_reduce', start: 1, end: 10 }
const square = { rows: 2, cols: 2, data: [1, 2, 3, 4] }

describe('scheduler/spec', () => {
  const refused: [why: string, spec: unknown, field: string, says: RegExp][] = [
    ['no object', 7, 'spec', /object.*7/],
    ['no type', {}, 'type', /is missing/],
    ['an unknown type', { type: 'sum' }, 'type', /"sum".*range_reduce/],
    ['an unknown field', { ...range, sart: 1 }, 'spec', /sart/],
    ['a bound that is no integer', { ...range, end: 1.5 }, 'end', /1\.5/],
    ['a bound beyond 2^53', { ...range, end: 2 ** 53 }, 'end', /9007199254740992/],
    ['a step of 0', { ...range, step: 0 }, 'step', /0/],
    ['an unknown operation', { ...range, operation: 'median' }, 'operation', /median/],
    ['map and partial', { ...range, map: 'x => x', partial: '(a, b) => b - a' }, 'partial', /one of them/],
    ['custom without reduce', { ...range, operation: 'custom' }, 'reduce', /both or neither/],
    ['reduce without custom', { ...range, reduce: '(a, b) => a' }, 'reduce', /both or neither/],
    ['average of partials', { ...range, partial: '(a, b) => 1', operation: 'average' }, 'partial', /sum/],
    ['partial with a step', { ...range, partial: '(a, b) => 1', step: 2 }, 'step', /2/],
    ['an exact average', { ...range, operation: 'average', exact: true }, 'exact', /sum/],
    ['the least of nothing', { ...range, end: 0, operation: 'min' }, 'end', /empty/],
    ['a map of nothing', { type: 'map', fn: 'x' }, 'items', /items.*range/],
    [
      'a map of two things',
      { type: 'map', fn: 'x', items: [], range: { start: 1, end: 2 } },
      'items',
      /items.*range/
    ],
    ['a map without a function', { type: 'map', items: [1] }, 'fn', /undefined/],
    ['an empty function', { type: 'map', items: [1], fn: ' ' }, 'fn', /empty/],
    [
      'an index beside a range',
      { type: 'map', range: { start: 1, end: 3 }, fn: 'x', firstIndex: 2 },
      'firstIndex',
      /range/
    ],
    ['native code', { type: 'map', items: [1], fn: Math.sqrt }, 'fn', /native/],
    ['the name of a function', { type: 'map', items: [4], fn: 'Math.sqrt' }, 'fn', /x => Math\.sqrt\(x\)/],
    [
      'matrices that do not fit',
      { type: 'matrix', operation: 'multiply', a: square, b: { rows: 1, cols: 2, data: [1, 2] } },
      'b.rows',
      /2 × 2.*1 × 2/
    ],
    [
      'a matrix with too few numbers',
      { type: 'matrix', operation: 'multiply', a: { ...square, data: [1] }, b: square },
      'a',
      /1 numbers.*2 × 2/
    ],
    [
      'mixed kinds of numbers',
      { type: 'matrix', operation: 'multiply', a: square, b: { ...square, data: new Float32Array(4) } },
      'b.data',
      /Float/
    ],
    ['an unknown priority', { ...range, priority: 'urgent' }, 'priority', /urgent/],
    ['a price of nothing', { ...range, maxPrice: 0 }, 'maxPrice', /0/],
    ['negative retries', { ...range, retries: -1 }, 'retries', /-1/],
    ['a deadline in the past', { ...range, deadline: -5 }, 'deadline', /-5/],
    ['a confidence of 1', { ...range, verify: { confidence: 1 } }, 'verify', /./]
  ]
  for (const [why, spec, field, says] of refused)
    it(`refuses ${why}, and names the field and the value`, () => {
      const error = refusal(spec)
      assert.ok(
        error.field === field || error.field.startsWith(`${field}.`),
        `${error.field}: ${error.message}`
      )
      assert.match(error.message, says)
      assert.ok(error.message.startsWith(`${error.field}: `))
    })

  it('can be submitted again as its author wrote it', () => {
    const space = { type: 'subsets', n: 3 }
    const aggregates: unknown[] = [
      'count',
      { operation: 'sum', of: (v: number[]) => v.length },
      { operation: 'topk', k: 3, of: 'v => v[0]' },
      { only: 'count' },
      { operation: { operation: 'collect', limit: 7 }, best: { operation: 'max', of: 'x.length' } }
    ]
    const specs: object[] = [
      ...TASK_KINDS.map(({ example }) => example),
      ...aggregates.map(aggregate => ({
        type: 'enumerate',
        space,
        aggregate,
        exact: true,
        prune: '() => 0'
      })),
      { ...range, verify: 'quorum:3' },
      { ...range, verify: 'none', operation: 'custom', reduce: (a: number, b: number) => a + b },
      { type: 'map', items: [1], fn: 'x + 1', verify: { confidence: 0.9 }, requirements: { tags: ['gpu'] } }
    ]
    for (const spec of specs) {
      const parsed = parseSpec(spec)
      const written = asWritten(parsed)
      assert.deepEqual(parseSpec(written), parsed)
      assert.deepEqual(asWritten(parseSpec(written)), written)
    }
  })

  it('refuses more inline items than its type takes', () => {
    assert.match(
      refusal({ type: 'map', items: new Array(1_000_001).fill(0), fn: 'x' }).message,
      /1000001 items.*1000000/
    )
  })

  it('answers every input with a spec or a SpecError', () =>
    fc.assert(
      fc.property(
        fc.record(
          {
            type: fc.constantFrom(
              'range_reduce',
              'map',
              'filter',
              'map_reduce',
              'matrix',
              'script',
              'wasm',
              'pipeline'
            ),
            start: fc.anything(),
            end: fc.anything(),
            items: fc.anything(),
            fn: fc.anything(),
            map: fc.anything(),
            a: fc.anything(),
            b: fc.anything(),
            nodes: fc.anything(),
            source: fc.anything(),
            context: fc.anything(),
            deadline: fc.anything()
          },
          { requiredKeys: ['type'] }
        ),
        input => {
          try {
            parseSpec(input)
          } catch (error) {
            assert.ok(error instanceof SpecError, String((error as Error).stack))
          }
        }
      )
    ))
})

describe('scheduler/source', () => {
  const fails = (text: string, says: RegExp, known: string[] = []): void =>
    assert.throws(
      () => readSource('fn', text, known),
      (error: SpecError) => error.field === 'fn' && says.test(error.message)
    )

  it('names every variable that would be missing, and takes those of `context`', () => {
    fails('x => x > limit', /`limit`, which does not exist/)
    fails('x => fetch(url, x)', /`fetch`, `url`.*do not exist/)
    fails('x => { for (y of x) {} }', /`y`/)
    fails('x => process.env', /`process`/)
    assert.equal(readSource('fn', 'x => x > limit', ['limit']).kind, 'function')
    for (const text of [
      'x => { const f = y => y + z; var z = 1; return f(x) }',
      'x => { try { return x } catch (e) { return e } }',
      '({ a: [b = 1] = [], ...rest }) => [b, rest]',
      'function f(n) { return n < 2 ? n : f(n - 1) + f(n - 2) }',
      'x => { label: for (;;) break label; return x.limit }',
      'x => class A extends Array { static y = A.name; #z = 1; get z() { return this.#z } }',
      'async x => { await null; return x }',
      '/* says */ x => x // and more',
      'x => Math.PI'
    ])
      assert.doesNotThrow(() => readSource('fn', text), text)
  })

  it('tells functions, methods and expressions apart', () => {
    assert.equal(readSource('fn', 'x ** 2').kind, 'expression')
    assert.equal(readSource('fn', 'x > 5 && index % 2').kind, 'expression')
    assert.equal(readSource('fn', 'function (x) { return x }').kind, 'function')
    assert.equal(readSource('fn', '(x) => x;').kind, 'function')
    const methods = {
      twice(x: number) {
        return 2 * x
      },
      async later(x: number) {
        return x
      }
    }
    for (const method of Object.values(methods)) assert.equal(readSource('fn', method).kind, 'function')
  })

  it('shows line and column of a mistake', () => {
    fails('x => x +* 2', /line 1, column 9/)
    fails('x => {\n  return x +* 2\n}', /line 2, column 13/)
    fails('x => x; y => y', /./)
    fails('x => (', /does not parse/)
  })

  it('gives the same free variables whatever names are bound around them', () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd')
    fc.assert(
      fc.property(fc.uniqueArray(name), fc.array(name, { minLength: 1 }), (parameters, used) => {
        const text = `(${parameters.join(', ')}) => [${used.join(', ')}]`
        assert.deepEqual(
          new Set(freeVariables(text)),
          new Set(used.filter(each => !parameters.includes(each)))
        )
      })
    )
  })
})

describe('scheduler/place and price', () => {
  it('a slice has at least one unit, and never more than are left or fit into a message', () =>
    fc.assert(
      fc.property(
        fc.record({
          rate: fc.double({ min: 1e-6, max: 1e9, noNaN: true }),
          bytes: fc.double({ min: 0, max: 1e9, noNaN: true }),
          measured: fc.double({ min: 0, max: 1e9, noNaN: true }),
          left: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
          slots: fc.integer({ min: 1, max: 10_000 }),
          most: fc.integer({ min: 1, max: 1e9 })
        }),
        init => {
          const units = sliceUnits(init)
          assert.ok(Number.isSafeInteger(units) && units >= 1)
          assert.ok(units <= init.left && units <= init.most)
          assert.ok(units === 1 || units * init.bytes <= 4 * 1024 * 1024)
        }
      )
    ))

  it('never takes more than the window', () =>
    fc.assert(
      fc.property(
        fc.nat(64),
        fc.nat(64),
        fc.nat(64),
        fc.nat(10_000),
        (slots, window, outstanding, outstandingMs) => {
          if (outstanding >= window || slots === 0)
            assert.ok(!hasRoom({ slots, window, outstanding, outstandingMs }))
        }
      )
    ))

  it('the bound is what was asked, rounded down to micro-credits, and a price is never nothing', () =>
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1e15 }),
        fc.double({ min: 0, max: 1e9, noNaN: true }),
        (micro, ms) => {
          const bound = boundOf(micro / 1e6)
          assert.ok(bound <= BigInt(micro) && bound >= BigInt(micro) - 1n, `${bound} for ${micro}`)
          assert.ok(priceOf(ms, 'low') >= 1n && priceOf(ms, 'low') <= priceOf(ms, 'critical'))
        }
      )
    ))
})

describe('scheduler/parts', () => {
  it('takes a batch back as a whole when part of it was aborted, wherever that was', () => {
    const specs = [1, 2, 3].map(end => parseSpec({ ...range, end }))
    return batchWork(specs, 100)
      .next(undefined, () => assert.fail())
      .then(([[, part] = assert.fail()]) => {
        const ok = Uint8Array.of(1)
        const aborted = { name: 'aborted', message: 'the worker stops' } as const
        const threw = { name: 'threw', message: 'no' } as const
        for (const outcomes of [
          [aborted, ok, ok],
          [ok, aborted, ok],
          [ok, threw, aborted]
        ])
          assert.deepEqual(part.pack(outcomes, 3, 0), aborted)
        assert.ok(part.pack([ok, threw, ok], 3, 0) instanceof Uint8Array)
        assert.ok(!(part.pack([ok, ok], 3, 0) instanceof Uint8Array))
      })
  })
})
