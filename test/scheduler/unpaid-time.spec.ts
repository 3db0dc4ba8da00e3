import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { createUnpaidTime, UNPAID_LIMIT_MS, unpaidMs } from '../../scheduler/market/unpaid-time.ts'

const DAY_MS = 86_400_000
// a tenth of the base price: 0.01 credits per CPU second are 10 micro-credits per ms
const LEAST_MICRO_PER_MS = 1

describe('scheduler: time that nobody pays for', () => {
  it('begins where the price ends', () => {
    assert.equal(unpaidMs(5000, 0), 5000)
    assert.equal(unpaidMs(5000, 2000 * LEAST_MICRO_PER_MS), 3000)
    assert.equal(unpaidMs(5000, 1e9), 0)
  })

  it('is at most the limit and one use, whatever a requester does, and what is forgiven in a day', () => {
    const step = fc.record({
      waitMs: fc.nat(DAY_MS / 4),
      usedMs: fc.nat(20_000),
      price: fc.constantFrom(0, 0, 500)
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), steps => {
        let clock = 0
        let unpaid = 0
        let paid = 0
        const time = createUnpaidTime(() => clock)
        for (const { waitMs, usedMs, price } of steps) {
          clock += waitMs
          if (time.objection('eve') != null) continue
          time.used('eve', usedMs, price)
          unpaid += unpaidMs(usedMs, price)
          paid += usedMs - unpaidMs(usedMs, price)
        }
        const forgiven = (clock / DAY_MS) * UNPAID_LIMIT_MS
        assert.ok(unpaid <= UNPAID_LIMIT_MS + 20_000 + forgiven + 0.2 * paid)
      })
    )
  })

  it('never ends the work of who pays, though every sixth slice of it comes to nothing', () => {
    let clock = 0
    const time = createUnpaidTime(() => clock)
    for (let i = 0; i < 100_000; i++) {
      clock += 1000
      assert.equal(time.objection('alice'), undefined)
      time.used('alice', 1000, i % 6 === 0 ? 0 : 1000 * LEAST_MICRO_PER_MS)
    }
  })

  it('counts what runs at this moment', () => {
    const time = createUnpaidTime(() => 0)
    time.used('eve', UNPAID_LIMIT_MS / 2, 0)
    assert.equal(time.objection('eve', UNPAID_LIMIT_MS / 2 - 1), undefined)
    assert.match(time.objection('eve', UNPAID_LIMIT_MS / 2)!, /used 100 s of this node without paying/)
  })
})
