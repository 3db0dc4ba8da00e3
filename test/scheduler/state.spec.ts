import { strict as assert } from 'node:assert'
import {
  createSandbox,
  decodeValue,
  encodeValue,
  isProvenStateless,
  type Session
} from '../../sandbox/index.ts'
import type { NumberedPart, Part } from '../../scheduler/tasks/contract.ts'
import { createWork } from '../../scheduler/tasks/job-parts.ts'
import { parseSpec } from '../../scheduler/tasks/parse-spec.ts'
import { createRandom, WorkRunner } from './run-work.ts'
import { KEEPERS, type Keeper } from './state-keepers.ts'

// Jobs whose slices are audited, over all keepers that give an answer; the long form: 10000.
const JOBS = Number(process.env.ARTEL_STATE_JOBS ?? 0)
const ITEMS = 40
const ANSWERING = KEEPERS.filter(([, { refused }]) => refused == null).length
const PER_KEEPER = Math.max(3, Math.ceil(JOBS / ANSWERING))

/** The one part of a job of so many items, the first of which is number `from`. */
async function partOf({ fn, context }: Keeper, from: number): Promise<Part> {
  const items = Array.from({ length: ITEMS }, (_, i) => from + i)
  const spec = parseSpec({ type: 'map', items, firstIndex: from, fn, context })
  const parts = await createWork(spec, 1000).next(undefined, () => () => assert.fail('nothing runs here'))
  return (parts as [NumberedPart])[0][1]
}

describe('scheduler: what a function tries to keep', () => {
  const sandbox = createSandbox({ warm: 1 })
  const runner = new WorkRunner()
  before(() => Promise.all([sandbox.start(), runner.start()]))
  after(() => Promise.all([sandbox.stop(), runner.stop()]))

  assert.ok(KEEPERS.length >= 40 && new Set(KEEPERS.map(([name]) => name)).size === KEEPERS.length)

  const open = ({ load }: Part): Promise<Session> => {
    const { t: _, program: __, timeoutMs, memoryMb, ...program } = load
    const limits = { timeoutMs, memoryMb, outputBytes: 2 ** 24 }
    return sandbox.open(program, { requester: 'test', trusted: true, limits })
  }

  for (const [number, [name, keeper]] of KEEPERS.entries())
    it(`${name}: is as at the start for every item, and audits of single items find what was said`, async () => {
      const random = createRandom(number)
      const session = await open(await partOf(keeper, 0))
      try {
        for (let job = 0; job < PER_KEEPER; job++) {
          const part = await partOf(keeper, job * ITEMS)
          const answer = async (first: number, count: number): Promise<Uint8Array> => {
            const [outcome] = await session.run(part.inputs(first, count) as Uint8Array[])
            if (outcome!.ok) return outcome!.value
            throw new Error(outcome!.failure.message)
          }
          const first = Math.floor(random() * ITEMS)
          const count = 1 + Math.floor(random() * (ITEMS - first))
          if (keeper.refused != null) {
            await assert.rejects(answer(first, count), keeper.refused)
            continue
          }
          const said = await answer(first, count)
          if ('answer' in keeper)
            assert.deepStrictEqual(decodeValue(said), new Array(count).fill(keeper.answer))
          const audited = Math.floor(random() * count)
          const [proven] = part.cut!([said], audited, 1) as [Uint8Array]
          assert.deepEqual(Buffer.from(proven), Buffer.from(await answer(first + audited, 1)))
        }
      } finally {
        await session.close()
      }
    })

  it('a variable of a module: is as at the start for every task of a batch', async () => {
    const source = 'let n = 0; Array.prototype.n = ([].n ?? 0) + 1; export default () => [++n, [].n]'
    const limits = { timeoutMs: 60_000, memoryMb: 64, outputBytes: 2 ** 20 }
    const session = await sandbox.open(
      { kind: 'module', source },
      { requester: 'test', trusted: true, limits }
    )
    try {
      for (const tasks of [1, 20]) {
        const outcomes = await session.run(Array.from({ length: tasks }, (_, i) => encodeValue(i)))
        for (const outcome of outcomes) assert.deepEqual(outcome.ok && decodeValue(outcome.value), [1, 1])
      }
    } finally {
      await session.close()
    }
  })

  it('an object that is in two places, which it is no more when it has travelled', async () => {
    const shared: Record<string, [spec: object, result: unknown]> = {
      'in two groups': [
        {
          type: 'map_reduce',
          items: Array.from({ length: 60 }, (_, i) => i),
          map: 'x => { const o = { n: 1 }; return [["a", o], ["b", o]] }',
          reduce: '(a, b) => { a.n += b.n; return a }'
        },
        [
          ['a', { n: 60 }],
          ['b', { n: 60 }]
        ]
      ],
      'twice in an accumulator': [
        {
          type: 'range_reduce',
          start: 1,
          end: 64,
          map: 'x => { const o = { n: 1 }; return [o, o] }',
          operation: 'custom',
          reduce: '(a, b) => { a[0].n += b[0].n; return a }'
        },
        [{ n: 64 }, { n: 1 }]
      ]
    }
    for (const [name, [spec, result]] of Object.entries(shared))
      for (const slice of [1, 7, 60])
        assert.deepEqual(await runner.result(spec, { slice }), result, `${name}, slices of ${slice}`)
  })

  it('is held against nobody where it cannot be ruled out, nor where the program is none', () => {
    const isProven = (source: string): boolean => isProvenStateless({ kind: 'function', source })
    for (const source of ['x => x + 1', 'async x => x + 1', ...KEEPERS.map(([, { fn }]) => fn).slice(0, 2)])
      assert.equal(isProven(source), true, source)
    for (const source of ['x => { try { return x } catch { return 1 } }', 'x => (', '('.repeat(1e5)])
      assert.equal(isProven(source), false, source.slice(0, 50))
  })
})
