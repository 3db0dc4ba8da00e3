import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { createSandbox } from '../../sandbox/index.ts'
import type { Scheduler } from '../../scheduler/index.ts'
import { alone } from './alone.ts'

const items = Array.from({ length: 50_000 }, (_, i) => i * 1.5)

describe('scheduler: values that were lost with the power', () => {
  const sandbox = createSandbox({ warm: 1 })
  let directory: string
  let key: PrivateKey
  let scheduler: Scheduler
  before(() => sandbox.start())
  after(() => sandbox.stop())
  beforeEach(async () => {
    key = await generateKeyPair('Ed25519')
    directory = await mkdtemp(join(tmpdir(), 'artel-lost-'))
    scheduler = alone(key, sandbox, directory)
    await scheduler.start()
  })
  afterEach(async () => {
    await scheduler.stop()
    await rm(directory, { recursive: true })
  })

  async function restartWithout(job: string, value: string, sql?: string): Promise<void> {
    await scheduler.stop()
    await rm(join(directory, 'values', job, value))
    if (sql != null) {
      const db = new DatabaseSync(join(directory, 'jobs.sqlite'))
      db.exec(sql)
      db.close()
    }
    scheduler = alone(key, sandbox, directory)
    await scheduler.start()
  }

  it('ends a job whose task is gone, says so, and goes on with others', async () => {
    const { id } = await scheduler.submit({ type: 'map', items, fn: 'x => { for (;;); }' })
    await restartWithout(id, 'specs')
    await assert.rejects(scheduler.job(id)!.result({ signal: AbortSignal.timeout(240_000) }), {
      name: 'JobFailedError',
      message: /is lost or damaged .*submit it again/
    })
    const next = await scheduler.submit({ type: 'map', items: [2, 3], fn: 'x => x * x' })
    assert.deepEqual(await next.result(), [4, 9])
  })

  it('calculates a result again that was lost before it was safe', async () => {
    const job = await scheduler.submit({ type: 'map', items, fn: 'x => x + 0.25' })
    await job.settled({ signal: AbortSignal.timeout(240_000) })
    await restartWithout(job.id, 'result', 'UPDATE jobs SET settled = 0')
    const again = scheduler.job(job.id)!
    assert.deepEqual(
      await again.result({ signal: AbortSignal.timeout(240_000) }),
      items.map(x => x + 0.25)
    )
    assert.equal((await again.settled({ signal: AbortSignal.timeout(240_000) })).state, 'completed')
  })

  it('says that a result is gone', async () => {
    const job = await scheduler.submit({ type: 'map', items, fn: 'x => x + 0.25' })
    assert.deepEqual(
      await job.result(),
      items.map(x => x + 0.25)
    )
    await job.settled()
    await restartWithout(job.id, 'result')
    await assert.rejects(scheduler.job(job.id)!.result(), {
      name: 'JobFailedError',
      message: /no longer on the disk; submit it again/
    })
  })
})
