import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import * as ort from 'onnxruntime-web/wasm'
import { decodeValue } from '../../sandbox/index.ts'
import { addData } from '../../scheduler/data/chunked-data.ts'
import { emptyInputs } from '../../scheduler/tasks/onnx/check-model.ts'
import { parseSpec } from '../../scheduler/tasks/parse-spec.ts'
import { memoryBlocks } from './memory-blocks.ts'
import { encodeModel, type OnnxModel, type OnnxNode, type OnnxTensor } from './onnx-model.ts'
import { createRandom, WorkRunner, workOf } from './run-work.ts'

// TensorProto.DataType
const FLOAT = 1
const STRING = 8
const BOOL = 9

const random = createRandom(7)
const randomTensor = (...dims: number[]): { dims: number[]; data: Float32Array } => ({
  dims,
  data: Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => 2 * random() - 1)
})
const integers = (...values: number[]): OnnxTensor => ({
  dims: [values.length],
  data: BigInt64Array.from(values, BigInt)
})

/** One operator on `x`, with further inputs as constants. */
function single(
  op: string,
  x: number[],
  constants: OnnxTensor[] = [],
  attributes?: OnnxNode['attributes'],
  opset?: number
): { name: string; model: OnnxModel; x: number[] } {
  const tensors = Object.fromEntries(constants.map((tensor, i) => [`c${i}`, tensor]))
  return {
    name: `${op} of ${x.join(' × ')} ${JSON.stringify(attributes ?? {})}`,
    x,
    model: {
      opset,
      inputs: [{ name: 'x', dims: ['batch', ...x.slice(1)] }],
      outputs: ['y'],
      nodes: [{ op, inputs: ['x', ...Object.keys(tensors)], outputs: ['y'], attributes }],
      tensors
    }
  }
}

const positive = ({ dims, data }: { dims: number[]; data: Float32Array }): OnnxTensor => ({
  dims,
  data: data.map(value => Math.abs(value) + 0.1)
})

const operators = [
  single('Add', [3, 4], [randomTensor(4)]),
  single('Sub', [2, 3, 4], [randomTensor(3, 1)]),
  single('Mul', [3, 4], [randomTensor(1)]),
  single('Div', [3, 4], [positive(randomTensor(3, 4))]),
  single('MatMul', [5, 7], [randomTensor(7, 3)]),
  single('MatMul', [2, 5, 7], [randomTensor(7, 3)]),
  single('MatMul', [2, 5, 7], [randomTensor(2, 7, 3)]),
  single('Gemm', [3, 5], [randomTensor(4, 5), randomTensor(4)], { transB: 1 }),
  single('Gemm', [3, 5], [randomTensor(5, 2), randomTensor(2)], {
    alpha: { float: 0.5 },
    beta: { float: 2 }
  }),
  ...['Relu', 'LeakyRelu', 'Elu', 'Sigmoid', 'Tanh', 'Exp', 'Neg', 'Abs', 'Identity'].map(op =>
    single(op, [3, 5])
  ),
  single(
    'Clip',
    [3, 5],
    [
      { dims: [], data: Float32Array.of(-0.25) },
      { dims: [], data: Float32Array.of(0.5) }
    ]
  ),
  single('Softmax', [3, 5]),
  single('Softmax', [2, 3, 4], [], { axis: 1 }),
  single('Softmax', [2, 3, 4], [], undefined, 11),
  single('LogSoftmax', [3, 5], [], { axis: 1 }),
  single('Conv', [2, 3, 8, 7], [randomTensor(4, 3, 3, 3), randomTensor(4)], { pads: [1, 0, 1, 2] }),
  single('Conv', [1, 4, 9, 9], [randomTensor(6, 2, 3, 3)], { group: 2, strides: [2, 1], dilations: [1, 2] }),
  single('MaxPool', [2, 3, 6, 7], [], { kernel_shape: [2, 3], strides: [2, 2], pads: [1, 1, 0, 1] }),
  single('AveragePool', [2, 3, 6, 6], [], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }),
  single('AveragePool', [1, 2, 5, 5], [], { kernel_shape: [3, 3], pads: [1, 1, 1, 1], count_include_pad: 1 }),
  single('GlobalAveragePool', [2, 3, 4, 5]),
  single(
    'BatchNormalization',
    [2, 3, 4, 4],
    [randomTensor(3), randomTensor(3), randomTensor(3), positive(randomTensor(3))]
  ),
  single('Reshape', [2, 3, 4], [integers(0, -1)]),
  single('Flatten', [2, 3, 4, 5]),
  single('Transpose', [2, 3, 4], [], { perm: [0, 2, 1] }),
  single('Concat', [2, 3, 4], [randomTensor(2, 2, 4)], { axis: 1 }),
  single('Squeeze', [2, 1, 4], [integers(1)]),
  single('Unsqueeze', [2, 4], [integers(1, -1)])
]

