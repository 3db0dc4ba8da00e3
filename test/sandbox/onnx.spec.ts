import { strict as assert } from 'node:assert'
import { createSandbox, encodeValue, type Outcome, type Session } from '../../sandbox/index.ts'
import { read } from '../compliance/sandbox.ts'
import { encodeModel, type OnnxModel, type OnnxTensor } from '../scheduler/onnx-model.ts'
import { descendants, eventually } from './processes.ts'

const limits = { timeoutMs: 240_000, memoryMb: 256, outputBytes: 1 << 24 }
const integers = (...values: number[]): OnnxTensor => ({
  dims: [values.length],
  data: BigInt64Array.from(values, BigInt)
})
const scalar = (value: number): OnnxTensor => ({ dims: [], data: BigInt64Array.of(BigInt(value)) })
const x = (...values: number[]) => ({
  x: { type: 'float32', dims: [values.length], data: Float32Array.from(values) }
})
const batch = (...values: number[]): Uint8Array => encodeValue({ batches: [x(...values)] })

const model = (nodes: OnnxModel['nodes'], tensors?: OnnxModel['tensors']): Uint8Array =>
  encodeModel({ inputs: [{ name: 'x', dims: ['n'] }], outputs: ['y'], nodes, tensors })
const DOUBLE = model([{ op: 'Add', inputs: ['x', 'x'], outputs: ['y'] }])

/** A loop of so many turns around what adds 1. */
function loop(turns: number): Uint8Array {
  const body: OnnxModel = {
    inputs: [
      { name: 'i', dims: [], type: 7 },
      { name: 'goes', dims: [], type: 9 },
      { name: 'v', dims: ['n'] }
    ],
    outputs: [
      { name: 'on', type: 9, dims: [] },
      { name: 'w', dims: ['n'] }
    ],
    nodes: [
      { op: 'Identity', inputs: ['goes'], outputs: ['on'] },
      { op: 'Add', inputs: ['v', 'one'], outputs: ['w'] }
    ],
    tensors: { one: { dims: [1], data: Float32Array.of(1) } }
  }
  return model(
    [{ op: 'Loop', inputs: ['turns', '', 'x'], outputs: ['y'], attributes: { body: { graph: body } } }],
    { turns: scalar(turns) }
  )
}

/** Conditions within conditions. */
function nested(depth: number): Uint8Array {
  let inner: OnnxModel = {
    inputs: [],
    outputs: ['y0'],
    nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y0'] }]
  }
  for (let i = 1; i <= depth; i++) {
    const node = {
      op: 'If',
      inputs: ['yes'],
      outputs: [i === depth ? 'y' : `y${i}`],
      attributes: { then_branch: { graph: inner }, else_branch: { graph: inner } }
    }
    // one branch of each is enough to be deep, and both would be large
    node.attributes.else_branch = {
      graph: {
        inputs: [],
        outputs: [`z${i}`],
        nodes: [{ op: 'Identity', inputs: ['x'], outputs: [`z${i}`] }]
      }
    }
    inner = { inputs: [], outputs: [node.outputs[0]!], nodes: [node] }
  }
  return encodeModel({
    inputs: [
      { name: 'x', dims: ['n'] },
      { name: 'yes', dims: [], type: 9 }
    ],
    outputs: ['y'],
    nodes: inner.nodes
  })
}

