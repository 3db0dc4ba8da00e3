import { strict as assert } from 'node:assert'
import { AUTHORED, TASK_KINDS } from '../../scheduler/index.ts'
import { readSource } from '../../scheduler/tasks/author-source.ts'
import { parseSpec } from '../../scheduler/tasks/parse-spec.ts'
import { WorkRunner } from './run-work.ts'

/** `name(…) { … }` as methods of classes and objects are written; each gives 2 · x. */
const METHODS: Record<string, (x: number) => unknown> = {
  удвой(x) {
    return 2 * x
  },
  'of two words'(x) {
    return 2 * x
  },
  async 'later, please'(x) {
    return 2 * x
  },
  ['co' + 'mputed'](x) {
    return 2 * x
  },
  $plain_1(x) {
    return 2 * x
  }
}

const ITEMS = [1, 2, 3]
const range = { type: 'range_reduce', start: 1, end: 4 }

describe('scheduler: what an author may write, and what it means', () => {
  const runner = new WorkRunner()
  before(() => runner.start())
  after(() => runner.stop())

  /** The result however it is cut. */
  async function result(spec: Record<string, unknown>): Promise<any> {
    const [first, ...others] = [
      await runner.result(spec),
      await runner.result(spec, { slice: 1 }),
      await runner.result(spec, { slice: 2 })
    ]
    for (const other of others) assert.deepEqual(other, first)
    return first
  }

  const refused = (spec: unknown, message: RegExp): void =>
    assert.throws(() => parseSpec(spec), { name: 'SpecError', message })

  describe('functions', () => {
    for (const [name, method] of Object.entries(METHODS))
      it(`takes the method ${name}`, async () => {
        assert.deepEqual(await result({ type: 'map', items: ITEMS, fn: method }), [2, 4, 6])
      })

    const plain: [string, string, unknown[]][] = [
      ['a function in parentheses', '(x => 2 * x)', [2, 4, 6]],
      ['more parentheses and a comment', '((function (x) { return 2 * x })) // twice', [2, 4, 6]],
      ['a guard for browsers', "x => typeof window === 'undefined' ? x : window.x", ITEMS],
      ['flags in a regular expression', 'x => /(?i:A)/.test("a") ? x : 0', ITEMS],
      ['using', 'x => { using held = null; return x }', ITEMS],
      ['two groups of one name', 'x => "2".match(/(?<n>1)|(?<n>2)/).groups.n', ['2', '2', '2']],
      ['an expression in parentheses', '(x + 1)', [2, 3, 4]]
    ]
    for (const [name, fn, expected] of plain)
      it(`takes ${name}`, async () => {
        assert.deepEqual(await result({ type: 'map', items: ITEMS, fn }), expected)
      })

    it('says how to bring values, and how to bring functions', () => {
      const says = (fn: string, message: string): void =>
        refused({ type: 'map', items: ITEMS, fn }, new RegExp(`^fn: uses ${message}$`))
      says('x => x > limit', '`limit`, which does not exist in the sandbox; pass it in `context`')
      says(
        'x => helper(x)',
        '`helper`, which does not exist in the sandbox; write it into the code, for functions do not travel alone'
      )
      says(
        'x => new Point(x, limit, tag`a`)',
        '`Point`, `limit`, `tag`, which do not exist in the sandbox; pass `limit` in `context`, and write `Point`, `tag` into the code, for functions do not travel alone'
      )
      refused(
        { type: 'map', items: ITEMS, fn: 'x => helper(x)', context: { helper: (x: number) => x } },
        /^context: `helper` is a function, and functions do not travel alone; write it into the code$/
      )
    })

    it('names the fields of every type that hold functions', () => {
      const isAuthored = (field: any): boolean =>
        [field, field.unwrap?.()].some(each => each?.options?.length === 2 && each.safeParse(() => 1).success)
      const fields = TASK_KINDS.flatMap(kind =>
        Object.entries(kind.fields).flatMap(([name, field]) => (isAuthored(field) ? [name] : []))
      )
      // and `of`, within the aggregates of enumerate
      assert.deepEqual(new Set([...fields, 'of']), new Set(AUTHORED))
    })
  })

  describe('context', () => {
    it('refuses every name that the sandbox has already', async () => {
      const names: string[] = await result({
        type: 'script',
        source: `export default () => {
          const names = []
          for (let at = globalThis; at !== null; at = Object.getPrototypeOf(at)) names.push(...Object.getOwnPropertyNames(at))
          return names
        }`
      })
      assert.ok(names.includes('console') && names.includes('toString') && names.length > 60)
      for (const name of names)
        refused(
          { type: 'map', items: [], fn: 'x => x', context: { [name]: 1 } },
          /^context: `.*` is a name that/
        )
      // and what is no property of the global object takes no key either
      for (const name of ['arguments', 'eval'])
        refused({ type: 'map', items: [], fn: 'x => x', context: { [name]: 1 } }, /^context: /)
    })

    it('refuses the names that an expression gives its item and index', async () => {
      for (const name of ['x', 'index'])
        refused(
          { type: 'map', items: [], fn: 'x + 1', context: { [name]: 1 } },
          new RegExp(`^context: \`${name}\``)
        )
      const fn = 'y => x + y'
      assert.deepEqual(await result({ type: 'map', items: ITEMS, fn, context: { x: 10 } }), [11, 12, 13])
    })

    it('knows every global of the sandbox', async () => {
      const source = 'export default () => Object.getOwnPropertyNames(globalThis)'
      for (const name of await result({ type: 'script', source })) {
        if (!name.startsWith('$')) assert.doesNotThrow(() => readSource('fn', `() => [${name}]`), name)
      }
    })
  })

  describe('reductions', () => {
    it('count begins at `initial`', async () => {
      const count = { ...range, operation: 'count', initial: 10 }
      assert.equal(await result({ ...count, map: 'x => x > 2' }), 12)
      assert.equal(await result({ ...count, end: 0 }), 10)
      assert.equal(await result({ ...count, exact: true }), 14n)
      const words = { type: 'map_reduce', items: ['a', 'b', 'a'], map: 'x => [x, 1]', reduce: 'count' }
      assert.deepEqual(await result({ ...words, initial: 1 }), [
        ['a', 3],
        ['b', 2]
      ])
    })

    it('refuses an `initial` that the operation cannot take', () => {
      refused({ ...range, operation: 'average', initial: 1 }, /^initial: has no meaning for an average/)
      refused({ ...range, operation: 'sum', initial: 'a' }, /^initial: sum needs a number, got string/)
      refused({ ...range, operation: 'count', initial: {} }, /^initial: .*number, got object/)
      refused({ ...range, exact: true, initial: 2 ** 53 }, /^initial: .*BigInt/)
      refused({ type: 'map_reduce', items: [], map: 'x', reduce: 'max', initial: null }, /^initial: .*null/)
      refused({ ...range, operation: 'custom', reduce: '(a, b) => a', exact: true }, /^exact: .*BigInt/)
    })

    it('exact is exact, or says how', async () => {
      const cubes = { ...range, start: 208_060, end: 208_070, exact: true }
      let expected = 0n
      for (let x = 208_060n; x <= 208_070n; x++) expected += x ** 3n
      assert.ok(expected > 2n ** 53n)
      assert.equal(await result({ ...cubes, map: 'x => BigInt(x) ** 3n' }), expected)
      await assert.rejects(
        runner.run({ ...cubes, map: 'x => x ** 3' }),
        /sum with `exact` got the number \d{16}, and numbers from 2\^53 on are rounded; calculate in BigInt: x => BigInt\(x\)/
      )
      await assert.rejects(runner.run({ ...cubes, partial: '(a, b) => 2 ** 53' }), /calculate in BigInt/)
      const largest = { ...range, end: 1, exact: true, map: '() => Number.MAX_SAFE_INTEGER', initial: 5n }
      assert.equal(await result(largest), 9_007_199_254_740_996n)
    })

    it('waits for nothing, and says so: promises, generators, async generators', async () => {
      const late: [string, RegExp][] = [
        ['async x => x', /gave a promise; it must not be async here/],
        ['function* (x) { yield x }', /gave an iterator; write `\[\.\.\.values\]`/],
        ['async function* (x) { yield x }', /gave an async iterator; it must not be async here/]
      ]
      for (const [fn, message] of late) {
        for (const operation of ['sum', 'product', 'min', 'max', 'average', 'count'])
          await assert.rejects(runner.run({ ...range, map: fn, operation }), message, `${operation} of ${fn}`)
        const custom = { ...range, operation: 'custom', reduce: '(a, b) => a' }
        await assert.rejects(runner.run({ ...custom, map: fn }), message)
        await assert.rejects(runner.run({ ...custom, reduce: fn }), message)
        await assert.rejects(runner.run({ ...range, partial: fn }), message)
        const grouped = { type: 'map_reduce', items: ITEMS, map: `x => [1, (${fn})(x)]` }
        for (const reduce of ['sum', 'count', '(a, b) => a'])
          await assert.rejects(runner.run({ ...grouped, reduce }), message)
        await assert.rejects(runner.run({ ...grouped, map: 'x => [1, x]', reduce: fn }), message)
      }
      // where an item stands for itself it is awaited, and then it must be a value
      const [, generator, both] = late
      for (const [fn, message] of [generator!, both!]) {
        await assert.rejects(runner.run({ type: 'filter', items: ITEMS, fn }), message)
        await assert.rejects(runner.run({ type: 'map', items: ITEMS, fn }), /cannot cross the wall/)
        await assert.rejects(
          runner.run({ type: 'sort', items: ITEMS, key: fn }),
          /the key of item 0 is object/
        )
        await assert.rejects(
          runner.run({ type: 'map_reduce', items: ITEMS, map: fn, grouped: true }),
          message
        )
      }
      assert.deepEqual(await result({ type: 'sort', items: ITEMS, key: 'async x => -x' }), [3, 2, 1])
    })
  })

  describe('map_reduce with a stated form', () => {
    const pairs = { type: 'map_reduce', map: 'x => [x % 2 ? "odd" : "even", x]' }

    it('of pairs gives pairs, also of no items', async () => {
      for (const reduce of ['sum', 'count', 'max', '(a, b) => a + b'])
        assert.deepEqual(await result({ ...pairs, reduce, items: [], grouped: true }), [])
      assert.deepEqual(await result({ ...pairs, items: [1], grouped: true }), [['odd', 1]])
      assert.deepEqual(await result({ ...pairs, items: ITEMS, grouped: true }), [
        ['even', 2],
        ['odd', 4]
      ])
      await assert.rejects(
        runner.run({ ...pairs, map: 'x => x', items: ITEMS, grouped: true }),
        /map must give \[key, value\] pairs, or lists of them, where `grouped` is true/
      )
    })

    it('of one value takes a pair for one', async () => {
      const longer = '(a, b) => a[1] > b[1] ? a : b'
      assert.deepEqual(await result({ ...pairs, reduce: longer, items: ITEMS, grouped: false }), ['odd', 3])
      assert.equal(await result({ ...pairs, map: 'x => x', items: [], grouped: false }), 0)
    })
  })

  describe('filter', () => {
    const verdicts = '[NaN, "a", 0, "", null, undefined, [], 0n, 1n, -1, false, true]'
    const items = Array.from({ length: 12 }, (_, i) => i)
    const truthy = [1, 6, 8, 9, 11]

    it('keeps what JavaScript takes for true', async () => {
      assert.deepEqual(await result({ type: 'filter', items, fn: `${verdicts}[x]` }), truthy)
    })

    it('gives indexes where they are asked for, as the function sees them', async () => {
      const spec = { type: 'filter', items: items.map(() => 'same'), indexes: true }
      assert.deepEqual(await result({ ...spec, fn: `${verdicts}[index]` }), truthy)
      assert.deepEqual(await result({ ...spec, firstIndex: 100, fn: 'index > 109' }), [110, 111])
    })
  })
})
