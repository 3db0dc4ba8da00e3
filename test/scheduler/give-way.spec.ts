import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { givingWay, type Running, unsecuredMs } from '../../scheduler/worker/give-way.ts'

const running = (changed: Partial<Running> = {}): Running => ({
  requester: 'mallory',
  own: false,
  startedAt: 0,
  price: 0,
  isSecured: false,
  isEnding: false,
  ...changed
})
const any = fc.record({
  requester: fc.constantFrom('alice', 'bob', 'mallory'),
  own: fc.boolean(),
  startedAt: fc.nat(1000),
  price: fc.nat(10_000),
  isSecured: fc.boolean(),
  isEnding: fc.boolean()
})

describe('scheduler: who gives way to whom', () => {
  it('is work on a word, the youngest first, and no more of it than waits', () => {
    const old = running({ startedAt: 1 })
    const young = running({ startedAt: 2 })
    assert.deepEqual(givingWay([old, young], ['alice']), [young])
    assert.deepEqual(givingWay([old, young], ['alice', 'alice', 'bob']), [young, old])
    assert.deepEqual(givingWay([old, young], []), [])
    assert.deepEqual(givingWay([old, young], ['mallory']), [], 'nobody gives way to himself')
    assert.deepEqual(givingWay([old, { ...young, isEnding: true }], ['alice']), [], 'one ends already')
  })

  it('is nobody whose work is secured, and not the owner', () => {
    fc.assert(
      fc.property(fc.array(any), fc.array(fc.constantFrom('alice', 'bob')), (all, waiting) => {
        const ended = givingWay(all, waiting)
        assert.ok(ended.every(({ own, isSecured, isEnding }) => !own && !isSecured && !isEnding))
        assert.ok(ended.length <= waiting.length)
      })
    )
  })

  it('uses its time unpaid from the first moment, whatever price it names', () => {
    const now = 5000
    assert.equal(unsecuredMs([running({ price: 1e9 }), running({ startedAt: 4000 })], now), 6000)
    // 0.01 credits per CPU second, of which a tenth is enough: 1 micro-credit per ms
    assert.equal(unsecuredMs([running({ isSecured: true, price: 2000 })], now), 3000)
    assert.equal(unsecuredMs([running({ isSecured: true, price: 5000 })], now), 0)
  })
})
