import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { createPeerBudget, PEER_LIMITS } from '../../bootstrap/index.ts'

describe('peer budget', () => {
  const { burstMs, perSecondMs, firstBarMs, lastBarMs } = PEER_LIMITS

  function make(limits?: Parameters<typeof createPeerBudget>[0]['limits']) {
    const clock = { ms: 0 }
    const barred: [string, number][] = []
    const budget = createPeerBudget({
      now: () => clock.ms,
      awake: () => clock.ms,
      onBarred: (peer, ms) => barred.push([peer, ms]),
      limits
    })
    return { clock, barred, budget }
  }

  it('keeps at most so many bytes per peer and in all, and takes nothing where it refuses', () => {
    const ops = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.integer({ min: -40, max: 60 })))
    fc.assert(
      fc.property(ops, steps => {
        const { budget } = make({ peerBytes: 100, allBytes: 150 })
        const kept: Record<string, number> = { a: 0, b: 0, c: 0 }
        const all = (): number => Object.values(kept).reduce((sum, bytes) => sum + bytes, 0)
        for (const [peer, bytes] of steps) {
          if (bytes < 0) {
            const back = Math.min(-bytes, kept[peer]!)
            budget.free(peer, back)
            kept[peer]! -= back
          } else {
            const fits = kept[peer]! + bytes <= 100 && all() + bytes <= 150
            assert.equal(budget.keep(peer, bytes), fits)
            if (fits) kept[peer]! += bytes
          }
        }
      })
    )
  })

  it('says what was never kept', () => {
    const { budget } = make()
    budget.keep('a', 5)
    assert.throws(() => budget.free('a', 6), { name: 'RangeError', message: /6 bytes were never kept for a/ })
  })

  it('bars who wastes more than the burst, and nobody who stays below the rate', () => {
    const { budget, clock, barred } = make()
    for (let second = 0; second < 1000; second++) {
      clock.ms += 1000
      budget.waste('clumsy', perSecondMs)
      budget.waste('hostile', perSecondMs * 2)
      if (barred.length > 0) break
    }
    assert.deepEqual(barred, [['hostile', firstBarMs]])
    // nothing can be refilled in the first second; from then on it loses one refill per second
    assert.equal(clock.ms / 1000, burstMs / perSecondMs)
    assert.equal(budget.barredMs('hostile'), firstBarMs)
    assert.equal(budget.barredMs('clumsy'), 0)
  })

  it('bars twice as long each time, up to an hour, and starts afresh in between', () => {
    const { budget, clock, barred } = make()
    for (let i = 0; i < 10; i++) {
      budget.waste('hostile', burstMs)
      assert.equal(barred.length, i, 'the burst is allowed')
      budget.waste('hostile', 1)
      budget.waste('hostile', 1e6) // what was under way
      clock.ms += budget.barredMs('hostile')
    }
    assert.deepEqual(
      barred.map(([, ms]) => ms),
      Array.from({ length: 10 }, (_, i) => Math.min(lastBarMs, firstBarMs * 2 ** i))
    )
  })

  it('gives new names little where many have wasted much, so that a name is not worth changing', () => {
    const { budget, barred } = make()
    for (let i = 0; i < 100; i++) for (let j = 0; j < 30; j++) budget.waste(`name ${i}`, 50)
    const { allBurstMs, newcomerMs } = PEER_LIMITS
    assert.equal(barred.length, 100)
    const wasted = 100 * (newcomerMs + 50)
    budget.waste('last', newcomerMs)
    assert.equal(barred.length, 100, 'who is clumsy once is let in still')
    budget.waste('last', 1)
    assert.equal(barred.length, 101)
    assert.ok(wasted > allBurstMs)
  })

  it('remembers a bounded number of peers, never forgetting what it keeps for one', () => {
    const { budget } = make({ peers: 10, peerBytes: 100, allBurstMs: 1e9 })
    budget.keep('keeper', 100)
    for (let i = 0; i < 1000; i++) budget.waste(`peer ${i}`, burstMs + 1)
    assert.equal(budget.keep('keeper', 1), false)
    assert.equal(budget.barredMs('peer 0'), 0)
    assert.ok(budget.barredMs('peer 999') > 0)
  })
})
