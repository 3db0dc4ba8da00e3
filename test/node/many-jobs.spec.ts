import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Artel, connect } from '../../node/sdk/index.ts'
import { until } from '../bootstrap/nodes.ts'

/** MANY_JOBS=10000 for as many as a program may have by accident. */
const JOBS = Number(process.env.MANY_JOBS ?? 1000)

describe('node: SDK, many jobs at once', function () {
  this.timeout(Math.max(600_000, JOBS * 180))
  let folder: string
  let artel: Artel

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-many-'))
    artel = await connect({ embedded: true, data: join(folder, 'own'), settings: { logLevel: 'silent' } })
  })
  after(async () => {
    await artel?.close()
    await rm(folder, { recursive: true, force: true })
  })

  it('queues them: each has its result, and together they reserve no more than there is', async () => {
    const { available } = await artel.balance()
    const numbers = Array.from({ length: JOBS }, (_, i) => i)
    const jobs = numbers.map(x => artel.submit({ type: 'map', items: [x], fn: 'x => x + 1' }))
    const results = await Promise.allSettled(jobs)
    const failed = results.filter(each => each.status === 'rejected')
    assert.equal(failed.length, 0, `${failed.length} of ${JOBS}: ${failed[0]?.reason}`)
    assert.deepEqual(
      results.map(each => each.status === 'fulfilled' && (each.value as number[])[0]),
      numbers.map(x => x + 1)
    )
    // what is known of a program decides what its next job reserves
    const last = await artel.submit({ type: 'map', items: [1], fn: 'x => x + 1' }).report()
    assert.ok(last.bound < 10_000n, `${last.bound}`)
    await until(async () => (await artel.balance()).available === available, 'everything is given back')
  })
})
