import { strict as assert } from 'node:assert'
import { parseSpec } from '../../scheduler/tasks/parse-spec.ts'
import { WorkRunner } from './run-work.ts'

const pipeline = (...nodes: object[]) => ({ type: 'pipeline', nodes })
const script = (source: string) => ({ type: 'script', source: `export default ${source}` })

describe('pipeline', () => {
  const runner = new WorkRunner()
  before(() => runner.start())
  after(() => runner.stop())

  const diamond = pipeline(
    { id: 'last', task: script('({ big, sum }) => ({ big, sum })'), dependsOn: ['big', 'sum'] },
    { id: 'squares', task: { type: 'map', range: { start: 1, end: 9 }, fn: (x: number) => x * x } },
    { id: 'big', task: { type: 'filter', fn: 'x > 20' }, dependsOn: ['squares'] },
    { id: 'sum', task: { type: 'map_reduce', map: 'x', reduce: 'sum' }, dependsOn: ['squares'] }
  )

  it('hands the outputs of parents on, in whatever order branches end and slices are cut', async () => {
    const squares = [1, 4, 9, 16, 25, 36, 49, 64, 81]
    const big = squares.filter(x => x > 20)
    const expected = { last: { big, sum: 285 }, squares, big, sum: 285 }
    for (let seed = 1; seed <= 4; seed++) assert.deepEqual(await runner.result(diamond, { seed }), expected)
    assert.deepEqual(await runner.run(diamond, { slice: 1 }), await runner.run(diamond, { slice: 99 }))
  })

  it('fills any field from any place of an output', async () => {
    const { scaled, product } = await runner.result(
      pipeline(
        { id: 'settings', task: script('() => ({ factor: 3, items: [1, 2] })') },
        {
          id: 'scaled',
          task: { type: 'map', fn: 'x * factor' },
          dependsOn: ['settings'],
          input: { items: 'settings.items', 'context.factor': 'settings.factor' }
        },
        { id: 'matrix', task: script('() => ({ rows: 1, cols: 1, data: [5] })') },
        {
          id: 'product',
          task: { type: 'matrix', operation: 'multiply' },
          dependsOn: ['matrix'],
          input: { a: 'matrix', b: 'matrix' }
        }
      )
    )
    assert.deepEqual(scaled, [3, 6])
    assert.deepEqual(product, { rows: 1, cols: 1, data: Float64Array.of(25) })
  })

  it('runs nodes without a part, nodes of many stages and pipelines within', async () => {
    const { turned, inner } = await runner.result(
      pipeline(
        {
          id: 'turned',
          task: {
            type: 'matrix',
            operation: 'transpose',
            a: { rows: 2, cols: 1, data: Float64Array.of(1, 2) }
          }
        },
        {
          id: 'inner',
          task: pipeline({
            id: 'training',
            task: {
              type: 'ml_train_step',
              model: { layers: [{ units: 1, weights: [0], bias: [0] }] },
              data: { x: { rows: 2, cols: 1, data: [1, 1] }, y: { rows: 2, cols: 1, data: [1, 1] } },
              loss: 'mse',
              learningRate: 0.25,
              batchSize: 1
            }
          })
        }
      )
    )
    assert.deepEqual(turned, { rows: 1, cols: 2, data: Float64Array.of(1, 2) })
    // by hand: p = 0 → w = b = 0.5; p = 1 → no change
    assert.deepEqual([...inner.training.model.layers[0].weights], [0.5])
  })

  it('fails with the name of the node and of all that depend on it', async () => {
    const nodes = [
      { id: 'a', task: { type: 'map', items: [1], fn: '(() => { throw new Error("broken") })()' } },
      { id: 'b', task: { type: 'filter', fn: 'x' }, dependsOn: ['a'] },
      { id: 'c', task: { type: 'filter', fn: 'x' }, dependsOn: ['b'] }
    ]
    await assert.rejects(runner.result(pipeline(...nodes)), /broken/)
    const bad = pipeline(
      { id: 'a', task: script('() => 5') },
      { id: 'b', task: { type: 'filter', fn: 'x' }, dependsOn: ['a'] },
      { id: 'c', task: { type: 'filter', fn: 'x' }, dependsOn: ['b'] }
    )
    await assert.rejects(
      runner.result(bad),
      /^StepFailedError: node b failed: items: .*got number 5\. Not run, because they depend on it: c$/
    )
  })

  const task = { type: 'filter', fn: 'x' }
  const refusals: [string, object, RegExp][] = [
    [
      'a cycle, with its path',
      pipeline(
        { id: 'a', task, dependsOn: ['c'] },
        { id: 'b', task, dependsOn: ['a'] },
        { id: 'c', task, dependsOn: ['b'] }
      ),
      /is a cycle: a → b → c → a/
    ],
    [
      'a parent that does not exist',
      pipeline({ id: 'a', task, dependsOn: ['ghost'] }),
      /nodes\.a\.dependsOn: `ghost` is not a node; there are a/
    ],
    ['an id twice', pipeline({ id: 'a', task }, { id: 'a', task }), /two nodes have the id `a`/],
    ['a task that cannot run', pipeline({ id: 'a', task }), /nodes\.a\.task\.items: /],
    [
      'a function that cannot run, before its input is there',
      pipeline(
        { id: 'a', task: script('() => 1') },
        { id: 'b', task: { ...task, fn: 'y' }, dependsOn: ['a'] }
      ),
      /nodes\.b\.task\.fn: uses `y`/
    ],
    [
      'bytes that are no model, before the input of the model is there',
      pipeline(
        { id: 'a', task: script('() => 1') },
        { id: 'b', task: { type: 'ml_inference', model: Uint8Array.of(1, 2, 3) }, dependsOn: ['a'] }
      ),
      /nodes\.b\.task\.model: is not an ONNX model/
    ],
    [
      'input of a node that is no parent',
      pipeline({ id: 'a', task: script('() => 1') }, { id: 'b', task, input: { items: 'a' } }),
      /nodes\.b\.input\.items: `a` is not in dependsOn/
    ],
    [
      'two parents of one list',
      pipeline(
        { id: 'a', task: script('() => 1') },
        { id: 'b', task: script('() => 1') },
        { id: 'c', task, dependsOn: ['a', 'b'] }
      ),
      /nodes\.c\.input: is needed to say which field takes the output of a, b/
    ]
  ]
  for (const [name, spec, message] of refusals) {
    it(`refuses ${name}`, () => {
      assert.throws(() => parseSpec(spec), { name: 'SpecError', message })
    })
  }
})
