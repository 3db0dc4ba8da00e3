import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { decodeValue, encodeValue } from '../../sandbox/index.ts'
import { parseSpec } from '../../scheduler/tasks/parse-spec.ts'
import { plan } from '../../scheduler/tasks/registry.ts'
import { add, type Cuts, check, cuts, DIRECT, endOf, type Fn, inTree, listed, MAPS, range } from './direct.ts'
import { runHere } from './programs.ts'

/*
 * Every task type against a direct calculation, written here from the README of scheduler/ and sharing no code with scheduler/: bytes
 * must be equal for every cutting and order of arrival.
 */

describe('scheduler: plan, driver and reducer against a direct calculation', () => {
  it('range_reduce: every named operation', () =>
    fc.assert(
      fc.asyncProperty(
        range,
        fc.constantFrom('sum', 'product', 'min', 'max', 'average', 'count'),
        fc.constantFrom(...MAPS),
        cuts,
        async (shape, operation, map, cut) => {
          const { start, items, step } = shape
          const mapped = listed(start, endOf(shape), step).map(map)
          fc.pre(items > 0 || ['sum', 'product', 'count'].includes(operation))
          assert.equal(mapped.length, items)
          const spec = { type: 'range_reduce', start, end: endOf(shape), step, operation, map }
          await check(spec, cut, DIRECT[operation]?.(mapped))
        }
      ),
      { numRuns: 150 }
    ))

  it('range_reduce without `map`: the items themselves; counted, all of them', async () => {
    const all: Cuts = units => [{ first: 0, count: units }]
    await check({ type: 'range_reduce', start: 1, end: 1000 }, all, 500_500)
    await check({ type: 'range_reduce', start: 0, end: 10, operation: 'count' }, all, 11)
    await check({ type: 'range_reduce', start: -3, end: 3, operation: 'product' }, all, -0)
    await check({ type: 'range_reduce', start: 5, end: 4 }, all, 0)
    await check({ type: 'range_reduce', start: 5, end: 4, operation: 'product' }, all, 1)
    await check({ type: 'range_reduce', start: 5, end: 4, operation: 'count' }, all, 0)
  })

  it('range_reduce sum of values that begin as integers: the tree, also where they end to be such', async () => {
    const three: Cuts = units => [
      { first: 0, count: Math.floor(units / 3) },
      { first: Math.floor(units / 3), count: units - Math.floor(units / 3) }
    ]
    const functions: ((x: number) => number)[] = [
      x => (x < 300 ? x : x / 3),
      x => (x < 500 ? 2 ** 44 : -(2 ** 44) + 0.125),
      x => (x % 2 === 0 ? 2 ** 53 : -1),
      () => -0,
      x => (x === 77 ? Number.NaN : x),
      x => (x === 999 ? Number.NEGATIVE_INFINITY : 1)
    ]
    for (const map of functions) {
      const values = listed(0, 999, 1).map(map)
      await check({ type: 'range_reduce', start: 0, end: 999, map }, three, DIRECT.sum!(values))
    }
    const { program, whole } = plan(parseSpec({ type: 'range_reduce', start: 1, end: 3, map: '(x) => x' }))
    // one call per item, told by a function that counts them
    const source = '(() => { let n = 0; return x => (x === 2 ? 0.5 : ++n) })()'
    assert.equal(decodeValue(await runHere({ ...program, source })(encodeValue(whole))), 1 + 0.5 + 2)
  })

  it('range_reduce with `exact`: BigInt, to the last digit', () =>
    fc.assert(
      fc.asyncProperty(
        range,
        fc.constantFrom('sum', 'product', 'min', 'max'),
        cuts,
        async (shape, operation, cut) => {
          const { start, items, step } = shape
          fc.pre(operation !== 'product' || items <= 200)
          fc.pre(items > 0 || operation === 'sum' || operation === 'product')
          const map = (x: number) => BigInt(x) ** 5n + 1n
          const values = listed(start, endOf(shape), step).map(map)
          const ascending = [...values].sort((a, b) => (a < b ? -1 : 1))
          const expected = {
            sum: () => values.reduce((a, b) => a + b, 0n),
            product: () => values.reduce((a, b) => a * b, 1n),
            min: () => ascending[0],
            max: () => ascending.at(-1)
          }[operation]()
          await check(
            { type: 'range_reduce', start, end: endOf(shape), step, operation, map, exact: true },
            cut,
            expected
          )
        }
      ),
      { numRuns: 60 }
    ))

  it('range_reduce with `partial`: each block through the author’s own loop', () =>
    fc.assert(
      fc.asyncProperty(range, fc.constantFrom('sum', 'max', 'count'), cuts, async (shape, operation, cut) => {
        fc.pre(shape.items > 0)
        const one = { ...shape, step: 1 }
        const partial = (from: number, to: number) => {
          let found = 0
          for (let x = from; x <= to; x++) if (x % 3 === 0) found++
          return found
        }
        // what a block gives depends on its borders, so the borders are checked as well
        const values = listed(one.start, endOf(one), 1)
        const perBlock = (block: number[]) => block.filter(x => x % 3 === 0).length
        const expected = inTree(values, perBlock, operation === 'max' ? Math.max : add, 1024)
        const spec = { type: 'range_reduce', start: one.start, end: endOf(one), operation, partial }
        await check(spec, cut, expected)
      }),
      { numRuns: 60 }
    ))

  it('range_reduce custom: any associative reduce, in order, `initial` left of everything', () =>
    fc.assert(
      fc.asyncProperty(range, fc.boolean(), cuts, async (shape, withInitial, cut) => {
        fc.pre(shape.items > 0 || withInitial)
        const { start, step } = shape
        const values = listed(start, endOf(shape), step).map(x => `${x},`)
        const spec = {
          type: 'range_reduce',
          start,
          end: endOf(shape),
          step,
          operation: 'custom',
          map: 'x => x + ","',
          reduce: '(a, b) => a + b',
          ...(withInitial ? { initial: '>' } : {})
        }
        await check(spec, cut, (withInitial ? '>' : '') + values.join(''))
      }),
      { numRuns: 60 }
    ))

  it('range_reduce custom over floating-point numbers: the documented tree', () =>
    fc.assert(
      fc.asyncProperty(range, fc.double({ noNaN: true }), cuts, async (shape, initial, cut) => {
        fc.pre(shape.items > 0)
        const { start, step } = shape
        const values = listed(start, endOf(shape), step).map(x => Math.sqrt(Math.abs(x)))
        const root = inTree(
          values,
          block => block.reduce((a, b) => a / 2 + b),
          (a, b) => a / 2 + b
        ) as number
        const reduce: Fn = (a: number, b: number) => a / 2 + b
        const map: Fn = (x: number) => Math.sqrt(Math.abs(x))
        const spec = {
          type: 'range_reduce',
          start,
          end: endOf(shape),
          step,
          operation: 'custom',
          map,
          reduce,
          initial
        }
        await check(spec, cut, initial / 2 + root)
      }),
      { numRuns: 40 }
    ))

  it('sum, product, min and max take `initial` as one more item on the left', () =>
    fc.assert(
      fc.asyncProperty(
        range,
        fc.constantFrom('sum', 'product', 'min', 'max'),
        fc.integer({ min: -9, max: 9 }),
        cuts,
        async (shape, operation, initial, cut) => {
          fc.pre(shape.items <= 200)
          const { start, step } = shape
          const values = listed(start, endOf(shape), step).map(x => x % 5)
          const root = values.length === 0 ? undefined : (DIRECT[operation]?.(values) as number)
          const expected = root === undefined ? initial : (DIRECT[operation]?.([initial, root]) as number)
          const spec = {
            type: 'range_reduce',
            start,
            end: endOf(shape),
            step,
            operation,
            initial,
            map: 'x => x % 5'
          }
          await check(spec, cut, expected)
        }
      ),
      { numRuns: 60 }
    ))

  it('map: ordered results of items or a range; expressions; context; async functions', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.integer(), fc.string(), fc.constant(null), fc.double()), { maxLength: 60 }),
        cuts,
        async (items, cut) => {
          await check(
            { type: 'map', items, fn: '[x, index]' },
            cut,
            items.map((x, i) => [x, i])
          )
          const fn = 'async (x, i) => ({ [name]: context.name, i, x })'
          const expected = items.map((x, i) => ({ k: 'k', i, x }))
          await check({ type: 'map', items, fn, context: { name: 'k' } }, cut, expected)
          const from = { start: -7, end: -7 + 3 * items.length - 1, step: 3 }
          const squares = listed(from.start, from.end, 3).map(x => x ** 2)
          if (items.length > 0) await check({ type: 'map', range: from, fn: 'x ** 2' }, cut, squares)
        }
      ),
      { numRuns: 60 }
    ))

  it('filter: keeps what the function accepts, in order', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.integer(), fc.string()), { maxLength: 80 }),
        cuts,
        async (items, cut) => {
          await check(
            { type: 'filter', items, fn: 'x > 5' },
            cut,
            items.filter(x => (x as number) > 5)
          )
          const fn = 'async (x, i) => i % 3 === 0'
          await check(
            { type: 'filter', items, fn },
            cut,
            items.filter((_, i) => i % 3 === 0)
          )
        }
      ),
      { numRuns: 60 }
    ))

  it('map_reduce grouped: one result per key, sorted by type and value, floats in the documented tree', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.tuple(
            fc.oneof(
              fc.constantFrom('a', 'b', 'Z', 'ä', '\ud800', ''),
              fc.integer({ min: -3, max: 12 }),
              fc.boolean()
            ),
            fc.double({ noNaN: true, min: -1e6, max: 1e6 })
          ),
          { minLength: 1, maxLength: 100 }
        ),
        fc.constantFrom('sum', 'product', 'min', 'max', 'average', 'count', 'custom'),
        cuts,
        async (items, operation, cut) => {
          type Groups = Map<unknown, number[]>
          // per key the binary tree over the items, with those left out that have another key
          const groups = inTree(
            items,
            block => new Map(block.map(([k, v]) => [k, v])) as Map<unknown, number>,
            joined
          )
          function joined(a: Map<unknown, number>, b: Map<unknown, number>): Map<unknown, number> {
            const out = new Map(a)
            for (const [k, v] of b) out.set(k, out.has(k) ? two(out.get(k) as number, v) : v)
            return out
          }
          function two(a: number, b: number): number {
            switch (operation) {
              case 'product':
                return a * b
              case 'min':
                return Math.min(a, b)
              case 'max':
                return Math.max(a, b)
              case 'custom':
                return a / 2 + b
              default:
                return a + b
            }
          }
          const members: Groups = new Map()
          for (const [k, v] of items) members.set(k, [...(members.get(k) ?? []), v])
          const value = (k: unknown, v: number): number =>
            operation === 'count'
              ? (members.get(k) as number[]).filter(Boolean).length
              : operation === 'average'
                ? v / (members.get(k) as number[]).length
                : v
          const order = (a: unknown, b: unknown): number =>
            typeof a === typeof b ? ((a as number) < (b as number) ? -1 : 1) : typeof a < typeof b ? -1 : 1
          const expected = [...(groups as Map<unknown, number>)]
            .map(([k, v]) => [k, value(k, v)] as const)
            .sort(([a], [b]) => order(a, b))
            .map(pair => [...pair])
          const reduce = operation === 'custom' ? '(a, b) => a / 2 + b' : operation
          await check({ type: 'map_reduce', items, map: 'x => x', reduce }, cut, expected)
        }
      ),
      { numRuns: 150 }
    ))

  it('map_reduce: word count with lists of pairs, and one fold of plain values', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.constantFrom('the', 'cat', 'sat', 'on', 'mat'), { maxLength: 6 }), {
          maxLength: 50
        }),
        cuts,
        async (documents, cut) => {
          const counts = new Map<string, number>()
          for (const word of documents.flat()) counts.set(word, (counts.get(word) ?? 0) + 1)
          const items = documents.map(words => words.join(' '))
          const map = 'text => text.split(" ").filter(Boolean).map(word => [word, 1])'
          fc.pre(documents.length > 0)
          const expected = [...counts].sort(([a], [b]) => (a < b ? -1 : 1))
          await check({ type: 'map_reduce', items, map, reduce: '(a, b) => a + b' }, cut, expected)
          await check({ type: 'map_reduce', items, map }, cut, expected)
          const numbers = items.map(text => text.length)
          const squares = numbers.map(x => x * x).reduce(add, 0)
          await check({ type: 'map_reduce', items: numbers, map: 'x => x * x', reduce: 'sum' }, cut, squares)
          await check(
            {
              type: 'map_reduce',
              items: numbers,
              map: 'x => x + ";"',
              reduce: '(a, b) => a + b',
              initial: ''
            },
            cut,
            numbers.map(x => `${x};`).join('')
          )
        }
      ),
      { numRuns: 60 }
    ))

  it('map_reduce: square and sum of 1..4 is 30', () =>
    check(
      { type: 'map_reduce', items: [1, 2, 3, 4], map: 'x => x * x', reduce: (a: number, b: number) => a + b },
      units => [{ first: 0, count: units }],
      30
    ))

  it('matrix multiply: every element summed over k in order, in float64, for both kinds of numbers', () =>
    fc.assert(
      fc.asyncProperty(
        fc.tuple(
          fc.integer({ min: 1, max: 9 }),
          fc.integer({ min: 1, max: 9 }),
          fc.integer({ min: 1, max: 9 })
        ),
        fc.boolean(),
        fc.infiniteStream(
          fc.oneof(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), fc.constantFrom(0, -0, 1e300))
        ),
        cuts,
        async ([n, m, k], isFloat32, numbers, cut) => {
          const Kind = isFloat32 ? Float32Array : Float64Array
          const a = { rows: n, cols: m, data: Kind.from([...numbers.take(n * m)]) }
          const b = { rows: m, cols: k, data: Kind.from([...numbers.take(m * k)]) }
          const data = new Kind(n * k)
          for (let i = 0; i < n; i++)
            for (let j = 0; j < k; j++) {
              let sum = 0
              for (let l = 0; l < m; l++) sum += (a.data[i * m + l] as number) * (b.data[l * k + j] as number)
              data[i * k + j] = sum
            }
          await check({ type: 'matrix', operation: 'multiply', a, b }, cut, { rows: n, cols: k, data })
        }
      ),
      { numRuns: 100 }
    ))

  it('refuses results that are not of the expected form', () => {
    const specs = [
      { type: 'range_reduce', start: 1, end: 64 },
      { type: 'range_reduce', start: 1, end: 64, operation: 'average' },
      { type: 'range_reduce', start: 1, end: 64, operation: 'min', exact: true },
      { type: 'map', items: [1, 2, 3, 4], fn: 'x' },
      { type: 'filter', items: Array.from({ length: 64 }), fn: 'x' },
      { type: 'map_reduce', items: [1, 2, 3, 4], map: 'x => [x, 1]' },
      {
        type: 'matrix',
        operation: 'multiply',
        a: { rows: 4, cols: 1, data: [1, 2, 3, 4] },
        b: { rows: 1, cols: 1, data: [1] }
      }
    ]
    const tree = (value: unknown) => [[2, 0, value]]
    const lies = [
      null,
      0,
      'x',
      {},
      [],
      [1],
      new Float64Array(3),
      new Uint8Array(0),
      tree('5'),
      tree({}),
      tree(null),
      tree([1]),
      tree(['1', 2]),
      tree({ groups: 1 }),
      tree({ groups: [[1]] }),
      tree({ groups: [[{}, 1]] }),
      [
        [1, 0, 1],
        [1, 1, 1]
      ],
      [[2, 1, 1]],
      [[-1, 0, 1]]
    ]
    for (const spec of specs) {
      for (const lie of lies) {
        const reducer = plan(parseSpec(spec)).createReducer()
        assert.throws(
          () => reducer.add(0, 4, encodeValue(lie)),
          `${JSON.stringify(spec)} took ${JSON.stringify(lie)}`
        )
      }
      for (const bytes of [
        new Uint8Array(0),
        Uint8Array.of(0xff),
        Uint8Array.of(0x9b, 255, 255),
        Uint8Array.of(0x84)
      ]) {
        const reducer = plan(parseSpec(spec)).createReducer()
        assert.throws(() => reducer.add(0, 4, bytes), `${JSON.stringify(spec)} took ${bytes}`)
      }
    }
  })
})
