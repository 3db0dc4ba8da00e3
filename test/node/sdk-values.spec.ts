import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Artel, ArtelError, connect } from '../../node/sdk/index.ts'

class Point {
  x = 1
}
const cyclic: Record<string, unknown> = { name: 'ring', list: [1] }
;(cyclic.list as unknown[]).push(cyclic)
const deep = Array.from({ length: 300 }).reduce<unknown>(inner => [inner], 1)

/** What cannot travel, by what is said of it. */
const REFUSED: [string, unknown, RegExp][] = [
  ['a Date', new Date(), /an instance of Date/],
  ['a Map', new Map([[1, 2]]), /an instance of Map/],
  ['a Set', new Set([1]), /an instance of Set/],
  ['a class instance', new Point(), /an instance of Point/],
  ['an ArrayBuffer', new ArrayBuffer(4), /an instance of ArrayBuffer/],
  ['an Error', new RangeError('no'), /an instance of RangeError/],
  ['a regular expression', /a/, /an instance of RegExp/],
  ['a promise', Promise.resolve(1), /an instance of Promise/],
  ['a generator', (function* () {})(), /an instance of|this object/],
  ['a boxed number', Object(1), /an instance of Number/],
  ['a function', () => 1, /a function cannot/],
  ['a symbol', Symbol('s'), /a symbol cannot/],
  ['a list of 300 levels', deep, /deeper than 256 levels/]
]

describe('node: SDK, values that cannot travel', () => {
  let folder: string
  let artel: Artel

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-sdk-values-'))
    artel = await connect({ embedded: true, data: join(folder, 'own'), settings: { logLevel: 'silent' } })
  })
  after(async () => {
    await artel?.close()
    await rm(folder, { recursive: true, force: true })
  })

  const refused = async (job: PromiseLike<unknown>, path: string, says: RegExp): Promise<void> => {
    await assert.rejects(Promise.resolve(job), (error: Error) => {
      assert.ok(error instanceof ArtelError, String(error))
      assert.equal(error.name, 'SpecError')
      assert.ok(error.message.startsWith(path), error.message)
      assert.match(error.message, says)
      return true
    })
  }

  for (const [name, value, says] of REFUSED)
    it(`refuses ${name} by name and place, wherever it comes in`, async () => {
      const at = name.startsWith('a list of') ? '' : ': '
      await refused(
        artel.map([1, { when: value }], x => x),
        `items.1.when${at}`,
        says
      )
      await refused(
        artel.filter([value], () => true),
        `items.0${at}`,
        says
      )
      await refused(artel.sort([1, value] as never), `items.1${at}`, says)
      await refused(
        artel.map([1], x => x, { context: { given: { deep: value } } }),
        `context.given.deep${at}`,
        says
      )
      await refused(
        artel.mapReduce([[value]], x => [`${x}`, 1] as const, 'sum'),
        `items.0.0${at}`,
        says
      )
      await refused(artel.script('export default x => x', { a: value }), `input.a${at}`, says)
      await refused(artel.quote({ type: 'map', items: [value], fn: 'x => x' }), `items.0${at}`, says)
      await refused(
        artel.submitMany([
          { type: 'script', source: '' },
          { type: 'map', items: [value], fn: 'x' }
        ]),
        `specs.1.items.0${at}`,
        says
      )
      const nodes = [{ id: 'one', task: { type: 'map' as const, items: [value], fn: (x: number) => x } }]
      await refused(artel.pipeline(nodes), `nodes.0.task.items.0${at}`, says)
      const pages = artel.map([1, 2, value], x => x, { page: 2 })
      const read = async () => {
        for await (const _ of pages);
      }
      await refused(read(), `items.2${at}`, says)
    })

  it('says of a cyclic item what it is', async () => {
    const says = 'is cyclic: it is items.1 again'
    await refused(
      artel.map([1, cyclic], x => x),
      `items.1.list.1: ${says}`,
      /cyclic/
    )
  })

  it('takes the same object twice, where it is no cycle', async () => {
    const shared = { a: [1] }
    assert.deepEqual(await artel.map([shared, [shared, shared]], x => x), [shared, [shared, shared]])
  })

  it('takes functions of the author where they belong, also in a pipeline', async () => {
    const nodes = [
      { id: 'a', task: { type: 'map' as const, items: [1, 2], fn: (x: number) => x + 1 } },
      {
        id: 'b',
        task: { type: 'map_reduce' as const, map: (x: number) => x, reduce: (a: number, b: number) => a * b },
        dependsOn: ['a']
      }
    ]
    assert.deepEqual(await artel.pipeline(nodes as never), { a: [2, 3], b: 6 })
    const { value } = await artel.enumerate({
      space: { type: 'product', radices: [2, 2] },
      evaluate: (bits: number[]) => bits[0]! + bits[1]!,
      aggregate: { ones: { operation: 'sum', of: (sum: number) => sum }, all: 'count' }
    } as never)
    assert.deepEqual(value, { ones: 4, all: 3 })
    const longest = artel.sort(['aa', 'b'], word => word.length)
    assert.deepEqual(await longest, ['b', 'aa'])
  })

  it('map_reduce of no items has the form that is stated', async () => {
    const none: string[] = []
    assert.deepEqual(await artel.mapReduce(none, word => [word, 1] as const, 'sum', { grouped: true }), [])
    assert.deepEqual(await artel.mapReduce(['a'], word => [word, 1] as const, 'sum', { grouped: true }), [
      ['a', 1]
    ])
  })
})
