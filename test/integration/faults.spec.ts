import { strict as assert } from 'node:assert'
import { Cable } from './cable.ts'
import { Processes, type Program, type Started } from './processes.ts'
import { accepted, checkCredits, checkRight, type End, end, progress, work } from './work.ts'

// Long enough to be interrupted several times.
const LONG = 60_000
// Long enough that a lease expires in silence (4 s) while one worker alone does the rest of the job.
const LONGER = 60_000
const sum = (items: number): number => (items * (items + 1)) / 2

const jobOf = async (client: Program): Promise<string> =>
  (await client.event<{ job: string }>('the job', event => event.event === 'job')).job
/** Leases were taken from a worker. */
const retried = (client: Program): Promise<unknown> =>
  client.event('a lost lease', event => event.event === 'progress' && (event.retries as number) > 0, 240_000)

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
  beforeEach(async () => {
    net = new Processes()
    await net.seed()
  })
  afterEach(() => net.stop())

  it('kill −9 of coordinator and workers, again and again: right, paid once', async () => {
    let [one, two] = await Promise.all([net.worker(), net.worker()])
    const data = await net.folder()
    const first = net.client(data, work('none', LONG))
    // as soon as it is acknowledged
    const job = await jobOf(first)
    await first.kill()

    const second = net.client(data, job)
    await progress(second, 0.2)
    await one.program.kill()
    await progress(second, 0.4)
    // before the worker is there again: on a slow machine its start takes longer than the rest of the job
    await second.kill()
    one = await net.worker(one.data)
    const before = accepted(data)

    const third = net.client(data, job)
    await progress(third, 0.7)
    await Promise.all([one.program.kill(), two.program.kill()])
    ;[one, two] = await Promise.all([net.worker(one.data), net.worker(two.data)])
    // the result is there, the settlement perhaps not
    await third.event(
      'the last slice',
      event => event.event === 'progress' && event.state === 'completed',
      240_000
    )
    await third.kill()

    const fourth = net.client(data, job)
    const ended = await end(fourth)
    checkRight(ended, sum(LONG))
    checkPaidOnce(ended)
    const kept = new Set(accepted(data).map(slice => JSON.stringify(slice)))
    for (const slice of before)
      assert.ok(kept.has(JSON.stringify(slice)), 'an accepted slice stays as it was')
    const balances = await checkCredits(net, 4)
    const earned = balances.get(one.ready.id)! + balances.get(two.ready.id)! - 200_000_000n
    assert.equal(earned, BigInt(ended.report.paid))
  })

  it('SIGSTOP of a worker: its lease expires, and what it says after SIGCONT does not matter', async () => {
    const [stopped] = await Promise.all([net.worker(), net.worker()])
    const client = net.client(await net.folder(), work('none', LONGER))
    await progress(client, 0.05)
    stopped.program.signal('SIGSTOP')
    try {
      await retried(client)
    } finally {
      stopped.program.signal('SIGCONT')
    }
    const ended = await end(client)
    checkRight(ended, sum(LONGER))
    checkPaidOnce(ended)
    await checkCredits(net, 4)
  })

  describe('a cable that is cut', () => {
    let cable: Cable
    let behind: Started
    beforeEach(async () => {
      cable = await Cable.create()
      ;[behind] = await Promise.all([net.worker(undefined, { args: cable.flags }), net.worker()])
    })
    afterEach(() => cable.close())

    it('nothing passes for a while: others do its slices, late answers do not matter', async () => {
      const client = net.client(await net.folder(), work('none', LONGER), { args: ['unreachable'] })
      await progress(client, 0.05)
      cable.hang()
      await retried(client)
      cable.mend()
      const ended = await end(client)
      checkRight(ended, sum(LONGER))
      checkPaidOnce(ended)
      await checkCredits(net, 4)
    })

    it('connections are reset: others do its slices, and it comes back when it can be reached', async () => {
      const client = net.client(await net.folder(), work('none', LONGER), { args: ['unreachable'] })
      await progress(client, 0.05)
      cable.cut()
      const leases = client.events.length
      await retried(client)
      cable.mend()
      await client.event(
        'both workers at work',
        event => client.events.indexOf(event) > leases && event.event === 'progress' && event.workers === 2,
        240_000
      )
      const ended = await end(client)
      checkRight(ended, sum(LONGER))
      checkPaidOnce(ended)
      assert.ok(ended.report.shares.some(({ worker }) => worker === behind.ready.id))
      await checkCredits(net, 4)
    })
  })
})
