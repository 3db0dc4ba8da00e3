import { strict as assert } from 'node:assert'
import { simulate } from '../simulation/ledger.ts'

describe('ledger: simulation', () => {
  it('keeps every promise in 100 seeds of the witnesses and 1,000 histories', async () => {
    const { ok, table } = await simulate({ seeds: 100 })
    assert.ok(ok, JSON.stringify(table))
  })
})
