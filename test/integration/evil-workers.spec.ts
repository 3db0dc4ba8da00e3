import { strict as assert } from 'node:assert'
import { Processes, type Started } from './processes.ts'
import { checkCredits, checkRight, end, work } from './work.ts'

const ITEMS = 4000
const SUM = (ITEMS * (ITEMS + 1)) / 2
const VERIFIED = { confidence: 0.99 }

/**
 * `paid`: it earns what it did rightly. `seen`: what it must have come to do for the test to mean something.
 * Other malformed frames: test/scheduler/wire.spec.ts.
 */
const MODES: Record<string, { what: string; verify: unknown; paid?: true; seen: string }> = {
  garbage: { what: 'sends random bytes', verify: 'none', seen: 'leased' },
  empty: { what: 'sends empty results with signatures that are none', verify: 'none', seen: 'leased' },
  strangers: { what: 'answers for slices that nobody leased', verify: 'none', seen: 'leased' },
  wrong: { what: 'answers wrongly, rightly signed', verify: VERIFIED, seen: 'leased' },
  late: { what: 'answers when its slices were taken from it', verify: 'none', seen: 'late' },
  twice: { what: 'answers twice, and once more wrongly', verify: 'none', paid: true, seen: 'leased' },
  forged: { what: 'forges the signature of another worker', verify: 'none', seen: 'leased' },
  accomplice: {
    what: 'has a second node that sends wrong results for slices that it does not hold',
    verify: 'none',
    paid: true,
    seen: 'forged'
  }
}

describe('integration: a worker that lies', function () {
  this.timeout(600_000)
  let net: Processes
  let honest: Started
  let accounts = 0
  before(async () => {
    net = new Processes()
    await net.seed()
    honest = await net.worker()
    accounts = 2
  })
  after(() => net.stop())

  for (const [mode, { what, verify, paid = false, seen }] of Object.entries(MODES))
    it(`${mode}: one that ${what} changes neither the answer nor the sum of credits`, async () => {
      const evil = await net.evilWorker(mode)
      const second = (evil.ready as { second?: string }).second
      const client = net.client(await net.folder(), work(verify, ITEMS))
      await evil.program.event(seen, event => event.event === seen)
      const ended = await end(client)
      checkRight(ended, SUM)
      // every unit is paid once where nothing is compared, and never to a node that was leased nothing
      const { shares, total } = ended.report
      if (verify === 'none')
        assert.equal(
          shares.reduce((sum, { units }) => sum + units, 0),
          total
        )
      assert.ok(shares.every(({ worker }) => worker !== second))
      if (!paid)
        assert.ok(
          shares.every(({ worker }) => worker !== evil.ready.id),
          'it is not paid'
        )

      await evil.program.kill()
      accounts += second == null ? 2 : 3
      const balances = await checkCredits(net, accounts)
      await client.kill()
      assert.ok(balances.get(honest.ready.id)! > 100_000_000n, 'the honest worker is')
      if (!paid) assert.equal(balances.get(evil.ready.id), 100_000_000n)
      if (second != null) assert.equal(balances.get(second), 100_000_000n)
    })
})