describe('sandbox: models', () => {
  const sandbox = createSandbox({ lazy: true })
  before(() => sandbox.start())
  after(async () => {
    await sandbox.stop()
    await eventually('no child is left', () => descendants(process.pid).length === 0)
  })

  async function withModel<T>(
    source: Uint8Array,
    use: (session: Session) => Promise<T>,
    more: Partial<typeof limits> = {},
    context?: Uint8Array
  ): Promise<T> {
    const session = await sandbox.open(
      { kind: 'onnx', source, context },
      { limits: { ...limits, ...more }, requester: 'stranger' }
    )
    try {
      return await use(session)
    } finally {
      await session.close()
    }
  }
  const run = async (
    source: Uint8Array,
    inputs: Uint8Array[],
    more?: Partial<typeof limits>
  ): Promise<Outcome[]> => withModel(source, session => session.run(inputs), more)
  const failure = (outcome: Outcome | undefined): string =>
    outcome?.ok === false ? `${outcome.failure.name}: ${outcome.failure.message}` : 'it went well'

  it('are of a class of their own, and run behind the walls', async () => {
    assert.ok(sandbox.walled)
    await withModel(DOUBLE, async session => {
      assert.match(session.class, /^onnxruntime-web-\d+\.\d+\.\d+$/)
      const [outcome] = await session.run([encodeValue({ batches: [x(1), x(2, 3)] })])
      const y = (...values: number[]) => ({ y: x(...values).x })
      assert.deepEqual(read(outcome!), [y(2), y(4, 6)])
    })
  })

  it('that ask for more memory than they may have get an error, and the next input goes on', async () => {
    for (const size of [2 ** 27, 2 ** 30, 2 ** 40]) {
      // x[0] times x[0] numbers, so that nothing is known before it runs
      const bomb = model(
        [
          { op: 'Cast', inputs: ['x'], outputs: ['shape'], attributes: { to: 7 } },
          { op: 'ConstantOfShape', inputs: ['shape'], outputs: ['y'] }
        ],
        {}
      )
      const [first, second] = await run(bomb, [batch(size), batch(2)])
      assert.match(failure(first), /^(out-of-memory|threw): /, String(size))
      assert.deepEqual((read(second!) as { y: { dims: number[] } }[])[0]!.y.dims, [2])
    }
  })

  it('that ask for it before they run do not get it either', async () => {
    const bomb = model(
      [
        { op: 'ConstantOfShape', inputs: ['shape'], outputs: ['c'] },
        { op: 'ReduceSum', inputs: ['c'], outputs: ['s'] },
        { op: 'Add', inputs: ['x', 's'], outputs: ['y'] }
      ],
      { shape: integers(2 ** 15, 2 ** 15) }
    )
    for (const outcome of await run(bomb, [batch(1), batch(1)]))
      assert.match(failure(outcome), /^(out-of-memory|threw): /)
  })

  it('that loop end at the deadline, and the next input has a process of its own', async () => {
    const [first, ended] = await run(loop(2 ** 40), [batch(1), batch(1)], { timeoutMs: 1500 })
    assert.match(failure(first), /^timeout: /)
    assert.match(failure(ended), /^timeout: /)
    const [few] = await run(loop(5), [batch(1, 2)])
    assert.deepEqual(read(few!), [{ y: x(6, 7).x }])
  })

  it('that are no models say so', async () => {
    const cases: [string, Uint8Array, RegExp][] = [
      ['nothing', new Uint8Array(), /ModelError/],
      ['half of one', DOUBLE.subarray(0, DOUBLE.length / 2), /ModelError/],
      ['an operator that there is not', model([{ op: 'FancyOp', inputs: ['x'], outputs: ['y'] }]), /FancyOp/],
      [
        'a circle',
        model([
          { op: 'Add', inputs: ['x', 'b'], outputs: ['a'] },
          { op: 'Add', inputs: ['a', 'x'], outputs: ['b'] },
          { op: 'Add', inputs: ['a', 'b'], outputs: ['y'] }
        ]),
        /ModelError/
      ],
      [
        'weights in a file of the machine',
        model([{ op: 'Add', inputs: ['x', 'w'], outputs: ['y'] }], {
          w: { dims: [1], data: Float32Array.of(1), location: '../../../../../etc/passwd' }
        }),
        /ModelError/
      ],
      [
        'shapes that do not go together',
        model([{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }], {
          w: { dims: [3, 2], data: new Float32Array(6) }
        }),
        /ModelError/
      ]
    ]
    for (const [name, source, message] of cases) {
      const [outcome] = await run(source, [batch(1, 2)])
      assert.match(failure(outcome), message, name)
    }
  })

  it('nested as deep as they like end as data', async () => {
    for (const depth of [20, 300]) {
      const input = { ...x(1, 2), yes: { type: 'bool', dims: [], data: Uint8Array.of(1) } }
      const [outcome] = await run(nested(depth), [encodeValue({ batches: [input] })])
      if (outcome!.ok) assert.deepEqual(read(outcome!), [{ y: x(1, 2).x }])
      else assert.match(failure(outcome), /^threw: ModelError/)
    }
  })

  it('damaged anywhere end as data', async () => {
    const network = encodeModel({
      inputs: [{ name: 'x', dims: ['n', 1, 6, 6] }],
      outputs: ['y'],
      nodes: [
        { op: 'Conv', inputs: ['x', 'k'], outputs: ['a'], attributes: { pads: [1, 1, 1, 1] } },
        { op: 'MaxPool', inputs: ['a'], outputs: ['b'], attributes: { kernel_shape: [2, 2] } },
        { op: 'Reshape', inputs: ['b', 'shape'], outputs: ['c'] },
        { op: 'Softmax', inputs: ['c'], outputs: ['y'] }
      ],
      tensors: { k: { dims: [2, 1, 3, 3], data: new Float32Array(18).fill(0.5) }, shape: integers(0, -1) }
    })
    const input = encodeValue({
      batches: [{ x: { type: 'float32', dims: [1, 1, 6, 6], data: new Float32Array(36) } }]
    })
    let refused = 0
    // every 37th byte, all bits but one turned
    for (let at = 5; at < network.length; at += 37) {
      const damaged = network.slice()
      damaged[at]! ^= 0xfe
      const [outcome] = await run(damaged, [input], { timeoutMs: 5000 })
      if (outcome!.ok) continue
      refused++
      assert.notEqual(outcome!.failure.message, 'the process of the program crashed', `byte ${at}`)
    }
    assert.ok(refused > 0)
  })
})
