import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { createSandbox, onnxClass, type Sandbox } from '../../sandbox/index.ts'
import { lacks, needsOf, runtimes } from '../../scheduler/market/match.ts'
import { parseSpec } from '../../scheduler/tasks/parse-spec.ts'
import { until } from '../bootstrap/nodes.ts'
import { alone } from './alone.ts'
import { encodeModel } from './onnx-model.ts'
import { createRandom } from './run-work.ts'
import { createWorkerNetwork } from './worker-network.ts'

const random = createRandom(3)
const tensor = (...dims: number[]): { dims: number[]; data: Float32Array } => ({
  dims,
  data: Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => random() - 0.5)
})
// some milliseconds for a batch
const MODEL = encodeModel({
  inputs: [{ name: 'x', dims: ['batch', 3, 64, 64] }],
  outputs: ['y'],
  nodes: [
    { op: 'Conv', inputs: ['x', 'k'], outputs: ['a'] },
    { op: 'Relu', inputs: ['a'], outputs: ['b'] },
    { op: 'Conv', inputs: ['b', 'l'], outputs: ['c'] },
    { op: 'GlobalAveragePool', inputs: ['c'], outputs: ['d'] },
    { op: 'Flatten', inputs: ['d'], outputs: ['e'] },
    { op: 'Softmax', inputs: ['e'], outputs: ['y'] }
  ],
  tensors: { k: tensor(32, 3, 3, 3), l: tensor(32, 32, 3, 3) }
})
const within = () => AbortSignal.timeout(200_000)

describe('scheduler: models between nodes', function () {
  this.timeout(300_000)
  const sandbox = createSandbox({ warm: 1 })
  let folder: string
  const network = createWorkerNetwork({ sandbox, folder: () => folder })
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-inference-'))
    await sandbox.start()
  })
  afterEach(() => network.stop())
  after(async () => {
    await sandbox.stop()
    await rm(folder, { recursive: true })
  })

  async function start(count: number) {
    const workers = []
    for (let i = 0; i < count; i++) workers.push(await network.start(1))
    const { scheduler } = await network.start(0)
    await until(
      () => scheduler.workers().filter(({ connected }) => connected).length === count,
      'streams to the workers'
    )
    return { workers, scheduler }
  }

  it('give the same bytes on one worker, on two that are compared, and where one of two is killed', async () => {
    const spec = { type: 'ml_inference', model: MODEL, input: tensor(160, 3, 64, 64), batchSize: 2 }
    const alone = await start(1)
    const job = await alone.scheduler.submit({ ...spec, verify: 'none' })
    const expected = await job.resultBytes({ signal: within() })
    await network.stop()

    const { workers, scheduler } = await start(2)
    const compared = await scheduler.submit({ ...spec, verify: 'quorum:2' })
    assert.deepEqual(await compared.resultBytes({ signal: within() }), expected)

    const killed = await scheduler.submit({ ...spec, verify: 'none' })
    await until(() => killed.report().done > 0, 'a part of the job', 60_000)
    await workers[0]!.stop()
    assert.deepEqual(await killed.resultBytes({ signal: within() }), expected)
  })

  it('that the runtime does not know are refused before a job begins', async () => {
    const { scheduler } = await start(0)
    const refused: [Parameters<typeof encodeModel>[0], RegExp][] = [
      [
        {
          inputs: [{ name: 'x', dims: ['n', 2] }],
          outputs: ['y'],
          nodes: [{ op: 'FancyOp', inputs: ['x'], outputs: ['y'] }]
        },
        /model: ModelError: .*FancyOp/
      ],
      [
        {
          opset: 99,
          inputs: [{ name: 'x', dims: ['n', 2] }],
          outputs: ['y'],
          nodes: [{ op: 'Relu', inputs: ['x'], outputs: ['y'] }]
        },
        /model: ModelError: .*opset/
      ],
      [
        {
          inputs: [{ name: 'x', dims: ['n', 'columns'] }],
          outputs: ['y'],
          nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
          tensors: { w: tensor(3, 2) }
        },
        /model: ModelError: .*(dimension|shape)/i
      ]
    ]
    for (const [model, message] of refused) {
      const spec = { type: 'ml_inference', model: encodeModel(model), input: tensor(2, 2) }
      await assert.rejects(scheduler.submit(spec, { signal: within() }), { name: 'SpecError', message })
      await assert.rejects(scheduler.submitMany([spec, spec], { signal: within() }), { name: 'SpecError' })
    }
    assert.deepEqual(scheduler.jobs({ limit: 10 }).items, [])
  })

  it('are tried only as long as somebody waits for the submission', async () => {
    const ended = new AbortController()
    let tried = 0
    const watched: Sandbox = Object.assign(Object.create(sandbox), {
      open(...args: Parameters<Sandbox['open']>) {
        tried++
        ended.abort()
        return sandbox.open(...args)
      }
    })
    const scheduler = alone(await generateKeyPair('Ed25519'), watched, await mkdtemp(join(folder, 'alone-')))
    await scheduler.start()
    try {
      const specs = [2, 3].map(columns => ({
        type: 'ml_inference',
        model: encodeModel({
          inputs: [{ name: 'x', dims: ['n', columns] }],
          outputs: ['y'],
          nodes: [{ op: 'Relu', inputs: ['x'], outputs: ['y'] }]
        }),
        input: tensor(2, columns)
      }))
      await assert.rejects(scheduler.submitMany(specs, { signal: ended.signal }), { name: 'AbortError' })
      assert.equal(tried, 1)
      assert.deepEqual(scheduler.jobs({ limit: 10 }).items, [])
    } finally {
      await scheduler.stop()
    }
  })

  it('go only to workers with the same version of the runtime', () => {
    const needs = needsOf(parseSpec({ type: 'ml_inference', model: MODEL, input: tensor(1, 3, 64, 64) }))
    const offer = { slots: 1, ramMb: 512, tags: [], runtimes: runtimes() }
    assert.equal(needs.runtime, onnxClass())
    assert.equal(lacks(needs, offer), undefined)
    assert.equal(lacks(needs, { ...offer, runtimes: ['onnxruntime-web-1.0.0'] }), 'type')
  })
})
