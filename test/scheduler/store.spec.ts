import { strict as assert } from 'node:assert'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rename, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { encodeValue } from '../../sandbox/index.ts'
import { openStore } from '../../scheduler/store/job-store.ts'
import { ended, job, slice, spec } from './stored-job.ts'

describe('scheduler/store', () => {
  let folder: string
  let file: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-store-'))
    file = join(folder, 'jobs.sqlite')
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  it('gives back jobs, specs and accepted slices after it was closed', () => {
    const store = openStore(file)
    store.addJob(job, encodeValue([spec]))
    store.addSlice('job', slice(2, 'a', 3n))
    store.addSlice('job', slice(0, 'b', 2n ** 60n))
    store.running('job')
    store.close()
    const again = openStore(file)
    const [open] = again.openJobs()
    assert.deepEqual(
      { id: open?.id, state: open?.state, bound: open?.bound, settled: open?.settled },
      { id: 'job', state: 'running', bound: job.bound, settled: false }
    )
    assert.deepEqual(
      JSON.parse(JSON.stringify(again.specs('job'), bigintAsText)),
      JSON.parse(JSON.stringify([spec], bigintAsText))
    )
    assert.deepEqual(
      again.slices('job').map(({ first, value, paid }) => [first, [...value], paid]),
      [
        [0, [0], [{ worker: 'b', price: 2n ** 60n }]],
        [2, [2], [{ worker: 'a', price: 3n }]]
      ]
    )
    again.close()
  })

  it('keeps the result and the shares of an ended job, frees the values, and lists it as open until it is settled', () => {
    const store = openStore(file)
    store.addJob(job, encodeValue([spec]))
    store.addSlice('job', slice(0, 'b'))
    store.addSlice('job', slice(1, 'a'))
    store.addSlice('job', slice(2, 'b'))
    store.endJob('job', {
      ...ended,
      state: 'completed',
      finished: 2000,
      cid: 'cid',
      result: [Uint8Array.of(7)]
    })
    assert.deepEqual(
      store.openJobs().map(each => each.state),
      ['completed']
    )
    store.settled('job')
    assert.deepEqual(store.openJobs(), [])
    store.close()
    const again = openStore(file)
    assert.deepEqual([...(again.result('job') ?? [])], [7])
    assert.equal(again.job('job')?.cid, 'cid')
    assert.ok(again.slices('job').every(each => each.value == null))
    assert.deepEqual(again.shares('job'), [
      { worker: 'a', slices: 1, units: 1, paid: 5n },
      { worker: 'b', slices: 2, units: 2, paid: 10n }
    ])
    again.close()
  })

  it('adds up how slices were verified, pays for canaries, and forgets both with a slice in doubt', () => {
    let store = openStore(file)
    store.addJob(job, encodeValue([spec]))
    store.addSlice('job', {
      ...slice(0),
      count: 10,
      assurance: { answers: 2, audited: 0, credibility: 0.999 }
    })
    store.addSlice('job', {
      ...slice(10),
      count: 30,
      assurance: { answers: 1, audited: 4, credibility: 0.992 }
    })
    store.addCanary('job', { part: 0, first: 0 }, { worker: 'c', price: 7n, works: [] })
    store.close()
    store = openStore(file)
    // 2 × 10 + 30 units answered, 4 audited, 10 as a canary, of 40
    assert.deepEqual(store.verification('job'), {
      replicas: 64 / 40,
      compared: 1,
      audited: 4,
      canaries: 1,
      confidence: 0.992
    })
    assert.deepEqual(
      store.shares('job').map(({ worker, slices, units, paid }) => [worker, slices, units, paid]),
      [
        ['c', 1, 10, 7n],
        ['w', 2, 40, 10n]
      ]
    )
    store.removeSlice('job', 0, 0)
    assert.deepEqual(store.verification('job').canaries, 0)
    assert.deepEqual(
      store.shares('job').map(({ worker }) => worker),
      ['w']
    )
    store.close()
  })

  describe('large values', () => {
    const large = (seed: number): Uint8Array => new Uint8Array(300_000).fill(seed)
    const files = async (job: string): Promise<string[]> =>
      (await readdir(join(folder, 'values', job)).catch(() => [])).sort()

    it('gives them back after it was closed, and frees those of the slices with the end', async () => {
      let store = openStore(file)
      const items = Array.from({ length: 100_000 }, (_, i) => i * 1.5)
      const specs = [{ ...spec, items }]
      store.addJob(job, encodeValue(specs))
      store.addSlice('job', { ...slice(0), value: large(1) })
      store.addSlice('job', { ...slice(1), value: Uint8Array.of(5) })
      store.close()
      store = openStore(file)
      assert.deepEqual((store.specs('job')[0] as { items: number[] }).items, items)
      assert.deepEqual(
        store.slices('job').map(({ value }) => new Uint8Array(value)),
        [large(1), Uint8Array.of(5)]
      )
      store.endJob('job', { ...ended, state: 'completed', finished: 2000, result: [large(2)] })
      store.close()
      store = openStore(file)
      assert.deepEqual(new Uint8Array(store.result('job')!), large(2))
      assert.deepEqual(await files('job'), ['result', 'specs'])
      store.close()
      assert.ok((await stat(file)).size < 100_000)
    })

    it('keeps a result that is slices one after the other as their files, and writes it once', async () => {
      let store = openStore(file)
      store.addJob(job, encodeValue([spec]))
      for (const first of [0, 1, 2])
        store.addSlice('job', { ...slice(first), value: encodeValue([large(first)]) })
      const result = [1, 0].map(first => encodeValue([large(first)]))
      const lists = [1, 0].map(first => ({ first, from: 1 }))
      const end = { ...ended, state: 'completed' as const, finished: 2000, result }
      store.endJob('job', { ...end, made: { part: 0, lists } })
      store.close()
      store = openStore(file)
      assert.deepEqual(new Uint8Array(store.result('job')!), encodeValue([large(1), large(0)]))
      assert.ok(store.hasResult('job'))
      assert.deepEqual(await files('job'), ['0-0', '0-1'])
      store.close()
      await truncate(join(folder, 'values/job/0-1'), 1000)
      store = openStore(file)
      assert.equal(store.result('job'), undefined)
      assert.ok(!store.hasResult('job'))
      store.close()
    })

    it('keeps a list without items in its row, so that its job is settled with its end', () => {
      const store = openStore(file)
      store.addJob(job, encodeValue([spec]))
      const end = { ...ended, state: 'completed' as const, finished: 2000, settled: true }
      store.endJob('job', { ...end, result: [], made: { part: 0, lists: [] } })
      assert.deepEqual(store.result('job'), encodeValue([]))
      assert.deepEqual(store.openJobs(), [])
      store.close()
    })

    it('starts with a stray file beside the values, and with a result of which one row is damaged', async () => {
      let store = openStore(file)
      store.addJob(job, encodeValue([spec]))
      const value = encodeValue([large(0)])
      store.addSlice('job', { ...slice(0), value })
      const end = { ...ended, state: 'completed' as const, finished: 2000, result: [value] }
      store.endJob('job', { ...end, made: { part: 0, lists: [{ first: 0, from: 1 }] } })
      store.close()
      await writeFile(join(folder, 'values/notes.txt'), 'mine')
      for (const pieces of ['[["0-0",0', '[["../../x",0,7]]', '[7]', '{}', '[["0-0",0,1]]']) {
        const db = new DatabaseSync(file)
        db.prepare('UPDATE results SET pieces = ?').run(pieces)
        db.close()
        store = openStore(file)
        assert.equal(store.result('job'), undefined)
        store.close()
      }
      assert.ok((await stat(join(folder, 'values/notes.txt'))).isFile())
    })

    it('ends a job and starts with something in its folder that is no file', async () => {
      let store = openStore(file)
      store.addJob(job, encodeValue([spec]))
      store.addSlice('job', { ...slice(0), value: large(0) })
      await mkdir(join(folder, 'values/job/mine'))
      store.endJob('job', {
        ...ended,
        state: 'failed',
        finished: 2000,
        failure: { name: 'threw', message: 'x' }
      })
      store.close()
      store = openStore(file)
      assert.equal(store.job('job')!.state, 'failed')
      store.close()
    })

    it('does not count a result in files as settled before it is safe, and takes it for not ended when it is lost', async () => {
      let store = openStore(file)
      const end = { ...ended, state: 'completed' as const, finished: 2000, settled: true }
      for (const [id, result] of [
        ['large', large(1)],
        ['small', Uint8Array.of(1)]
      ] as const) {
        store.addJob({ ...job, id }, encodeValue([spec]))
        store.addSlice(id, slice(0))
        store.endJob(id, { ...end, result: [result] })
        await store.safe(id)
      }
      assert.deepEqual(
        store.openJobs().map(({ id }) => id),
        ['large']
      )
      store.reopen('large')
      store.close()
      store = openStore(file)
      const { state, finished, end: last } = store.job('large')!
      assert.deepEqual([state, finished, last], ['queued', undefined, undefined])
      assert.deepEqual(
        [store.slices('large'), store.works('large'), store.result('large')],
        [[], [], undefined]
      )
      assert.deepEqual(store.specs('large'), [spec])
      store.close()
    })

    it('is safe once what kept a file from the disk is over', async () => {
      const store = openStore(file)
      store.addJob(job, encodeValue([spec]))
      store.addSlice('job', slice(0))
      store.endJob('job', { ...ended, state: 'completed', finished: 2000, result: [large(1)] })
      const result = join(folder, 'values/job/result')
      await rename(result, `${result}.kept`)
      await symlink(result, result)
      await assert.rejects(store.safe('job'), { code: 'ELOOP' })
      await rename(`${result}.kept`, result)
      await store.safe('job')
      store.close()
    })

    it('writes a result as a whole where a slice of it lies in a row', async () => {
      const store = openStore(file)
      store.addJob(job, encodeValue([spec]))
      const result = [encodeValue([large(1)]), encodeValue([5])]
      for (const [first, value] of result.entries()) store.addSlice('job', { ...slice(first), value })
      const lists = [0, 1].map(first => ({ first, from: 1 }))
      const end = { ...ended, state: 'completed' as const, finished: 2000, result }
      store.endJob('job', { ...end, made: { part: 0, lists } })
      assert.deepEqual(new Uint8Array(store.result('job')!), encodeValue([large(1), 5]))
      assert.deepEqual(await files('job'), ['result'])
      store.close()
    })

    it('takes a slice whose file came out short for not accepted, and misses no other', async () => {
      let store = openStore(file)
      store.addJob(job, encodeValue([spec]))
      for (const first of [0, 1, 2]) store.addSlice('job', { ...slice(first), value: large(first) })
      store.close()
      await truncate(join(folder, 'values/job/0-0'), 1000)
      await rm(join(folder, 'values/job/0-2'))
      store = openStore(file)
      assert.deepEqual(
        store.slices('job').map(({ first }) => first),
        [1]
      )
      assert.equal(store.shares('job')[0]?.slices, 1)
      store.close()
    })

    it('keeps nothing of a job that it refuses, and all of the one that has its name', async () => {
      const store = openStore(file)
      const specs = [{ ...spec, items: Array.from({ length: 100_000 }, (_, i) => i * 1.5) }]
      // stands for a disk that is full by then
      store.db.exec("CREATE TRIGGER full BEFORE INSERT ON specs BEGIN SELECT RAISE(ABORT, 'full'); END")
      assert.throws(() => store.addJob(job, encodeValue(specs)), /full/)
      assert.deepEqual(await readdir(join(folder, 'values')), [])
      store.db.exec('DROP TRIGGER full')
      store.addJob(job, encodeValue(specs))
      assert.throws(() => store.addJob(job, encodeValue(specs)), /UNIQUE/)
      assert.deepEqual(await files('job'), ['specs'])
      store.close()
    })

    it('forgets a slice in doubt, and what a crash left of jobs that it does not know', async () => {
      let store = openStore(file)
      store.addJob(job, encodeValue([spec]))
      store.addSlice('job', { ...slice(0), value: large(1) })
      store.removeSlice('job', 0, 0)
      assert.deepEqual(await files('job'), [])
      store.close()
      await mkdir(join(folder, 'values/other'))
      await writeFile(join(folder, 'values/other/0-0'), 'half')
      store = openStore(file)
      assert.deepEqual(await readdir(join(folder, 'values')), ['job'])
      store.close()
    })
  })

  it('keeps the reason of a failure, and gives nothing for jobs that it does not know', () => {
    const store = openStore(file)
    store.addJob(job, encodeValue([spec]))
    const failure = { name: 'threw', message: 'no', unit: 2 } as const
    store.endJob('job', { ...ended, state: 'failed', finished: 2000, failure })
    assert.deepEqual(store.job('job')?.failure, failure)
    assert.deepEqual(store.job('job')?.end, ended)
    assert.equal(store.result('job'), undefined)
    assert.equal(store.job('other'), undefined)
    assert.deepEqual(store.slices('other'), [])
    assert.deepEqual(store.shares('other'), [])
    store.close()
  })

  it('opens a file of a version that kept less of a job', () => {
    const old = new DatabaseSync(file)
    old.exec(
      `CREATE TABLE jobs (
         id TEXT PRIMARY KEY, type TEXT NOT NULL, state TEXT NOT NULL, submitted INTEGER NOT NULL,
         finished INTEGER, bound INTEGER NOT NULL, settled INTEGER NOT NULL DEFAULT 0, cid TEXT, failure TEXT
       ) STRICT;
       INSERT INTO jobs (id, type, state, submitted, bound) VALUES ('old', 'map', 'completed', 1, 2)`
    )
    old.close()
    const store = openStore(file)
    assert.equal(store.job('old')?.bound, 2n)
    store.addJob({ ...job, name: 'primes' }, encodeValue([spec]))
    assert.equal(store.job('job')?.name, 'primes')
    store.close()
  })

  it('loses nothing that was acknowledged when its process is killed', async () => {
    const script = join(folder, 'writer.ts')
    const at = (path: string): string =>
      JSON.stringify(fileURLToPath(new URL(`../../scheduler/${path}`, import.meta.url)))
    await writeFile(
      script,
      `import { openStore } from ${at('store/job-store.ts')}
import { parseSpec } from ${at('tasks/parse-spec.ts')}
import { encodeValue } from ${at('../sandbox/index.ts')}
const store = openStore(${JSON.stringify(file)})
store.addJob(${JSON.stringify({ ...job, bound: 0 })}, encodeValue([parseSpec({ type: 'map', items: [1], fn: 'x' })]))
const of = first => ({ part: 0, first, count: 1, slice: first, works: [], assurance: { answers: 1, audited: 0, credibility: 1 }, value: new Uint8Array(500), paid: [{ worker: 'w', price: 1n }] })
const add = first => store.addSlice('job', of(first))
for (let first = 0; ; first += 4) {
  await Promise.all([store.keepSlice('job', { ...of(first), value: new Uint8Array(200_000) }), ...[1, 2].map(i => store.later('job', () => add(first + i)))])
  add(first + 3)
  console.log(first + 3)
}`
    )
    const writer = spawn(process.execPath, ['--no-node-snapshot', script], {
      stdio: ['ignore', 'pipe', 'inherit']
    })
    let acknowledged = -1
    try {
      for await (const line of createInterface({ input: writer.stdout })) {
        acknowledged = Number(line)
        if (acknowledged === 203) writer.kill('SIGKILL')
      }
      if (writer.exitCode == null && writer.signalCode == null) await once(writer, 'exit')
    } finally {
      writer.kill('SIGKILL')
    }
    assert.ok(acknowledged >= 200)
    const store = openStore(file)
    const firsts = store.slices('job').map(each => each.first)
    store.close()
    assert.deepEqual(
      firsts.slice(0, acknowledged + 1),
      Array.from({ length: acknowledged + 1 }, (_, i) => i)
    )
  })
})

function bigintAsText(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}n` : value
}
