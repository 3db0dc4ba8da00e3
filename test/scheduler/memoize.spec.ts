import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { createSandbox } from '../../sandbox/index.ts'
import type { Scheduler } from '../../scheduler/index.ts'
import { createMemo, memoKey } from '../../scheduler/store/memo.ts'
import { parseSpec } from '../../scheduler/tasks/parse-spec.ts'
import { alone } from './alone.ts'

const squares = { type: 'map', items: [1, 2, 3], fn: 'x => x * x', memoize: true }

describe('scheduler: memoised results', () => {
  const sandbox = createSandbox({ warm: 1 })
  let directory: string
  let key: PrivateKey
  let scheduler: Scheduler
  before(async () => {
    await sandbox.start()
    key = await generateKeyPair('Ed25519')
    directory = await mkdtemp(join(tmpdir(), 'artel-memo-'))
    scheduler = alone(key, sandbox, directory)
    await scheduler.start()
  })
  after(async () => {
    await scheduler.stop()
    await sandbox.stop()
    await rm(directory, { recursive: true })
  })

  it('gives the result of an equal job at once, for nothing, and names the job that calculated it', async () => {
    const first = await scheduler.submit(squares)
    assert.deepEqual(await first.result(), [1, 4, 9])
    await first.settled()
    // how a job is run does not decide its result
    const second = await scheduler.submit({ ...squares, name: 'again', priority: 'high', retries: 1 })
    const { state, paid, bound, memoOf, cid } = second.report()
    assert.deepEqual(
      { state, paid, bound, memoOf, cid },
      { state: 'completed', paid: 0n, bound: 0n, memoOf: first.id, cid: first.report().cid }
    )
    assert.deepEqual(await second.result(), [1, 4, 9])
  })

  it('remembers over a restart', async () => {
    const first = await scheduler.submit({ ...squares, items: [7] })
    await first.result()
    await first.settled()
    await scheduler.stop()
    scheduler = alone(key, sandbox, directory)
    await scheduler.start()
    const second = await scheduler.submit({ ...squares, items: [7] })
    assert.deepEqual([second.report().memoOf, await second.result()], [first.id, [49]])
    // and the second one, asked for by its id
    assert.equal(scheduler.job(second.id)?.report().memoOf, first.id)
  })

  it('calculates when anything that decides the result differs, or when it is not asked to remember', async () => {
    await (await scheduler.submit(squares)).settled()
    for (const other of [{ items: [1, 2, 4] }, { fn: 'x => x + x' }, { memoize: false }]) {
      const job = await scheduler.submit({ ...squares, ...other })
      await job.settled()
      assert.equal(job.report().memoOf, undefined)
    }
  })

  it('takes only what was accepted with at least the asked confidence', () => {
    const memo = createMemo(new DatabaseSync(':memory:'))
    const entry = { job: 'a', cid: 'b', result: new Uint8Array(1) }
    memo.put('key', { confidence: 0.9 }, entry)
    assert.equal(memo.find('key', 'none')?.job, 'a')
    assert.equal(memo.find('key', { confidence: 0.9 })?.job, 'a')
    assert.equal(memo.find('key', { confidence: 0.99 }), undefined)
    assert.equal(memo.find('key', { quorum: 2 }), undefined)
    memo.put('key', { quorum: 3 }, { ...entry, job: 'c' })
    assert.equal(memo.find('key', { quorum: 2 })?.job, 'c')
    assert.equal(memo.find('key', { confidence: 0.5 }), undefined)
  })

  it('keeps the results that were used last, up to its bytes', () => {
    const memo = createMemo(new DatabaseSync(':memory:'), { maxBytes: 400 })
    const put = (job: string, size = 100) =>
      memo.put(job, 'none', { job, cid: '', result: new Uint8Array(size) })
    for (const job of ['a', 'b', 'c', 'd']) put(job)
    memo.find('a', 'none')
    put('e')
    put('too large', 101)
    assert.deepEqual(
      ['a', 'b', 'c', 'd', 'e', 'too large'].map(job => memo.find(job, 'none')?.job),
      ['a', undefined, 'c', 'd', 'e', undefined]
    )
  })

  it('tells classes of machines apart', () => {
    const spec = parseSpec(squares)
    assert.notEqual(memoKey(spec, 'v8-13.6/x64'), memoKey(spec, 'v8-13.6/arm64'))
  })
})
