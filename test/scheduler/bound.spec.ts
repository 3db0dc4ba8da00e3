import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { createSandbox } from '../../sandbox/index.ts'
import { addData } from '../../scheduler/data/chunked-data.ts'
import type { Scheduler } from '../../scheduler/index.ts'
import { alone } from './alone.ts'
import { memoryBlocks } from './memory-blocks.ts'

describe('scheduler: what a job reserves', () => {
  const sandbox = createSandbox({ warm: 1 })
  const blocks = memoryBlocks()
  let directory: string
  let scheduler: Scheduler
  before(async () => {
    await sandbox.start()
    directory = await mkdtemp(join(tmpdir(), 'artel-bound-'))
    scheduler = alone(await generateKeyPair('Ed25519'), sandbox, directory, blocks)
    await scheduler.start()
  })
  after(async () => {
    await scheduler.stop()
    await sandbox.stop()
    await rm(directory, { recursive: true })
  })

  it('is what its quote said, whatever is known of its speed', async () => {
    const specs = [
      { type: 'map', items: [1, 2, 3], fn: 'x => x + 1' },
      { type: 'enumerate', space: { type: 'subsets', n: 4 }, aggregate: 'count' },
      { type: 'map', items: [1, 2, 3], fn: 'x => x + 2', maxPrice: 0.25 }
    ]
    for (const spec of specs)
      for (const isKnown of [false, true]) {
        const { bound } = await scheduler.quote(spec)
        const job = await scheduler.submit(spec)
        assert.equal(job.report().bound, bound, `${JSON.stringify(spec)}, known: ${isKnown}`)
        await job.result({ signal: AbortSignal.timeout(240_000) })
      }
  })

  it('is nothing for a spec that cannot travel, also where large numbers beside that are not copied', async () => {
    const context = { table: new Float64Array(20_000), when: new Date(0) }
    await assert.rejects(scheduler.submit({ type: 'map', items: [1], fn: 'x => table[x]', context }), {
      name: 'SpecError',
      field: 'context.when'
    })
  })

  it('is nothing for a spec whose deadline is none, also where its data comes by CID', async () => {
    const { cid } = await addData(blocks, [new Uint8Array(16)])
    for (const deadline of [0.5, -1, Number.POSITIVE_INFINITY, Number.NaN])
      await assert.rejects(
        scheduler.submit({ type: 'map', items: { cid, as: 'float64' }, fn: 'x => x', deadline }),
        { name: 'SpecError', field: 'deadline' }
      )
  })
})
