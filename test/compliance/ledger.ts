import { strict as assert } from 'node:assert'
import type { Ledger } from '../../ledger/index.ts'

export interface LedgerSetup {
  /** two accounts of one network, the first with the grant and the second without */
  rich: Ledger
  poor: Ledger
  grantMicro: bigint
  /** resolves when both ledgers show the same balances */
  settled(): Promise<void>
  teardown(): Promise<void>
}

/** What every implementation of the ledger must do. */
export function ledgerCompliance(name: string, setup: () => Promise<LedgerSetup>): void {
  describe(`ledger compliance: ${name}`, () => {
    let ledgers: LedgerSetup
    before(async () => {
      ledgers = await setup()
    })
    after(() => ledgers.teardown())

    it('grants once per account', async () => {
      const { rich, grantMicro } = ledgers
      await Promise.all([rich.claimGrant(), rich.claimGrant()])
      await rich.claimGrant()
      assert.deepEqual(rich.balance(), { available: grantMicro, reserved: 0n })
      assert.deepEqual(rich.supply(), { granted: grantMicro, burnt: 0n, total: grantMicro })
    })

    it('reserves at escrow, pays and frees the rest at settlement, once', async () => {
      const { rich, poor, grantMicro, settled } = ledgers
      const escrow = await rich.escrow('job-1', 1_000n)
      assert.deepEqual(rich.balance(), { available: grantMicro - 1_000n, reserved: 1_000n })
      assert.deepEqual(rich.openEscrows(), [{ job: 'job-1', bound: 1_000n }])
      await escrow.certified
      await (await rich.escrow('job-1', 1_000n)).certified
      await rich.settle('job-1', [{ to: poor.account, amount: 600n, slices: 3 }])
      await rich.settle('job-1', [{ to: poor.account, amount: 900n, slices: 4 }])
      await settled()
      assert.deepEqual(rich.balance(), { available: grantMicro - 600n, reserved: 0n })
      assert.deepEqual(poor.balance(), { available: 600n, reserved: 0n })
      assert.deepEqual(rich.openEscrows(), [])
    })

    it('refunds a job without payments', async () => {
      const { rich, grantMicro } = ledgers
      await rich.escrow('job-2', 5_000n)
      await rich.settle('job-2', [])
      assert.deepEqual(rich.balance(), { available: grantMicro - 600n, reserved: 0n })
    })

    it('keeps back what a job may cost until its escrow is signed or it costs nothing, and signs nothing for that', async () => {
      const { rich, grantMicro } = ledgers
      const orders = rich.history().length
      const reserved = () => rich.balance().reserved
      await rich.hold('held', 700n)
      await rich.hold('held', 700n)
      assert.deepEqual(rich.balance(), { available: grantMicro - 600n - 700n, reserved: 700n })
      await assert.rejects(rich.hold('too much', grantMicro), { name: 'InsufficientCreditsError' })
      await rich.settle('held', [])
      assert.equal(reserved(), 0n)
      await rich.hold('held', 700n)
      assert.equal(rich.history().length, orders)
      await rich.escrow('held', 700n)
      assert.equal(reserved(), 700n)
      await rich.hold('held', 700n)
      assert.equal(reserved(), 700n, 'it is in escrow already')
      await rich.settle('held', [])
      assert.deepEqual(rich.balance(), { available: grantMicro - 600n, reserved: 0n })
    })

    it('certifies a settlement that may wait as soon as somebody waits for it', async () => {
      const { rich, poor, settled } = ledgers
      await (await rich.escrow('patient', 50n)).certified
      const waiting = rich.settle('patient', [{ to: poor.account, amount: 5n, slices: 1 }], { mayWait: true })
      await rich.settle('patient', [])
      await waiting
      await settled()
      assert.equal(poor.balance().available, 605n)
      await poor.transfer(rich.account, 5n)
      await settled()
    })

    it('refuses what the account does not have, naming both figures', async () => {
      const { rich, grantMicro } = ledgers
      await assert.rejects(rich.escrow('job-3', grantMicro), {
        name: 'InsufficientCreditsError',
        available: grantMicro - 600n,
        needed: grantMicro
      })
      await assert.rejects(rich.transfer(ledgers.poor.account, grantMicro), {
        name: 'InsufficientCreditsError'
      })
    })

    it('refuses what makes no sense', async () => {
      const { rich, poor } = ledgers
      await rich.escrow('job-4', 100n)
      const pay = (amount: bigint) => ({ to: poor.account, amount, slices: 1 })
      await assert.rejects(rich.settle('job-4', [pay(101n)]), { name: 'InvalidOrderError' })
      await assert.rejects(rich.settle('job-4', [pay(1n), pay(1n)]), { name: 'InvalidOrderError' })
      await assert.rejects(rich.settle('job-4', [pay(-1n)]), { name: 'InvalidOrderError' })
      await assert.rejects(rich.settle('nobody-knows', []), { name: 'UnknownEscrowError' })
      await assert.rejects(rich.transfer(poor.account, 0n), { name: 'InvalidOrderError' })
      await assert.rejects(rich.transfer('nobody', 1n), { name: 'MalformedError' })
      await rich.settle('job-4', [])
    })

    it('finds a transfer by its memo, for both sides, and no other', async () => {
      const { rich, poor, settled } = ledgers
      const parties = { from: rich.account, to: poor.account }
      assert.equal(rich.transferOf('bill 1', parties), undefined)
      await rich.transfer(poor.account, 1n, { memo: 'bill 1' })
      await rich.transfer(poor.account, 3n, { memo: 'bill 1' })
      await rich.transfer(poor.account, 2n, { memo: 'bill 1' })
      await settled()
      for (const ledger of [rich, poor]) {
        assert.deepEqual(ledger.transferOf('bill 1', parties), { amount: 3n, isCertified: true })
        assert.equal(ledger.transferOf('bill', parties), undefined)
        assert.equal(ledger.transferOf('bill 1', { from: poor.account, to: rich.account }), undefined)
      }
      await poor.transfer(rich.account, 6n)
      await settled()
    })

    it('transfers, and both sides show the same book', async () => {
      const { rich, poor, grantMicro, settled } = ledgers
      let changes = 0
      const onChange = (): void => {
        changes += 1
      }
      poor.addEventListener('change', onChange)
      await Promise.all(Array.from({ length: 100 }, () => rich.transfer(poor.account, 2n)))
      await settled()
      poor.removeEventListener('change', onChange)
      assert.ok(changes > 0)
      assert.equal(poor.balance().available, 800n)
      assert.deepEqual(rich.balances(), poor.balances())
      assert.deepEqual(poor.supply(), { granted: grantMicro, burnt: 0n, total: grantMicro })
    })
  })
}
