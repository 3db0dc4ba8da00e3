import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { createSandbox } from '../../sandbox/index.ts'
import { DataMissingError, type Scheduler } from '../../scheduler/index.ts'
import { failureOf } from '../../scheduler/jobs/end-job.ts'
import { alone } from './alone.ts'

describe('scheduler: the name of a failure', () => {
  const sandbox = createSandbox({ warm: 1 })
  let directory: string
  let scheduler: Scheduler
  before(async () => {
    await sandbox.start()
    directory = await mkdtemp(join(tmpdir(), 'artel-names-'))
    scheduler = alone(await generateKeyPair('Ed25519'), sandbox, directory)
    await scheduler.start()
  })
  after(async () => {
    await scheduler.stop()
    await sandbox.stop()
    await rm(directory, { recursive: true })
  })

  const failureNameOf = async (spec: object): Promise<string | undefined> => {
    const job = await scheduler.submit({ retries: 0, ...spec })
    await assert.rejects(job.result({ signal: AbortSignal.timeout(240_000) }), { name: 'JobFailedError' })
    return job.report().failure?.name
  }
  // `reduce` of a custom operation runs at the end, behind the walls of the requester's own node
  const reducing = (reduce: string, timeoutMs = 240_000) => ({
    type: 'map_reduce',
    items: Array.from({ length: 8 }, (_, i) => i),
    map: 'x => x',
    reduce,
    requirements: { timeoutMs, ramMb: 32 }
  })

  it('stays what it was where the author’s reduce fails on this node', async () => {
    const hang = '(a, b) => { for (;;); }'
    assert.equal(await failureNameOf(reducing(hang, 300)), 'timeout')
    assert.equal(await failureNameOf(reducing('(a, b) => { throw new Error("no") }')), 'threw')
    const hoard = '(a, b) => { const all = []; for (;;) all.push(new Array(1e5).fill(a)) }'
    assert.equal(await failureNameOf(reducing(hoard)), 'out-of-memory')
  })

  it('stays what it was in a node of a pipeline, which is named', async () => {
    const nodes = [{ id: 'slow', task: reducing('(a, b) => { for (;;); }', 300) }]
    const job = await scheduler.submit({ type: 'pipeline', nodes, retries: 0 })
    await assert.rejects(job.result({ signal: AbortSignal.timeout(240_000) }), /node slow failed/)
    assert.equal(job.report().failure?.name, 'timeout')
  })

  it('comes with what the process printed, from a worker and from this node', async () => {
    const loud = (x: string) => `${x} => { function m() { "use asm"; return 1 } m(); throw new Error("no") }`
    for (const spec of [{ type: 'map', items: [1], fn: loud('x') }, reducing(loud('(a, b)'))]) {
      const job = await scheduler.submit({ retries: 0, ...spec })
      await assert.rejects(job.result({ signal: AbortSignal.timeout(240_000) }), { name: 'JobFailedError' })
      assert.match(job.report().failure?.said ?? '', /Invalid asm\.js/)
    }
    const quiet = await scheduler.submit({ type: 'map', items: [1], fn: 'x => { throw 1 }', retries: 0 })
    await assert.rejects(quiet.result({ signal: AbortSignal.timeout(240_000) }))
    assert.ok(!('said' in quiet.report().failure!))
  })

  it('tells what is this node’s own from what the author’s code did', () => {
    const named = (name: string): Error => Object.assign(new Error('x'), { name })
    assert.equal(failureOf(new DataMissingError('cid', 'is gone')).name, 'aborted')
    assert.equal(failureOf(named('WallMissingError')).name, 'wall-missing')
    assert.equal(failureOf(new TypeError('mixed')).name, 'threw')
  })
})
