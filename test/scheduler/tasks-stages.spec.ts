import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { createSandbox } from '../../sandbox/index.ts'
import type { Job, Scheduler } from '../../scheduler/index.ts'
import { alone } from './alone.ts'

const progress = (job: Job, units: number): Promise<void> =>
  new Promise((resolve, reject) => {
    job.addEventListener('progress', ({ detail }) => {
      if (detail.done >= units) resolve()
    })
    job.addEventListener('end', () => reject(new Error('the job ended before')), { once: true })
  })

describe('jobs of several stages', () => {
  const sandbox = createSandbox({ warm: 2 })
  let directory: string
  let key: PrivateKey
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'artel-stages-'))
    key = await generateKeyPair('Ed25519')
    await sandbox.start()
  })
  after(async () => {
    await sandbox.stop()
    await rm(directory, { recursive: true })
  })

  async function within<T>(use: (scheduler: Scheduler) => Promise<T>): Promise<T> {
    const scheduler = alone(key, sandbox, directory)
    await scheduler.start()
    try {
      return await use(scheduler)
    } finally {
      await scheduler.stop()
    }
  }

  const training = {
    type: 'ml_train_step',
    model: { layers: [{ units: 8, activation: 'tanh' }, { units: 1 }] },
    data: {
      x: { rows: 24, cols: 2, data: Array.from({ length: 48 }, (_, i) => Math.fround(i / 48)) },
      y: { rows: 24, cols: 1, data: Array.from({ length: 24 }, (_, i) => (i % 5) / 5) }
    },
    loss: 'mse',
    learningRate: 0.1,
    batchSize: 8,
    shardSize: 2,
    epochs: 60
  }
  const pipeline = {
    type: 'pipeline',
    nodes: [
      { id: 'training', task: training },
      {
        id: 'losses',
        task: { type: 'map', fn: 'x.loss' },
        dependsOn: ['training'],
        input: { items: 'training.epochs' }
      }
    ]
  }

  for (const [name, spec] of [
    ['training', training],
    ['a pipeline', pipeline]
  ] as const) {
    it(`${name} goes on after a restart of its coordinator and gives the same bytes`, async () => {
      const whole = await within(async scheduler => (await scheduler.submit(spec)).resultBytes())
      const id = await within(async scheduler => {
        const job = await scheduler.submit(spec)
        await progress(job, 20)
        return job.id
      })
      await within(async scheduler => {
        const job = scheduler.job(id)!
        assert.ok(job.report().done >= 20)
        assert.deepEqual(await job.resultBytes(), whole)
        const { state, done, total } = await job.settled()
        assert.deepEqual([state, done], ['completed', total])
      })
    })
  }

  it('calculates here what is not worth sending', async () => {
    const a = { rows: 1, cols: 2, data: Float64Array.of(1, 2) }
    const sum = await within(async scheduler =>
      (await scheduler.submit({ type: 'matrix', operation: 'add', a, b: a })).result()
    )
    assert.deepEqual(sum, { rows: 1, cols: 2, data: Float64Array.of(2, 4) })
  })

  it('a node that fails on every worker fails the job with its name and those of its descendants', async () => {
    const spec = {
      type: 'pipeline',
      nodes: [
        { id: 'bad', task: { type: 'map', items: [1, 0], fn: 'x.missing.field' } },
        { id: 'after', task: { type: 'filter', fn: 'x' }, dependsOn: ['bad'] }
      ]
    }
    await within(async scheduler => {
      const job = await scheduler.submit(spec)
      await assert.rejects(job.result(), {
        name: 'JobFailedError',
        message: /node bad failed: TypeError.*Not run, because they depend on it: after/
      })
    })
  })

  it('runs tasks of every other type in one batch, in order', async () => {
    const two = { rows: 1, cols: 1, data: Float64Array.of(2) }
    const specs = [
      { type: 'filter', items: [1, 2, 3], fn: 'x > 1' },
      { type: 'matrix', operation: 'add', a: two, b: two },
      { type: 'matrix', operation: 'multiply', a: two, b: two },
      { type: 'matrix', operation: 'inverse', a: two },
      { type: 'script', source: 'export default x => x + 1', input: 1 },
      { type: 'map', items: [1], fn: 'x.missing.field' },
      { type: 'range_reduce', start: 1, end: 4 },
      { type: 'map_reduce', items: [1, 2], map: 'x', reduce: 'max' }
    ]
    const results = await within(
      async scheduler =>
        (await (await scheduler.submitMany(specs)).result()) as { ok: boolean; value?: unknown }[]
    )
    const one = (value: number) => ({ rows: 1, cols: 1, data: Float64Array.of(value) })
    assert.deepEqual(
      results.map(({ ok, value }) => (ok ? value : 'failed')),
      [[2, 3], one(4), one(4), one(0.5), 2, 'failed', 10, 2]
    )
  })

  it('refuses jobs of stages within a batch', async () => {
    await within(async scheduler => {
      await assert.rejects(scheduler.submitMany([training]), { name: 'SpecError', message: /specs\.0\.type/ })
    })
  })
})
