import { strict as assert } from 'node:assert'
import { holds, MODELS, simulate } from './verification.ts'

// The whole table: npm run simulate -- verification
const SLICES = 4000
const ITEMS = 100

describe('simulation: verification', () => {
  for (const model of MODELS) {
    const bounds = { ...model, mostCost: undefined } // probation weighs more in short runs
    if (!model.itemsOnly)
      it(`keeps wrong results out: ${model.name}`, () => {
        const outcome = simulate(model, 1, 1, SLICES)
        assert.ok(holds(bounds, outcome), JSON.stringify(outcome))
      })
    it(`keeps wrong results out, with audits: ${model.name}`, () => {
      const outcome = simulate(model, 1, ITEMS, SLICES)
      assert.ok(holds(bounds, outcome), JSON.stringify(outcome))
    })
  }

  it('costs less with audits than with replicas alone', () => {
    const [honest] = MODELS
    assert.ok(simulate(honest!, 1, ITEMS, SLICES).cost < simulate(honest!, 1, 1, SLICES).cost)
  })

  it('gives the same outcome for the same seed', () => {
    assert.deepEqual(simulate(MODELS[1]!, 7, ITEMS, 500), simulate(MODELS[1]!, 7, ITEMS, 500))
  })
})