/** Whose rows are not independent of each other. */
const mixing = [
  single('Softmax', [70, 3], [], { axis: 0 }),
  single('Softmax', [70, 3, 2], [], { axis: 0 }, 11),
  single('Add', [70, 3], [randomTensor(70, 3)]),
  single('MatMul', [70, 2, 4], [randomTensor(70, 4, 2)]),
  single('Transpose', [70, 3], [], { perm: [1, 0] }),
  single('Reshape', [70, 3], [integers(-1, 7)]),
  single('Flatten', [70, 3], [], { axis: 0 }),
  single('Concat', [70, 3], [randomTensor(5, 3)], { axis: 0 }),
  single('Unsqueeze', [70, 3], [integers(0)])
]

/** The same with other names, to stand beside others. */
function withSuffix({ inputs, outputs, nodes, tensors = {} }: OnnxModel, suffix: string): OnnxModel {
  const named = (name: string): string => name + suffix
  return {
    inputs: inputs.map(({ name, dims: [, ...rest], ...more }) => ({
      name: named(name),
      dims: [named('batch'), ...rest],
      ...more
    })),
    outputs: outputs.map(name => named(name as string)),
    nodes: nodes.map(node => ({ ...node, inputs: node.inputs.map(named), outputs: node.outputs.map(named) })),
    tensors: Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [named(name), tensor]))
  }
}

/** A little convolutional net. */
function network(): OnnxModel {
  return {
    inputs: [{ name: 'image', dims: ['batch', 1, 12, 12] }],
    outputs: ['probabilities'],
    nodes: [
      { op: 'Conv', inputs: ['image', 'k', 'kb'], outputs: ['a'], attributes: { pads: [1, 1, 1, 1] } },
      { op: 'Relu', inputs: ['a'], outputs: ['b'] },
      { op: 'MaxPool', inputs: ['b'], outputs: ['c'], attributes: { kernel_shape: [2, 2], strides: [2, 2] } },
      { op: 'Flatten', inputs: ['c'], outputs: ['d'] },
      { op: 'Gemm', inputs: ['d', 'w', 'wb'], outputs: ['e'] },
      { op: 'Softmax', inputs: ['e'], outputs: ['probabilities'] }
    ],
    tensors: {
      k: randomTensor(4, 1, 3, 3),
      kb: randomTensor(4),
      w: randomTensor(4 * 36, 10),
      wb: randomTensor(10)
    }
  }
}

/** What onnxruntime gives, on inputs of one batch. */
async function reference(model: Uint8Array, feeds: Record<string, { dims: number[]; data: Float32Array }>) {
  ort.env.wasm.numThreads = 1
  ort.env.logLevel = 'fatal'
  const session = await ort.InferenceSession.create(model)
  const tensors = Object.entries(feeds).map(([name, { data, dims }]) => [
    name,
    new ort.Tensor('float32', data, dims)
  ])
  const outputs = await session.run(Object.fromEntries(tensors))
  await session.release()
  return outputs
}

