import { strict as assert } from 'node:assert'
import {
  auditedCredibility,
  checksFor,
  credibility,
  escapingShare,
  expectedCost,
  NO_TRUST
} from '../../scheduler/trust/credibility.ts'

const BAD = 0.1
const proven = (checks: number, streak = checks) => ({ checks, streak, compared: checks, wrong: 0 })

describe('scheduler/verify', () => {
  it('knows the largest share of wrong items that passes k audits', () => {
    for (const audits of [0, 1, 2, 3, 10, 50]) {
      // by trying shares, over the definition s · (1 − s)^k
      const shares = Array.from({ length: 100_001 }, (_, i) => i / 100_000)
      const largest = Math.max(...shares.map(share => share * (1 - share) ** audits))
      assert.ok(Math.abs(escapingShare(audits) - largest) < 1e-6, `${audits}: ${largest}`)
    }
  })

  it('accepts a newcomer never without a replica, and a proven worker with the audits that it needs', () => {
    for (let streak = 0; streak < 10; streak++)
      assert.deepEqual(checksFor(0.99, proven(streak), BAD, 10_000), { replica: 1, audits: 0 })
    assert.equal(checksFor(0.99, proven(10), BAD, 10_000).audits, 1)
    // at ε = 0.001 a single copy needs 41 checks; until then audits do it
    const { replica, audits } = checksFor(0.999, proven(10), BAD, 10_000)
    assert.ok(replica < 0.05 && audits > 1)
    const alone = credibility(proven(10), BAD)
    assert.ok(alone < 0.999)
    assert.ok(auditedCredibility(alone, audits) >= 0.999)
    assert.ok(auditedCredibility(alone, audits - 1) < 0.999)
  })

  it('audits only where that is cheaper than replicas', () => {
    assert.deepEqual(checksFor(0.99, proven(100), BAD, 1), { replica: 0.05, audits: 0 })
    // one of 25 items is a share of 4 %; with the rest of the replicas as much as 5 %
    assert.equal(checksFor(0.99, proven(100), BAD, 25).audits, 0)
    assert.equal(checksFor(0.99, proven(100), BAD, 26).audits, 1)
  })

  it('expects fewer paid copies where answers can be audited', () => {
    const known = [proven(100)]
    assert.equal(expectedCost('none', known), 1)
    assert.equal(expectedCost({ quorum: 3 }, known), 3)
    assert.equal(expectedCost({ confidence: 0.99 }, []), 2)
    assert.equal(expectedCost({ confidence: 0.99 }, [NO_TRUST]), 2)
    assert.equal(expectedCost({ confidence: 0.99 }, known), 1.055)
    assert.equal(expectedCost({ confidence: 0.99 }, known, { items: 1000 }), 1.015)
  })
})
