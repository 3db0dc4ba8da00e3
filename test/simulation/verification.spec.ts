import { strict as assert } from 'node:assert'
import { MODELS, simulate } from './verification.ts'

// The whole table: npm run simulate -- verification
const SLICES = 4000

describe('simulation: verification', () => {
  for (const model of MODELS) {
    it(`keeps wrong results out: ${model.name}`, () => {
      const { finished, wrong } = simulate(model, 1, SLICES)
      assert.equal(finished, true)
      assert.ok(wrong <= model.epsilon, `${wrong * SLICES} of ${SLICES} accepted results are wrong`)
    })
  }

  it('gives the same outcome for the same seed', () => {
    assert.deepEqual(simulate(MODELS[1]!, 7, 500), simulate(MODELS[1]!, 7, 500))
  })
})
