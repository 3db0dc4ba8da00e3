import { strict as assert } from 'node:assert'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fastify from 'fastify'
import { validatorCompiler } from 'fastify-type-provider-zod'
import { createDialTimes } from '../../node/tab/dial-times.ts'
import { createEscrows } from '../../node/tab/escrows.ts'
import { createTabPolicy } from '../../node/tab/policy.ts'
import { hidesStacks } from '../../sandbox/web/engine.ts'
import { createCredit, WORD_LIMIT_MICRO } from '../../scheduler/worker/unsecured-work.ts'
import type { App } from '../../services/gateway/http/app.ts'
import { serveDashboard } from '../../services/gateway/http/dashboard.ts'
import { serveVolunteers } from '../../services/gateway/http/volunteer.ts'

const A = '/ip4/127.0.0.1/tcp/1/ws/p2p/A'
const B = '/ip4/127.0.0.1/tcp/2/ws/p2p/B'

describe('node: parts of a tab', () => {
  it('dials a node that does not answer after twice as long each time, and the others meanwhile', () => {
    const times = createDialTimes(() => 0)
    const none = new Set<string>()
    assert.deepEqual(times.due([A, B, '/ip4/127.0.0.1/tcp/3/ws'], none, 0), [A, B])
    const dialled: number[] = []
    for (let now = 0; now < 600_000; now += 1_000)
      for (const address of times.due([A], none, now)) {
        dialled.push(now / 1000)
        times.failed(address, now)
      }
    assert.deepEqual(dialled, [0, 2, 6, 14, 30, 62, 126, 246, 366, 486])
    assert.deepEqual(times.due([A, B], none, 600_000), [B])
    times.reached(A)
    assert.deepEqual(times.due([A, B], new Set(['B']), 600_000), [A])
    // who is no longer named is no longer remembered
    times.failed(A, 600_000)
    times.due([B], none, 600_000)
    assert.deepEqual(times.due([A], none, 600_000), [A])
  })

  it('takes nothing while it pauses, and again when it does not', () => {
    const request = { requester: 'somebody', type: 'map', memoryMb: 0, expectedMs: 1 }
    const policy = createTabPolicy({ cores: 1, share: 1 }, () => 0)
    assert.equal(policy.admit(request), undefined)
    policy.update({ cores: 1, share: 1, pause: 'battery' })
    assert.match(policy.admit(request)!, /pauses \(battery\)/)
    assert.match(policy.closed()!, /pauses/)
    policy.update({ cores: 1, share: 1 })
    assert.equal(policy.admit(request), undefined)
    assert.match(policy.admit({ ...request, type: 'wasm' })!, /takes map/)
  })

  it('works on for a requester whose jobs are settled, as the node that served the page says', async () => {
    const settled = new Set<string>()
    const asked: string[][] = []
    const escrows = createEscrows(async names => {
      asked.push([...names])
      return names.map(name => (settled.has(name) ? { bound: `${WORD_LIMIT_MICRO}`, isOpen: false } : null))
    })
    const credit = createCredit(escrows)
    for (const job of ['1', '2', '3']) {
      credit.earned('alice', job, Number(WORD_LIMIT_MICRO))
      assert.match(credit.objection('alice')!, /no witness/)
      await escrows.refresh()
      assert.match(credit.objection('alice')!, /no witness/)
      settled.add(`alice/${job}`)
      await escrows.refresh()
      assert.equal(credit.objection('alice'), undefined)
    }
    // what is settled is not asked for again, and at most so much at once
    await escrows.refresh()
    assert.deepEqual(
      asked,
      [1, 1, 2, 2, 3, 3].map(job => [`alice/${job}`])
    )
    for (let job = 0; job < 100; job++) escrows.escrowOf('bob', `${job}`)
    await escrows.refresh()
    await escrows.refresh()
    assert.deepEqual(
      asked.slice(-2).map(({ length }) => length),
      [64, 36]
    )
  })

  it('asks for no job whose name the node refuses, which would keep the answers about others away', async () => {
    const app = fastify()
    app.setValidatorCompiler(validatorCompiler)
    const folder = await mkdtemp(join(tmpdir(), 'artel-built-'))
    try {
      for (const name of ['volunteer.html', 'walls.html'])
        await writeFile(join(folder, name), '<script></script>')
      await serveVolunteers(app as never as App, folder, {
        meeting: async () => ({ network: '', addresses: [] }),
        ledger: { escrowOf: () => ({ bound: 5n, isOpen: true }) }
      })
      const escrows = createEscrows(async names => {
        const query = new URLSearchParams(names.map(name => ['of', name]))
        const { statusCode, body } = await app.inject(`/volunteer/escrows?${query}`)
        assert.equal(statusCode, 200, body)
        return JSON.parse(body)
      })
      for (const job of ['a job', 'a/b', '', 'j'.repeat(65), 'ü', 'honest-1']) escrows.escrowOf('alice', job)
      await escrows.refresh()
      assert.deepEqual(escrows.escrowOf('alice', 'honest-1'), { bound: 5n, isOpen: true })
    } finally {
      await app.close()
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('knows an engine that tells where errors are', () => {
    assert.equal(hidesStacks(), true)
    const other = new Function('Error', `return (${hidesStacks})()`) as (error: unknown) => boolean
    assert.equal(
      other(
        class {
          stack = 'main@blob:http://127.0.0.1/1:1:1'
        }
      ),
      false
    )
  })

  it('says what to do where the pages were not built, or by a version before the one for volunteers', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'artel-built-'))
    try {
      const pagesOf = async (dist: string | undefined): Promise<string[]> => {
        const app = fastify()
        const source = {
          meeting: async () => ({ network: '', addresses: [] }),
          ledger: { escrowOf: () => undefined }
        }
        await serveDashboard(app as never as App, dist, source)
        const answers = await Promise.all(['/', '/volunteer'].map(path => app.inject(path)))
        await app.close()
        return answers.map(({ body }) => body)
      }
      for (const page of await pagesOf(undefined)) assert.match(page, /npm run build:ui/)
      await writeFile(join(folder, 'index.html'), 'the dashboard')
      const [dashboard, volunteer] = await pagesOf(folder)
      assert.equal(dashboard, 'the dashboard')
      assert.match(volunteer!, /npm run build:ui/)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})