describe('ml_inference', () => {
  const runner = new WorkRunner()
  before(() => runner.start())
  after(() => runner.stop())

  describe('gives the bits of onnxruntime in plain Node:', () => {
    const cases = [...operators, ...mixing].map(each => ({ ...each, input: randomTensor(...each.x) }))
    const given = new Map<object, unknown>()
    // as one model: loading the library costs each process more than all the operators
    before(async () => {
      for (const opset of new Set(cases.map(({ model }) => model.opset))) {
        const ofOpset = cases.filter(({ model }) => model.opset === opset)
        const models = ofOpset.map(({ model }, i) => withSuffix(model, `_${i}`))
        const model = encodeModel({
          opset,
          inputs: models.flatMap(({ inputs }) => inputs),
          outputs: models.flatMap(({ outputs }) => outputs),
          nodes: models.flatMap(({ nodes }) => nodes),
          tensors: Object.assign({}, ...models.map(({ tensors }) => tensors))
        })
        const input = Object.fromEntries(ofOpset.map(({ input }, i) => [`x_${i}`, input]))
        const outputs = await runner.result({ type: 'ml_inference', model, input })
        for (const [i, each] of ofOpset.entries()) given.set(each, outputs[`y_${i}`])
      }
    })
    for (const each of cases)
      it(each.name, async () => {
        const { dims, data } = (await reference(encodeModel(each.model), { x: each.input })).y!
        assert.deepEqual(given.get(each), { type: 'float32', dims, data })
      })
  })

  it('gives the same bytes however the batches are spread, in the order of the rows', async () => {
    const model = encodeModel(network())
    const image = randomTensor(13, 1, 12, 12)
    const spec = { type: 'ml_inference', model, input: { image }, batchSize: 2 }
    const whole = await runner.run(spec, { slice: 7 })
    for (const slice of [1, 2, 3, undefined])
      assert.deepEqual(await runner.run(spec, { slice, seed: 5 }), whole)
    const { probabilities } = await runner.result(spec)
    const expected = (await reference(model, { image })).probabilities!
    assert.deepEqual(probabilities.dims, [13, 10])
    ;(expected.data as Float32Array).forEach((value, i) => {
      assert.ok(Math.abs(probabilities.data[i] - value) <= 1e-5)
    })
  })

  for (const { name, model, x } of mixing) {
    it(`cuts nothing where a model mixes its rows: ${name}`, async () => {
      const spec = { type: 'ml_inference', model: encodeModel(model), input: randomTensor(...x) }
      const parts = await workOf(spec).next(undefined, () => assert.fail('nothing is to be calculated'))
      assert.deepEqual(
        parts.map(([, { units }]) => units),
        [1]
      )
      assert.throws(() => parseSpec({ ...spec, batchSize: 7 }), {
        name: 'SpecError',
        message: /batchSize: 7 would cut 70 rows, but the model mixes them: \w+ → y; leave it out/
      })
    })
  }

  it('cuts a model whose rows are independent, whatever it does within them', async () => {
    for (const { name, model, x } of operators) {
      const input = randomTensor(70, ...x.slice(1))
      if (Object.values(model.tensors ?? {}).some(({ dims }) => dims.length === x.length && dims[0] === x[0]))
        continue // belongs to a batch of that size
      assert.ok(parseSpec({ type: 'ml_inference', model: encodeModel(model), input, batchSize: 7 }), name)
    }
  })

  describe('elements', () => {
    const one = (
      op: string,
      inputs: [string, number][],
      outputs: [string, number][] = [['y', 1]]
    ): Uint8Array =>
      encodeModel({
        opset: 14,
        inputs: inputs.map(([name, type]) => ({ name, dims: ['n'], type })),
        outputs: outputs.map(([name, type]) => ({ name, type })),
        nodes: [{ op, inputs: inputs.map(([name]) => name), outputs: outputs.map(([name]) => name) }]
      })
    const cases: [string, Uint8Array, Record<string, unknown>, unknown][] = [
      [
        'int64 beyond what a number holds',
        one(
          'Add',
          [
            ['a', 7],
            ['b', 7]
          ],
          [['y', 7]]
        ),
        { a: [2n ** 60n, 1], b: [3, -5] },
        { type: 'int64', data: BigInt64Array.of(2n ** 60n + 3n, -4n) }
      ],
      [
        'uint8, around',
        one(
          'Add',
          [
            ['a', 2],
            ['b', 2]
          ],
          [['y', 2]]
        ),
        { a: [250, 1], b: [10, 2] },
        { type: 'uint8', data: Uint8Array.of(4, 3) }
      ],
      [
        'booleans',
        one(
          'And',
          [
            ['a', 9],
            ['b', 9]
          ],
          [['y', 9]]
        ),
        { a: [true, true], b: [1, 0] },
        { type: 'bool', data: Uint8Array.of(1, 0) }
      ],
      [
        'float64',
        one('Sqrt', [['a', 11]], [['y', 11]]),
        { a: [2, 4] },
        { type: 'float64', data: Float64Array.of(Math.SQRT2, 2) }
      ],
      [
        'float16, rounded to even',
        one('Identity', [['a', 10]], [['y', 10]]),
        { a: [0.1, 2049] },
        { type: 'float16', data: Float32Array.of(0.0999755859375, 2048) }
      ],
      [
        'strings',
        one('Identity', [['a', 8]], [['y', 8]]),
        { a: ['чай', ''] },
        { type: 'string', data: ['чай', ''] }
      ]
    ]
    for (const [name, model, lists, expected] of cases) {
      it(name, async () => {
        const input = Object.fromEntries(
          Object.entries(lists).map(([key, data]) => [key, { dims: [2], data }])
        )
        const { y } = await runner.result({ type: 'ml_inference', model, input })
        assert.deepEqual(y, { dims: [2], ...(expected as object) })
      })
    }

    it('refuses what the type cannot hold, and another type', () => {
      const model = one('Identity', [['a', 2]], [['y', 2]])
      const spec = (input: object) => () => parseSpec({ type: 'ml_inference', model, input })
      const because = (message: RegExp) => ({ name: 'SpecError', message })
      assert.throws(spec({ dims: [1], data: [256] }), because(/input\.data: 256 is no uint8/))
      assert.throws(spec({ dims: [1], data: [0.5] }), because(/0\.5 is no whole number/))
      assert.throws(spec({ dims: [1], data: ['x'] }), because(/x is no number/))
      assert.throws(
        spec({ dims: [1], data: [1], type: 'int8' }),
        because(/of type int8, the model takes uint8/)
      )
    })
  })

  it('takes inputs that have no rows', async () => {
    const model = encodeModel({
      inputs: [
        { name: 'x', dims: [] },
        { name: 'table', dims: [3, 2] },
        { name: 'at', dims: ['n'], type: 7 }
      ],
      outputs: ['y'],
      nodes: [
        { op: 'Gather', inputs: ['table', 'at'], outputs: ['some'] },
        { op: 'Mul', inputs: ['some', 'x'], outputs: ['y'] }
      ]
    })
    const input = {
      x: { dims: [], data: [10] },
      table: { dims: [3, 2], data: [1, 2, 3, 4, 5, 6] },
      at: { dims: [2], data: [2, 0] }
    }
    const { y } = await runner.result({ type: 'ml_inference', model, input })
    assert.deepEqual(y, { type: 'float32', dims: [2, 2], data: Float32Array.of(50, 60, 10, 20) })
  })

  it('stands in for inputs that are not there yet, within bounds', () => {
    const taking = (inputs: OnnxModel['inputs']) =>
      emptyInputs(encodeModel({ inputs, outputs: [], nodes: [] }))
    assert.deepEqual(taking([{ name: 'x', dims: ['n', 3] }])!.input, {
      dims: [1, 3],
      data: new Float32Array(3)
    })
    assert.deepEqual(taking([{ name: 'x', dims: ['n', 2], type: STRING }])!.input, {
      dims: [1, 2],
      data: ['', '']
    })
    const many = Array.from({ length: 20 }, (_, i) => ({ name: `x${i}`, dims: [100_000] }))
    assert.equal(taking(many), undefined)
    const counted = (type: number, size: number) => taking([{ name: 'x', dims: [size], type }])?.input != null
    assert.deepEqual(
      [counted(FLOAT, 1_000_000), counted(FLOAT, 1_000_001)],
      [true, false],
      'zeros are taken as they are'
    )
    for (const type of [STRING, BOOL])
      assert.deepEqual([counted(type, 1_000), counted(type, 1_001)], [true, false], 'each is looked at')
  })

  it('waits in a pipeline for the rest of inputs of which it has some: their sizes go together', () => {
    const model = encodeModel({
      inputs: ['x', 'y'].map(name => ({ name, dims: ['rows', 2] })),
      outputs: ['z'],
      nodes: [{ op: 'Add', inputs: ['x', 'y'], outputs: ['z'] }]
    })
    const task = { type: 'ml_inference', model, input: { y: randomTensor(10, 2) } }
    const nodes = [
      { id: 'rows', task: { type: 'script', source: 'export default () => 1' } },
      { id: 'sum', task, dependsOn: ['rows'], input: { 'input.x': 'rows' } }
    ]
    assert.equal(parseSpec({ type: 'pipeline', nodes }).type, 'pipeline')
  })

  it('takes weights from outside the model', async () => {
    const weights = Float32Array.of(1, 2, 3)
    const model = encodeModel({
      inputs: [{ name: 'x', dims: ['n', 3] }],
      outputs: ['y'],
      nodes: [{ op: 'Mul', inputs: ['x', 'w'], outputs: ['y'] }],
      tensors: { w: { dims: [3], data: weights, location: 'weights.bin' } }
    })
    const spec = { type: 'ml_inference', model, input: { dims: [2, 3], data: [1, 1, 1, 2, 2, 2] } }
    const bytes = new Uint8Array(weights.buffer)
    const { y } = await runner.result({ ...spec, externalData: { 'weights.bin': bytes } })
    assert.deepEqual(y.data, Float32Array.of(1, 2, 3, 2, 4, 6))
    assert.throws(() => parseSpec(spec), {
      name: 'SpecError',
      message: /externalData: `weights\.bin` is missing/
    })
    const short = runner.result({ ...spec, externalData: { 'weights.bin': bytes.subarray(4) } })
    await assert.rejects(short, /ModelError/)
  })

  it('takes model, weights and input by CID', async () => {
    const blocks = memoryBlocks()
    const put = async (bytes: Uint8Array): Promise<{ cid: string }> => ({
      cid: (await addData(blocks, [bytes])).cid
    })
    const weights = Float32Array.of(3, 4)
    const rows = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer)
    const model = encodeModel({
      inputs: [{ name: 'x', dims: ['n', 2] }],
      outputs: ['y'],
      nodes: [{ op: 'Mul', inputs: ['x', 'w'], outputs: ['y'] }],
      tensors: { w: { dims: [2], data: weights, location: './weights.bin' } }
    })
    const spec = {
      type: 'ml_inference',
      model: await put(model),
      externalData: { './weights.bin': await put(new Uint8Array(weights.buffer)) },
      input: { x: { dims: [2, 2], data: { ...(await put(rows)), as: 'float32' } } }
    }
    const { y } = decodeValue(await runner.run(spec, { blocks })) as { y: { data: Float32Array } }
    assert.deepEqual(y.data, Float32Array.of(3, 8, 9, 16))
  })

  it('draws the same numbers for every batch, whatever the cut', async () => {
    const model = encodeModel({
      inputs: [{ name: 'x', dims: [1, 4] }],
      outputs: [{ name: 'y', dims: [1, 4] }],
      nodes: [{ op: 'RandomUniformLike', inputs: ['x'], outputs: ['y'] }]
    })
    const spec = { type: 'ml_inference', model, input: randomTensor(6, 4) }
    const whole = await runner.run(spec, { slice: 6 })
    assert.deepEqual(await runner.run(spec, { slice: 1, seed: 3 }), whole)
    const { y } = await runner.result(spec)
    assert.deepEqual(y.data.slice(0, 4), y.data.slice(4, 8))
  })

  it('takes damaged models for what they are: refused, or another model', () => {
    const model = encodeModel(network())
    const input = randomTensor(1, 1, 12, 12)
    fc.assert(
      fc.property(fc.nat(model.length - 1), fc.nat(255), fc.nat(model.length), (at, byte, end) => {
        const damaged = model.slice(0, end)
        if (at < end) damaged[at] = byte
        try {
          parseSpec({ type: 'ml_inference', model: damaged, input })
        } catch (error) {
          assert.equal((error as Error).name, 'SpecError')
        }
      }),
      { numRuns: 300 }
    )
  })

  const refusals: [string, unknown, RegExp][] = [
    ['bytes that are no model', Uint8Array.of(1, 2, 3), /model: is not an ONNX model/],
    [
      'an input of another shape',
      encodeModel({
        inputs: [{ name: 'x', dims: ['batch', 3] }],
        outputs: ['y'],
        nodes: [{ op: 'Relu', inputs: ['x'], outputs: ['y'] }]
      }),
      /input: is 2 × 2, the model takes batch × 3/
    ]
  ]
  for (const [name, model, message] of refusals) {
    it(`refuses ${name}`, () => {
      assert.throws(() => parseSpec({ type: 'ml_inference', model, input: randomTensor(2, 2) }), {
        name: 'SpecError',
        message
      })
    })
  }
})
