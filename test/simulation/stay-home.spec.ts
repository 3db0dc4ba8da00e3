import { strict as assert } from 'node:assert'
import { simulate } from './stay-home.ts'

describe('simulation: a node that lends its own time, and its jobs', () => {
  it('is not slower with a network than alone, over 300 seeds, and faster where there is enough to do', () => {
    const gains: number[] = []
    for (let seed = 1; seed <= 300; seed++) {
      const { alone, together, isLate } = simulate(seed)
      assert.ok(!isLate, `seed ${seed}: ${alone} ms alone, ${together} ms with the network`)
      if (alone > 1000) gains.push(alone / together)
    }
    gains.sort((a, b) => a - b)
    assert.ok(
      gains[gains.length >> 1]! > 1.5,
      `half of the longer jobs gain ${gains[gains.length >> 1]} or less`
    )
  })
})
