import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { createCredit, WORD_LIMIT_MICRO } from '../../scheduler/worker/unsecured-work.ts'

describe('scheduler: work on a requester’s word', () => {
  it('ends at the limit, and goes on when the escrow is certified', () => {
    const escrows = new Map<string, { bound: bigint; isOpen: boolean }>()
    const credit = createCredit({ escrowOf: (account, job) => escrows.get(`${account} ${job}`) })
    const half = Number(WORD_LIMIT_MICRO / 2n)
    credit.earned('alice', 'a', half)
    assert.equal(credit.objection('alice'), undefined)
    credit.earned('alice', 'b', half)
    assert.match(credit.objection('alice')!, /1000000 micro-credits/)
    assert.equal(credit.objection('bob'), undefined)
    escrows.set('alice a', { bound: WORD_LIMIT_MICRO, isOpen: true })
    assert.equal(credit.objection('alice'), undefined)
    escrows.set('alice a', { bound: WORD_LIMIT_MICRO, isOpen: false })
    credit.earned('alice', 'b', half)
    assert.match(credit.objection('alice')!, /1000000 micro-credits/)
  })

  it('is more than a word as far as a certified escrow goes', () => {
    const escrows = new Map([
      ['open', { bound: 1000n, isOpen: true }],
      ['settled', { bound: 1000n, isOpen: false }]
    ])
    const credit = createCredit({
      escrowOf: (account, job) => (account === 'alice' ? escrows.get(job) : undefined)
    })
    assert.equal(credit.secures('alice', 'open', 1000), true)
    assert.equal(credit.secures('alice', 'open', 1001), false)
    assert.equal(credit.secures('alice', 'open', 0), false)
    for (const [account, job] of [
      ['alice', 'settled'],
      ['alice', 'none'],
      ['bob', 'open']
    ] as const)
      assert.equal(credit.secures(account, job, 1), false, job)
    credit.earned('alice', 'open', 600)
    assert.equal(credit.secures('alice', 'open', 400), true)
    assert.equal(credit.secures('alice', 'open', 401), false)
  })

  it('forgets what was settled, before the ledger does', () => {
    const escrows = new Map([['a', { bound: 900_000n, isOpen: false }]])
    const credit = createCredit({ escrowOf: (_, job) => escrows.get(job) })
    credit.earned('alice', 'a', 900_000)
    credit.refresh()
    escrows.clear()
    credit.earned('alice', 'b', 900_000)
    assert.equal(credit.objection('alice'), undefined)
  })

  it('loses no more than the limit and one slice to a requester, whatever it escrows', () => {
    const step = fc.record({
      job: fc.nat(3),
      price: fc.nat(300_000),
      escrow: fc.option(fc.record({ bound: fc.bigInt(0n, 2_000_000n), isOpen: fc.boolean() }))
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), steps => {
        const escrows = new Map<string, { bound: bigint; isOpen: boolean }>()
        const earned = new Map<string, bigint>()
        const credit = createCredit({ escrowOf: (_, job) => escrows.get(job) })
        for (const { job, price, escrow } of steps) {
          const name = `job ${job}`
          if (credit.objection('eve') == null) {
            credit.earned('eve', name, price)
            earned.set(name, (earned.get(name) ?? 0n) + BigInt(price))
          }
          // certified once, settled at most once
          if (escrow != null && escrows.get(name)?.isOpen !== false) {
            const bound = escrows.get(name)?.bound ?? escrow.bound
            escrows.set(name, { bound, isOpen: escrow.isOpen })
          }
        }
        const lost = [...earned].reduce((sum, [job, amount]) => {
          const bound = escrows.get(job)?.bound ?? 0n
          return sum + (amount > bound ? amount - bound : 0n)
        }, 0n)
        assert.ok(lost < WORD_LIMIT_MICRO + 300_000n, `lost ${lost}`)
      })
    )
  })
})
