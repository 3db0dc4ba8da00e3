import { strict as assert } from 'node:assert'
import { run } from './scale.ts'

describe('simulation: scale', () => {
  it('traffic per node grows no faster than the logarithm of the nodes, and every job is placed', async () => {
    const { ok, table } = await run({ nodes: [500, 2000] })
    assert.ok(ok, JSON.stringify(table))
    const [small, large] = table
    assert.ok(small!['offers known'] > 128 && large!['offers known'] > 128, 'more than a node may link')
  })
})
