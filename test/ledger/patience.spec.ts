import { strict as assert } from 'node:assert'
import { mock } from 'node:test'
import { createPatience } from '../../ledger/certify/patience.ts'

/** A chain of orders on a virtual clock; how often the witnesses were asked. */
function chain() {
  let [now, next, asked] = [0, 0, 0]
  const patience = createPatience({ signed: () => next, onDue: () => asked++ }, () => now)
  patience.hurry()
  asked = 0
  return {
    patience,
    asked: () => asked,
    sign(type: 'escrow' | 'settle', job: string): number {
      patience[type](job)
      return next++
    },
    pass(ms: number): void {
      for (let i = 0; i < ms; i++) {
        now++
        mock.timers.tick(1)
      }
    }
  }
}

describe('ledger: when orders go to the witnesses', () => {
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }))
  afterEach(() => mock.timers.reset())

  it('is at once for an escrow whose job goes on, and for all that were signed before it', () => {
    const { patience, sign, pass, asked } = chain()
    const first = sign('escrow', 'short')
    sign('settle', 'short')
    pass(10)
    const long = sign('escrow', 'long')
    pass(19)
    assert.deepEqual([asked(), patience.isDue(first)], [0, false])
    pass(1)
    assert.deepEqual([asked(), patience.isDue(first), patience.isDue(long)], [1, true, true])
    assert.equal(patience.isDue(sign('escrow', 'next')), false)
  })

  it('is once a second for jobs that end sooner, however many follow each other', () => {
    const { sign, pass, asked } = chain()
    for (let i = 0; i < 250; i++) {
      sign('escrow', `${i}`)
      pass(8)
      sign('settle', `${i}`)
    }
    assert.equal(asked(), 1)
    pass(1000)
    assert.equal(asked(), 2)
    pass(5000)
    assert.equal(asked(), 2)
  })

  it('is at once where many wait, or somebody does', () => {
    const { patience, sign, asked } = chain()
    for (let i = 0; i < 255; i++) sign('settle', `${i}`)
    assert.equal(asked(), 0)
    sign('settle', 'last')
    assert.equal(asked(), 1)
    const next = sign('settle', 'awaited')
    assert.equal(patience.isDue(next), false)
    patience.hurry()
    assert.ok(patience.isDue(next))
  })
})
