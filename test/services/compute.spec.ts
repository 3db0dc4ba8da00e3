import { strict as assert } from 'node:assert'
import { readdirSync, readlinkSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { newestJobs } from '../../node/cli/jobs.ts'
import type { Job } from '../../scheduler/index.ts'
import { answerCompute } from '../../services/compute/answer-compute.ts'
import { createCompute } from '../../services/compute/create-compute.ts'
import { openIdempotency } from '../../services/compute/idempotency.ts'
import { type Call, type Idempotency, OWNER } from '../../services/index.ts'

describe('services: compute', () => {
  let folder: string
  let idempotency: Idempotency
  let cancelled: string[]
  let started: string[]
  let taken: PromiseWithResolvers<void>

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-compute-'))
    idempotency = openIdempotency(folder, Date.now)
    cancelled = []
    started = []
    taken = Promise.withResolvers()
  })
  afterEach(async () => {
    idempotency.close()
    await rm(folder, { recursive: true })
  })

  const jobOf = (id: string) =>
    ({
      id,
      report: () => ({ job: id, state: 'running' }),
      cancel: async () => void cancelled.push(id)
    }) as unknown as Job

  /** Jobs that are submitted once `taken`, whatever the signal says: it came too late. */
  const handlers = () => {
    const start = async (_: unknown, { id = 'new' }: { id?: string; signal?: AbortSignal } = {}) => {
      await taken.promise
      started.push(id)
      return jobOf(id)
    }
    return answerCompute({
      jobs: { submit: start, submitMany: start },
      scheduler: { job: (id: string) => (started.includes(id) ? jobOf(id) : undefined) } as never,
      idempotency,
      webhooks: {
        split: task => ({ task }),
        start: (_, id, begin) => begin(id),
        check: () => assert.fail('nobody is to be told'),
        list: () => []
      },
      lending: {} as never
    })
  }
  const callOf = (signal = new AbortController().signal): Call =>
    ({ caller: OWNER, signal, send: async () => {} }) as unknown as Call

  it('ends a job with who submitted it, where he cannot find it again', async () => {
    const { submit, submitBatch } = handlers()
    const gone = new AbortController()
    const answers = [
      submit({ spec: { type: 'map' } }, callOf(gone.signal)),
      submitBatch({ specs: [{ type: 'map' }] }, callOf(gone.signal))
    ]
    gone.abort()
    taken.resolve()
    await Promise.all(answers)
    assert.deepEqual(cancelled, ['new', 'new'])
  })

  it('goes on with a job that a key finds again', async () => {
    const { submit } = handlers()
    const gone = new AbortController()
    const answer = submit({ spec: { type: 'map' }, key: 'k' }, callOf(gone.signal))
    gone.abort()
    taken.resolve()
    await answer
    assert.deepEqual(cancelled, [])
  })

  it('refuses another task under the same key, also where the key did not come in a header', async () => {
    taken.resolve()
    const { submit, submitBatch } = handlers()
    const first = await submit({ spec: { type: 'map', items: [1] }, key: 'k' }, callOf())
    const again = await submit({ spec: { type: 'map', items: [1] }, key: 'k' }, callOf())
    assert.equal(again.job.job, first.job.job)
    const other = { name: 'ConflictError' }
    await assert.rejects(async () => submit({ spec: { type: 'map', items: [2] }, key: 'k' }, callOf()), other)
    await assert.rejects(
      async () => submitBatch({ specs: [{ type: 'map', items: [1] }], key: 'k' }, callOf()),
      other
    )
  })

  it('lists more jobs than one answer holds', async () => {
    const all = Array.from({ length: 450 }, (_, i) => ({ job: `${i}` }))
    const compute = {
      async jobs({ cursor = '0', limit }: { cursor?: string; limit: number }) {
        assert.ok(limit >= 1 && limit <= 200, `a page of ${limit}`)
        const end = Number(cursor) + limit
        const next = end < all.length ? { next: `${end}` } : {}
        return { items: all.slice(Number(cursor), end), total: all.length, ...next }
      }
    }
    for (const limit of [1, 200, 201, 450, 500]) {
      const { items, total } = await newestJobs({ compute } as never, {}, limit)
      assert.deepEqual(items, all.slice(0, limit))
      assert.equal(total, 450)
    }
  })

  it('holds no file open where its webhooks cannot be opened', async () => {
    idempotency.close()
    await mkdir(join(folder, 'webhooks.sqlite'))
    const compute = createCompute({ folder, webhooks: () => ({ urls: [] }) } as never)
    assert.throws(() => compute({ use: {}, now: Date.now } as never))
    assert.deepEqual(openFiles(folder), [])
    idempotency = openIdempotency(folder, Date.now)
  })
})

/** Files of a folder that this process holds open. */
function openFiles(folder: string): string[] {
  return readdirSync('/proc/self/fd').flatMap(fd => {
    try {
      const file = readlinkSync(`/proc/self/fd/${fd}`)
      return file.startsWith(folder) ? [file] : []
    } catch {
      return [] // it was open for the list alone
    }
  })
}
