import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Artel, connect } from '../../node/sdk/index.ts'

describe('node: datasets of the SDK', () => {
  let folder: string
  let artel: Artel

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-sdk-datasets-'))
    artel = await connect({ embedded: true, data: folder, settings: { logLevel: 'silent' } })
  })
  after(async () => {
    await artel?.close()
    await rm(folder, { recursive: true, force: true })
  })

  it('are made, used, read, counted and let go of', async () => {
    const numbers = Array.from({ length: 2500 }, (_, i) => i)
    const squares = await artel.map(numbers, x => x * x, { keep: true })
    const even = await squares.filter(x => x % 2 === 0)
    const expected = numbers.map(x => x * x).filter(x => x % 2 === 0)
    assert.equal(await even.count(), expected.length)
    assert.deepEqual(await even.collect(), expected)
    assert.deepEqual(await even.page(3, 4), expected.slice(3, 7))
    assert.deepEqual(await Array.fromAsync(even), expected)
    assert.equal(
      await even.mapReduce(x => x, 'sum'),
      expected.reduce((sum, x) => sum + x)
    )
    const texts: string[] = await artel.map(even, x => `${x}`)
    assert.deepEqual(texts, expected.map(String))
    assert.deepEqual(await artel.job(squares.id).result(), {
      dataset: squares.id,
      items: 2500,
      bytes: (await squares.show()).bytes
    })
    assert.deepEqual((await artel.datasets()).map(({ id }) => id).sort(), [squares.id, even.id].sort())
    {
      await using again = artel.dataset<number>(even.id)
      assert.equal(await again.count(), expected.length)
    }
    assert.deepEqual(
      (await artel.datasets()).map(({ id }) => id),
      [squares.id]
    )
    await assert.rejects(even.count(), { name: 'DatasetMissingError', status: 404 })
  })
})
