import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { createSandbox } from '../../sandbox/index.ts'
import type { Scheduler, SchedulerEvents } from '../../scheduler/index.ts'
import { until } from '../bootstrap/nodes.ts'
import { alone } from './alone.ts'

const squares = { type: 'map', items: [1, 2, 3], fn: 'x => x * x', name: 'squares', verify: 'none' }
const endless = { type: 'range_reduce', start: 1, end: 1e12, map: 'x => x % 7', operation: 'sum' }

describe('scheduler: what a watcher of all jobs sees', () => {
  const sandbox = createSandbox({ warm: 1 })
  let directory: string
  let scheduler: Scheduler
  before(async () => {
    await sandbox.start()
    directory = await mkdtemp(join(tmpdir(), 'artel-watch-'))
    scheduler = alone(await generateKeyPair('Ed25519'), sandbox, directory)
    await scheduler.start()
  })
  after(async () => {
    await scheduler.stop()
    await sandbox.stop()
    await rm(directory, { recursive: true })
  })

  function watch() {
    const seen: [string, string, string][] = []
    for (const type of ['job:add', 'job:progress', 'job:end'] as const)
      scheduler.addEventListener(type, ({ detail }: SchedulerEvents[typeof type]) =>
        seen.push([type, detail.job, detail.state])
      )
    return seen
  }

  it('hears of a job when it comes, while it runs and when it ends', async () => {
    const seen = watch()
    const job = await scheduler.submit(squares)
    await job.settled()
    const types = seen.filter(([, id]) => id === job.id).map(([type]) => type)
    assert.equal(types[0], 'job:add')
    assert.equal(types.at(-1), 'job:end')
    assert.ok(types.includes('job:progress'))
    assert.deepEqual(seen.at(-1), ['job:end', job.id, 'completed'])
  })

  it('hears that a job came before it hears that it ended, also where that is in the same turn', async () => {
    const seen = watch()
    const job = await scheduler.submit({ ...squares, items: [] })
    assert.deepEqual(await job.result(), [])
    const types = seen.map(([type]) => type)
    assert.deepEqual(
      types.filter(type => type !== 'job:progress'),
      ['job:add', 'job:end']
    )
  })

  it('hears that a job which cannot be written came and ended; nothing of it is left, and the next one is', async () => {
    const seen = watch()
    using db = new DatabaseSync(join(directory, 'jobs.sqlite'))
    db.exec("CREATE TRIGGER full BEFORE INSERT ON jobs BEGIN SELECT RAISE(ABORT, 'full'); END")
    // the one runs when that shows, the other is at its end
    for (const spec of [endless, { ...squares, items: [] }])
      await assert.rejects(scheduler.submit(spec), { name: 'StorageError', message: /full/ })
    db.exec('DROP TRIGGER full')
    const [first, second] = [...new Set(seen.map(([, id]) => id))]
    for (const id of [first!, second!]) {
      await until(() => scheduler.job(id) === undefined, 'it is forgotten')
      const told = seen.filter(([type, job]) => job === id && type !== 'job:progress')
      assert.deepEqual(
        told.map(([type]) => type),
        ['job:add', 'job:end']
      )
    }
    const next = await scheduler.submit(squares)
    assert.deepEqual(await next.result(), [1, 4, 9])
  })

  it('hears of a job whose result was there already', async () => {
    await (await scheduler.submit({ ...squares, memoize: true })).settled()
    const seen = watch()
    const again = await scheduler.submit({ ...squares, memoize: true })
    assert.deepEqual(seen, [
      ['job:add', again.id, 'completed'],
      ['job:end', again.id, 'completed']
    ])
  })

  it('sees the slices that are accepted and those that are at work', async () => {
    const job = await scheduler.submit(endless)
    await until(() => (scheduler.slices(job.id)?.items.length ?? 0) > 0, 'a slice is accepted')
    await until(() => (scheduler.slices(job.id)?.open.length ?? 0) > 0, 'a slice is leased')
    const { items, open } = scheduler.slices(job.id)!
    assert.deepEqual(items.map(({ part, first, workers }) => [part, first, workers.length]).slice(0, 1), [
      [0, 0, 1]
    ])
    for (const { count, worker, sinceMs } of open)
      assert.ok(count > 0 && sinceMs >= 0 && worker === items[0]!.workers[0]!.worker)
    await job.cancel()
    assert.deepEqual(scheduler.slices(job.id)!.open, [])
    assert.equal(scheduler.slices('nobody'), undefined)
    // of an ended job it still knows how far it came
    const report = (await job.settled()) && scheduler.job(job.id)!.report()
    const units = scheduler.slices(job.id)!.items.reduce((sum, { count }) => sum + count, 0)
    assert.deepEqual([report.state, report.done], ['cancelled', units])
    assert.ok(report.total > report.done)
  })

  it('finds jobs by state and type, with the name that their spec gives them', async () => {
    const job = await scheduler.submit(squares)
    await job.settled()
    const { items, total } = scheduler.jobs({ limit: 1, state: 'completed', type: 'map' })
    assert.deepEqual([items[0]?.job, items[0]?.name, items[0]?.done], [job.id, 'squares', 3])
    assert.ok(total > 1)
    assert.deepEqual(scheduler.jobs({ limit: 9, type: 'script' }), { items: [], total: 0 })
  })

  it('gives back what was submitted, of a batch every task', async () => {
    const job = await scheduler.submit(squares)
    const batch = await scheduler.submitMany([squares, squares])
    const spec = scheduler.spec(job.id)
    assert.ok(spec != null && !Array.isArray(spec) && spec.type === 'map')
    assert.deepEqual(spec.items, [1, 2, 3])
    assert.equal((scheduler.spec(batch.id) as unknown[]).length, 2)
    assert.equal(scheduler.spec('nobody'), undefined)
    await Promise.all([job.settled(), batch.settled()])
  })
})
