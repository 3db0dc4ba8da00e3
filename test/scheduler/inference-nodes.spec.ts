import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { createSandbox, onnxClass, type Sandbox, WallMissingError } from '../../sandbox/index.ts'
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
const within = () => AbortSignal.timeout(240_000)

describe('scheduler: models between nodes', () => {
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
    await until(() => killed.report().done > 0, 'a part of the job')
    await workers[0]!.stop()
    assert.deepEqual(await killed.resultBytes({ signal: within() }), expected)
  })

  it('that the runtime does not know are refused before a job begins', async () => {
    const { scheduler } = await start(0)
    const refused: [Parameters<typeof encodeModel>[0], RegExp, 'for these inputs'?][] = [
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
        /model: ModelError: .*(dimension|shape)/i,
        'for these inputs'
      ]
    ]
    const parent = { id: 'rows', task: { type: 'script', source: 'export default () => 1' } }
    for (const [encoded, message, when] of refused) {
      const model = encodeModel(encoded)
      const spec = { type: 'ml_inference', model, input: tensor(2, 2) }
      const nodes: object[][] = [[{ id: 'm', task: spec }]]
      if (when === undefined)
        nodes.push([parent, { id: 'm', task: { type: 'ml_inference', model }, dependsOn: ['rows'] }])
      for (const each of nodes) {
        const whole = { type: 'pipeline', nodes: [{ id: 'outer', task: { type: 'pipeline', nodes: each } }] }
        await assert.rejects(scheduler.submit(whole), {
          name: 'SpecError',
          field: 'nodes.outer.task.nodes.m.task.model',
          message
        })
      }
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

  it('are refused as what they are where this machine could not try them', async () => {
    const failures: [string, () => Promise<unknown>][] = [
      [
        'TimeoutError',
        async () => [{ ok: false, failure: { name: 'timeout', message: 'ran longer' }, ms: 1 }]
      ],
      [
        'SandboxUnavailableError',
        async () => [{ ok: false, failure: { name: 'aborted', message: 'closed' }, ms: 1 }]
      ],
      ['WallMissingError', () => Promise.reject(new WallMissingError('seccomp'))]
    ]
    for (const [name, run] of failures) {
      const failing: Sandbox = Object.assign(Object.create(sandbox), {
        open: async () => ({ run, close: async () => {}, said: '' })
      })
      const place = await mkdtemp(join(folder, 'alone-'))
      const scheduler = alone(await generateKeyPair('Ed25519'), failing, place)
      await scheduler.start()
      try {
        const spec = { type: 'ml_inference', model: MODEL, input: tensor(1, 3, 64, 64) }
        await assert.rejects(scheduler.submit(spec), { name })
      } finally {
        await scheduler.stop()
      }
    }
  })

  it('take what other nodes of a pipeline give', async () => {
    const { scheduler } = await start(1)
    const source = 'export default () => ({ dims: [1, 3, 64, 64], data: new Float32Array(12288).fill(0.5) })'
    const nodes = [
      { id: 'image', task: { type: 'script', source } },
      { id: 'model', task: { type: 'ml_inference', model: MODEL }, dependsOn: ['image'] }
    ]
    const job = await scheduler.submit({ type: 'pipeline', nodes, verify: 'none' }, { signal: within() })
    const { model } = (await job.result({ signal: within() })) as { model: { y: { data: Float32Array } } }
    const data = new Float32Array(12_288).fill(0.5)
    const input = { dims: [1, 3, 64, 64], data }
    const spec = { type: 'ml_inference', model: MODEL, input, verify: 'none' }
    const direct = await scheduler.submit(spec, { signal: within() })
    assert.deepEqual(model, await direct.result({ signal: within() }))
  })

  it('go only to workers with the same version of the runtime', () => {
    const needs = needsOf(parseSpec({ type: 'ml_inference', model: MODEL, input: tensor(1, 3, 64, 64) }))
    const offer = { slots: 1, ramMb: 512, tags: [], runtimes: runtimes() }
    assert.equal(needs.runtime, onnxClass())
    assert.equal(lacks(needs, offer), undefined)
    assert.equal(lacks(needs, { ...offer, runtimes: ['onnxruntime-web-1.0.0'] }), 'type')
  })
})
