import { createSandbox, encodeValue, type Sandbox, type Session } from '../../sandbox/index.ts'
import type { Plan } from '../../scheduler/tasks/contract.ts'
import { parseSpec } from '../../scheduler/tasks/parse-spec.ts'
import { plan } from '../../scheduler/tasks/registry.ts'
import { type Cuts, sameBytes } from './direct.ts'
import { openSession, type Run, runIn, runPlan } from './programs.ts'

describe('scheduler: a direct calculation and a real sandbox', () => {
  let sandbox: Sandbox
  const sessions: Session[] = []
  const open = async (planned: Plan): Promise<Run> => {
    const session = await openSession(sandbox, { ...planned.program, seed: 'one for the whole job' })
    sessions.push(session)
    return runIn(session)
  }
  before(async () => {
    sandbox = createSandbox({ warm: 1 })
    await sandbox.start()
  })
  afterEach(() => Promise.all(sessions.splice(0).map(session => session.close())))
  after(() => sandbox.stop())

  const halves: Cuts = units =>
    units < 2
      ? [{ first: 0, count: units }]
      : [
          { first: units >> 1, count: units - (units >> 1) },
          { first: 0, count: units >> 1 }
        ]
  const cases: [name: string, spec: object, expected: unknown][] = [
    ['sum', { type: 'range_reduce', start: 1, end: 1000, operation: 'sum' }, 500_500],
    ['map of a range', { type: 'map', range: { start: 1, end: 5 }, fn: 'x ** 2' }, [1, 4, 9, 16, 25]],
    [
      'context by name',
      { type: 'map', items: [1, 7], fn: 'x > limit', context: { limit: 5 } },
      [false, true]
    ],
    ['filter', { type: 'filter', items: [4, 9, 16], fn: 'Math.sqrt(x) % 2 === 0' }, [4, 16]],
    [
      'word count',
      { type: 'map_reduce', items: ['b a', 'a'], map: 't => t.split(" ").map(w => [w, 1])' },
      [
        ['a', 2],
        ['b', 1]
      ]
    ],
    [
      'custom reduce',
      {
        type: 'range_reduce',
        start: 1,
        end: 4,
        operation: 'custom',
        map: 'x => [x]',
        reduce: '(a, b) => [...a, ...b]'
      },
      [1, 2, 3, 4]
    ],
    [
      'exact',
      { type: 'range_reduce', start: 1, end: 25, operation: 'product', exact: true },
      15511210043330985984000000n
    ],
    [
      'matrix',
      {
        type: 'matrix',
        operation: 'multiply',
        a: { rows: 2, cols: 2, data: [1, 2, 3, 4] },
        b: { rows: 2, cols: 2, data: [5, 6, 7, 8] }
      },
      { rows: 2, cols: 2, data: Float64Array.of(19, 22, 43, 50) }
    ]
  ]
  for (const [name, spec, expected] of cases)
    it(name, async () => {
      const planned = plan(parseSpec(spec))
      const run = await open(planned)
      const result = await runPlan(planned, halves(planned.units), run)
      sameBytes(result, encodeValue(expected))
      sameBytes(await run(encodeValue(planned.whole)), result)
    })

  it('gives the same random numbers however the work is cut', async () => {
    const planned = plan(parseSpec({ type: 'map', items: [1, 2, 3, 4, 5], fn: 'Math.random()' }))
    const all = await runPlan(planned, [{ first: 0, count: 5 }], await open(planned))
    const cut = await runPlan(planned, halves(5), await open(planned))
    sameBytes(cut, all)
  })
})
