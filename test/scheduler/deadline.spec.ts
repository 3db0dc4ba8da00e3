import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { createSandbox } from '../../sandbox/index.ts'
import type { Scheduler } from '../../scheduler/index.ts'
import { alone } from './alone.ts'

const HANG = '(a, b) => { for (;;); }'
const DEADLINE_MS = 500

describe('scheduler: the deadline of a job', () => {
  const sandbox = createSandbox({ warm: 1 })
  let directory: string
  let scheduler: Scheduler
  let start: () => Promise<void>
  before(async () => {
    await sandbox.start()
    directory = await mkdtemp(join(tmpdir(), 'artel-deadline-'))
    const key = await generateKeyPair('Ed25519')
    start = async () => {
      scheduler = alone(key, sandbox, directory)
      await scheduler.start()
    }
    await start()
  })
  after(async () => {
    await scheduler.stop()
    await sandbox.stop()
    await rm(directory, { recursive: true })
  })

  const soon = () => ({ signal: AbortSignal.timeout(240_000) })
  /** Where nothing but the deadline ends it: a slice may take an hour. */
  const endless = (spec: object) => ({
    verify: 'none',
    requirements: { timeoutMs: 3_600_000 },
    deadline: DEADLINE_MS,
    ...spec
  })
  const expires = async (spec: object): Promise<void> => {
    const job = await scheduler.submit(endless(spec))
    await assert.rejects(job.result(soon()), { name: 'JobExpiredError' })
    assert.equal((await job.settled(soon())).state, 'expired')
  }

  it('ends what runs, and what waits behind it, and frees the slots', async () => {
    const hanging = { type: 'map', items: [1, 2, 3], fn: HANG }
    await Promise.all([expires(hanging), expires({ ...hanging, items: [4] }), expires(hanging)])
    const next = await scheduler.submit({ type: 'map', items: [1, 2], fn: 'x => x + 1' })
    assert.deepEqual(await next.result(soon()), [2, 3])
  })

  it('ends a step that runs on this node', async () => {
    await expires({ type: 'map_reduce', items: [1, 2, 3], map: 'x => x', reduce: HANG })
  })

  it('ends what no worker takes', async () => {
    await expires({ type: 'map', items: [1], fn: 'x => x', requirements: { tags: ['no-such-machine'] } })
  })

  it('is of the job, also where that goes on after a restart', async () => {
    const spec = endless({ type: 'map', items: [1], fn: HANG, deadline: 2 * DEADLINE_MS })
    const { id } = await scheduler.submit(spec)
    await scheduler.stop()
    await start()
    const job = scheduler.job(id)!
    await assert.rejects(job.result(soon()), { name: 'JobExpiredError' })
  })

  it('may be further away than a timer of Node waits', async () => {
    const job = await scheduler.submit({
      type: 'map',
      items: [1, 2],
      fn: 'x => x + 1',
      deadline: 30 * 24 * 3_600_000
    })
    assert.deepEqual(await job.result(soon()), [2, 3])
  })

  it('is one for all tasks of a batch, as are the abilities that they ask for', async () => {
    const task = { type: 'map', items: [1], fn: 'x => x', deadline: 60_000 }
    const others = { deadline: { deadline: 1000 }, 'requirements.tags': { requirements: { tags: ['gpu'] } } }
    for (const [field, other] of Object.entries(others))
      await assert.rejects(scheduler.submitMany([task, { ...task, ...other }]), {
        name: 'SpecError',
        field: `specs.1.${field}`
      })
  })
})
