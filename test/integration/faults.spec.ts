import { strict as assert } from 'node:assert'
import { Cable } from './cable.ts'
import type { Moment } from './client.ts'
import { Processes, type Program, type Started } from './processes.ts'
import { accepted, checkCredits, checkRight, type End, end, work } from './work.ts'

// Long enough to be interrupted several times: the client waits while it is.
const LONG = 24_000
// Long enough that a lease expires in silence (4 s) while one worker alone does the rest of the job.
const LONGER = 60_000
const sum = (items: number): number => (items * (items + 1)) / 2

const jobOf = async (client: Program): Promise<string> =>
  (await client.event<{ job: string }>('the job', event => event.event === 'job')).job
/** Leases were taken from a worker. */
const retried = (client: Program): Promise<unknown> =>
  client.event('a lost lease', event => event.event === 'progress' && (event.retries as number) > 0)

/** Every unit is paid to one worker, although some were calculated twice. */
function checkPaidOnce({ report }: End): void {
  assert.equal(
    report.shares.reduce((units, share) => units + share.units, 0),
    report.total
  )
}

describe('integration: faults', function () {
  this.timeout(600_000)
  let net: Processes
  before(async () => {
    net = new Processes()
    await net.seed()
  })
  afterEach(() => net.endClients())
  after(() => net.stop())

  it('kill −9 of coordinator and workers, again and again: right, paid once', async () => {
    let [one, two] = (await net.workers(2)) as [Started, Started]
    const had = await checkCredits(net)
    const data = await net.folder()
    // as soon as it is acknowledged
    const first = net.client(data, work('none', LONG), { init: { pauses: [{}] } })
    const job = await jobOf(first)
    await first.whilePaused(() => first.kill())

    const second = net.client(data, job, { init: { pauses: [{ share: 0.2 }, { share: 0.4 }] } })
    await second.whilePaused(() => one.program.kill())
    // before the worker is there again: on a slow machine its start takes longer than the rest of the job
    await second.whilePaused(() => second.kill())
    one = await net.worker(one.data)
    const before = accepted(data)

    const third = net.client(data, job, { init: { pauses: [{ share: 0.7 }] } })
    await third.whilePaused(() => Promise.all([one.program.kill(), two.program.kill()]))
    ;[one, two] = await Promise.all([net.worker(one.data), net.worker(two.data)])
    // the result is there, the settlement perhaps not
    await third.event('the last slice', event => event.event === 'progress' && event.state === 'completed')
    await third.kill()

    const fourth = net.client(data, job)
    const ended = await end(fourth)
    checkRight(ended, sum(LONG))
    checkPaidOnce(ended)
    const kept = new Set(accepted(data).map(slice => JSON.stringify(slice)))
    for (const slice of before)
      assert.ok(kept.has(JSON.stringify(slice)), 'an accepted slice stays as it was')
    const balances = await checkCredits(net)
    const earned = (id: string): bigint => balances.get(id)! - had.get(id)!
    assert.equal(earned(one.ready.id) + earned(two.ready.id), BigInt(ended.report.paid))
  })

  describe('a worker that falls silent', () => {
    let cable: Cable
    let behind: Started
    let other: Started
    before(async () => {
      cable = await Cable.create()
      const others = net.workers(1) as Promise<[Started]>
      ;[behind, [other]] = await Promise.all([net.worker(undefined, { args: cable.flags }), others])
    })
    after(() => cable.close())

    /** A job of which both workers hold slices when the fault comes. */
    const begin = async (fault: () => void, ...pauses: Moment[]): Promise<Program> => {
      const init = { unreachable: true, workers: 2, pauses: [{ workers: 2 }, ...pauses] }
      const client = net.client(await net.folder(), work('none', LONGER), { init })
      await client.whilePaused(fault)
      return client
    }
    const checkEnd = async (client: Program): Promise<End> => {
      const ended = await end(client)
      checkRight(ended, sum(LONGER))
      checkPaidOnce(ended)
      return ended
    }

    it('SIGSTOP: its lease expires, and what it says after SIGCONT does not matter', async () => {
      const client = await begin(() => behind.program.signal('SIGSTOP'))
      try {
        await retried(client)
      } finally {
        behind.program.signal('SIGCONT')
      }
      await checkEnd(client)
      await checkCredits(net)
    })

    it('nothing passes its cable for a while: others do its slices, late answers do not matter', async () => {
      const client = await begin(() => cable.hang())
      await retried(client)
      cable.mend()
      await checkEnd(client)
      await checkCredits(net)
    })

    it('connections are reset: others do its slices, and it comes back when it can be reached', async () => {
      const client = await begin(() => cable.cut(), { retries: 1 })
      // from here on nobody else does what is left
      await client.whilePaused(() => other.program.signal('SIGSTOP'))
      try {
        cable.mend()
        const ended = await checkEnd(client)
        assert.ok(ended.report.shares.some(({ worker }) => worker === behind.ready.id))
      } finally {
        other.program.signal('SIGCONT')
      }
      await checkCredits(net)
    })
  })
})
