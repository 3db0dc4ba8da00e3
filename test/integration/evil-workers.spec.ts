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
  late: { what: 'answers when its slices were taken from it', verify: 'none', seen: 'late' },
  twice: { what: 'answers twice, and once more wrongly', verify: 'none', paid: true, seen: 'leased' },
  forged: { what: 'forges the signature of another worker', verify: 'none', seen: 'leased' },
  wrong: { what: 'answers wrongly, rightly signed', verify: VERIFIED, seen: 'leased' },
  accomplice: {
    what: 'has a second node that sends wrong results for slices that it does not hold',
    verify: 'none',
    paid: true,
    seen: 'forged'
  }
}

/** One process lies in all of these ways, one after the other. */
const ALONE = Object.keys(MODES).filter(mode => mode !== 'accomplice')

describe('integration: a worker that lies', function () {
  this.timeout(600_000)
  let net: Processes
  let honest: Started
  let evil: Started
  let accounts = 0
  before(async () => {
    net = new Processes()
    await net.seed()
    ;[honest, evil] = await Promise.all([net.worker(), net.evilWorker(...ALONE)])
    accounts = 3
  })
  after(() => net.stop())

  let lie = ALONE[0]!
  /** It lies in that way from here on. */
  async function lies(mode: string): Promise<void> {
    if (mode === 'accomplice') {
      await evil.program.kill()
      evil = await net.evilWorker(mode)
      accounts += 2
      return
    }
    while (lie !== mode) {
      lie = ALONE[ALONE.indexOf(lie) + 1]!
      evil.program.signal('SIGUSR2')
      await evil.program.event('the next lie', event => event.event === 'mode' && event.mode === lie)
    }
  }

  for (const [mode, { what, verify, paid = false, seen }] of Object.entries(MODES))
    it(`${mode}: one that ${what} changes neither the answer nor the sum of credits`, async () => {
      await lies(mode)
      const had = await checkCredits(net, accounts)
      const { second } = evil.ready as { second?: string }
      const client = net.client(await net.folder(), work(verify, ITEMS))
      await evil.program.event(seen, event => event.event === seen && event.mode === mode)
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

      accounts++
      const balances = await checkCredits(net, accounts)
      await client.kill()
      const earned = (id: string): bigint => balances.get(id)! - had.get(id)!
      assert.ok(earned(honest.ready.id) > 0n, 'the honest worker is')
      if (!paid) assert.equal(earned(evil.ready.id), 0n)
      if (second != null) assert.equal(earned(second), 0n)
    })
})
