import { strict as assert } from 'node:assert'
import { descendants, type KnownProcess, living, Processes, type Started, until } from './processes.ts'
import { accepted, checkRight, end, SUM, work } from './work.ts'

describe('integration: jobs over processes', function () {
  this.timeout(600_000)
  let net: Processes
  before(async () => {
    net = new Processes()
    await net.seed()
  })
  afterEach(() => net.endClients())
  after(() => net.stop())

  it('computes over two workers, pays both, and kill −9 of one in the middle changes nothing', async () => {
    const [one, two] = (await net.workers(2)) as [Started, Started]
    const calm = net.client(await net.folder(), work(), { init: { workers: 2 } })
    const first = await end(calm)
    checkRight(first)
    const paid = first.report.shares.filter(share => BigInt(share.paid) > 0n).map(share => share.worker)
    assert.deepEqual(paid.sort(), [one.ready.id, two.ready.id].sort())
    await calm.kill()

    const init = { workers: 2, pauses: [{ share: 0.1, workers: 2 }] }
    const client = net.client(await net.folder(), work(), { init })
    let children: KnownProcess[] = []
    await client.whilePaused(async () => {
      children = await descendants(one.program.pid)
      await one.program.kill()
    })
    assert.ok(children.length > 0, 'a worker has sandbox children')
    checkRight(await end(client))
    await until(
      'the sandbox children of the killed worker are gone',
      async () => (await living(children)).length === 0
    )
  })

  it('with verification: the right answer, replicated over two workers and this node', async () => {
    await net.workers(2)
    const client = net.client(await net.folder(), work({ confidence: 0.99 }, 4000))
    checkRight(await end(client), (4000 * 4001) / 2)
  })

  it('goes on without a worker that is stopped (SIGSTOP), and takes it back afterwards', async () => {
    const [stopped, other] = (await net.workers(2)) as [Started, Started]
    const init = { workers: 2, pauses: [{ share: 0.05, workers: 2 }] }
    const client = net.client(await net.folder(), work(), { init })
    await client.whilePaused(() => stopped.program.signal('SIGSTOP'))
    try {
      checkRight(await end(client))
    } finally {
      stopped.program.signal('SIGCONT')
    }
    await other.program.kill()
    const again = net.client(await net.folder(), work('none', 5000))
    const { result, report } = await end(again)
    assert.equal(result, (5000 * 5001) / 2)
    assert.deepEqual(
      report.shares.map(share => share.worker),
      [stopped.ready.id]
    )
  })

  it('kill −9 of the client: the job goes on after the restart, nothing accepted is computed again', async () => {
    await net.workers(2)
    const data = await net.folder()
    const client = net.client(data, work(), { init: { pauses: [{ share: 0.2 }] } })
    const { job } = await client.event<{ job: string }>('the job', event => event.event === 'job')
    let children: KnownProcess[] = []
    await client.whilePaused(async () => {
      children = await descendants(client.pid)
      await client.kill()
    })
    await until(
      'the sandbox children of the killed client are gone',
      async () => (await living(children)).length === 0
    )
    const before = accepted(data)
    assert.ok(before.length > 0)

    const restarted = net.client(data, job)
    const { done } = await restarted.event<{ done: number }>('the job', event => event.event === 'job')
    const ended = await end(restarted)
    checkRight(ended)
    assert.ok(done >= before.reduce((sum, slice) => sum + slice.count, 0), 'it starts with what was accepted')
    const after = accepted(data)
    const kept = new Set(after.map(slice => JSON.stringify(slice)))
    for (const slice of before)
      assert.ok(kept.has(JSON.stringify(slice)), 'an accepted slice stays as it was')
    assert.equal(
      after.reduce((sum, slice) => sum + slice.count, 0),
      ended.report.total
    )
    await restarted.kill()

    // and the result can be fetched later
    const later = net.client(data, job)
    assert.equal((await end(later)).result, SUM)
  })
})
