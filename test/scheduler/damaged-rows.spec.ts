import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { createSandbox, encodeValue } from '../../sandbox/index.ts'
import type { Scheduler } from '../../scheduler/index.ts'
import { openStore } from '../../scheduler/store/job-store.ts'
import { parseSpec } from '../../scheduler/tasks/parse-spec.ts'
import { alone } from './alone.ts'

const DAMAGED = 'd'.repeat(16)
const HEALTHY = 'a'.repeat(16)

describe('scheduler: a damaged row', () => {
  const sandbox = createSandbox({ warm: 1 })
  let directory: string
  let key: PrivateKey
  let scheduler: Scheduler | undefined
  before(() => sandbox.start())
  after(() => sandbox.stop())
  beforeEach(async () => {
    key = await generateKeyPair('Ed25519')
    directory = await mkdtemp(join(tmpdir(), 'artel-damaged-'))
    const store = openStore(join(directory, 'jobs.sqlite'))
    const spec = parseSpec({ type: 'map', items: [1, 2, 3], fn: 'x => x * x' })
    for (const [i, id] of [DAMAGED, HEALTHY].entries()) {
      store.addJob({ id, type: 'map', submitted: Date.now() + i, bound: 10n }, encodeValue([spec]))
      store.addSlice(id, {
        part: 0,
        first: 0,
        count: 1,
        slice: 1,
        value: encodeValue([1]),
        paid: [{ worker: 'w', price: 3n }],
        works: [],
        assurance: { answers: 1, audited: 0, credibility: 1 }
      })
    }
    store.close()
  })
  afterEach(async () => {
    await scheduler?.stop()
    await rm(directory, { recursive: true })
  })

  /** Damages one job, starts, and gives what became of it; the other one goes on. */
  async function startWith(damage: string): Promise<Scheduler> {
    const db = new DatabaseSync(join(directory, 'jobs.sqlite'))
    db.prepare(damage).run(DAMAGED)
    db.close()
    scheduler = alone(key, sandbox, directory)
    await scheduler.start()
    const healthy = await scheduler.job(HEALTHY)!.result({ signal: AbortSignal.timeout(240_000) })
    assert.deepEqual(healthy, [1, 4, 9])
    return scheduler
  }
  const fate = (from: Scheduler) => from.job(DAMAGED)!.result({ signal: AbortSignal.timeout(240_000) })

  it('costs its job, told by name, where the spec cannot be read', async () => {
    const started = await startWith(`UPDATE specs SET specs = x'a1ff' WHERE job = ?`)
    await assert.rejects(fate(started), {
      name: 'JobFailedError',
      message: new RegExp(`${DAMAGED}.*damaged`)
    })
    const { state, failure } = started.job(DAMAGED)!.report()
    assert.deepEqual([state, failure?.name], ['failed', 'aborted'])
  })

  it('costs its job where the spec is none that can be planned', async () => {
    const none = encodeValue([{ type: 'map', items: 7 }])
    const started = await startWith(
      `UPDATE specs SET specs = x'${Buffer.from(none).toString('hex')}' WHERE job = ?`
    )
    await assert.rejects(fate(started), { name: 'JobFailedError' })
  })

  it('is calculated again where it is an accepted slice', async () => {
    const started = await startWith(`UPDATE slices SET paid = 'not json' WHERE job = ?`)
    assert.deepEqual(await fate(started), [1, 4, 9])
  })

  it('ends its job where the value of a slice is none', async () => {
    const started = await startWith(`UPDATE slices SET value = x'ff' WHERE job = ?`)
    await assert.rejects(fate(started), { name: 'JobFailedError' })
  })

  it('is one job in the list, not the end of it', async () => {
    const started = await startWith(
      `UPDATE jobs SET state = 'completed', finished = 1, shares = '[{', failure = '{' WHERE id = ?`
    )
    const { items } = started.jobs({ limit: 10 })
    assert.deepEqual(items.map(({ job }) => job).sort(), [HEALTHY, DAMAGED])
    assert.match(items.find(({ job }) => job === DAMAGED)!.failure!.message, /is damaged/)
  })

  it('is settled once and for all: the next start has nothing to say', async () => {
    const started = await startWith(`UPDATE specs SET specs = x'a1ff' WHERE job = ?`)
    await started.job(DAMAGED)!.settled({ signal: AbortSignal.timeout(240_000) })
    await started.stop()
    const store = openStore(join(directory, 'jobs.sqlite'))
    assert.deepEqual(
      store.openJobs().map(({ id }) => id),
      []
    )
    store.close()
  })

  it('leaves a scheduler that can stop and start again, with its jobs', async () => {
    const started = await startWith(`UPDATE specs SET specs = x'a1ff' WHERE job = ?`)
    for (let turn = 0; turn < 2; turn++) {
      await started.stop()
      await started.start()
      const job = await started.submit({ type: 'map', items: [turn, 5], fn: 'x => x + 1' })
      assert.deepEqual(await job.result({ signal: AbortSignal.timeout(240_000) }), [turn + 1, 6])
      assert.deepEqual(await started.job(HEALTHY)!.result(), [1, 4, 9])
    }
  })
})
