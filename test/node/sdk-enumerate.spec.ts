import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Artel, connect, spaces } from '../../node/sdk/index.ts'

describe('node: SDK, enumerate', () => {
  let folder: string
  let artel: Artel

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-sdk-'))
    artel = await connect({ embedded: true, data: folder, settings: { logLevel: 'silent' } })
  })
  after(async () => {
    await artel.close()
    await rm(folder, { recursive: true, force: true })
  })

  it('enumerate, beside what a program can calculate of the space itself', async () => {
    const space = { type: 'product', radices: [6, 6] } as const
    const { visited, value } = await artel.enumerate({
      space,
      evaluate: dice => dice[0]! + dice[1]! + 2,
      aggregate: { sums: 'histogram', most: 'max', doubles: { operation: 'count', of: 'x % 2 === 0' } }
    })
    assert.equal(visited, Number(spaces.count(space)))
    assert.deepEqual(
      value.sums,
      [1, 2, 3, 4, 5, 6, 5, 4, 3, 2, 1].map((n, i) => [i + 2, n])
    )
    assert.deepEqual(value.most, { value: 12, rank: 35, item: [...spaces.unrank(space, 35)] })
    assert.equal(value.doubles, 18)
  })
})
