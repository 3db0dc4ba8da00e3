import { strict as assert } from 'node:assert'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { encodeValue } from '../../sandbox/index.ts'
import { openStore } from '../../scheduler/store/job-store.ts'
import { ended, job, slice, spec } from './stored-job.ts'

describe('scheduler/store: what is written later', () => {
  let folder: string
  let file: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-store-'))
    file = join(folder, 'jobs.sqlite')
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  /** What somebody else sees of it. */
  const seen = (table: string): number => {
    const other = new DatabaseSync(file, { readOnly: true })
    const { n } = other.prepare(`SELECT count(*) AS n FROM ${table}`).get() as { n: number }
    other.close()
    return n
  }

  it('is on disk at the end of the turn all together, and found before', async () => {
    const store = openStore(file)
    const added = store.later('job', () => store.addJob(job, encodeValue([spec])))
    const accepted = store.later('job', () => store.addSlice('job', slice(0)))
    assert.deepEqual([seen('jobs'), seen('slices')], [0, 0])
    await accepted
    assert.deepEqual([seen('jobs'), seen('slices')], [1, 1])
    await added
    const next = store.later('job', () => store.addSlice('job', slice(1)))
    assert.equal(store.spans('job').length, 2)
    store.removeSlice('job', 0, 1)
    assert.equal(seen('slices'), 1)
    await next
    const last = store.later('job', () => store.addSlice('job', slice(2)))
    store.close()
    await last
    assert.equal(seen('slices'), 2)
  })

  it('fails alone, with what else there is of the same job', async () => {
    const store = openStore(file)
    store.db.exec(
      "CREATE TRIGGER full BEFORE INSERT ON slices WHEN NEW.first = 7 BEGIN SELECT RAISE(ABORT, 'full'); END"
    )
    const large = new Uint8Array(200_000)
    const write = (id: string, first: number) => [
      store.later(id, () => store.addJob({ ...job, id }, encodeValue([spec]))),
      store.later(id, () => store.addSlice(id, { ...slice(first), value: large })),
      store.later(id, () => store.endJob(id, { ...ended, state: 'completed', finished: 2000 }))
    ]
    const told = await Promise.allSettled([...write('a', 1), ...write('b', 7), ...write('c', 2)])
    assert.equal(
      told.map(({ status }) => (status === 'fulfilled' ? '+' : '-')).join(''),
      '+++' + '+--' + '+++'
    )
    assert.deepEqual(
      ['a', 'b', 'c'].map(id => store.job(id)?.state),
      ['completed', 'queued', 'completed']
    )
    store.close()
  })

  it('follows the file of a large value, which is there with its row, and is found before', async () => {
    const value = new Uint8Array(300_000).fill(7)
    let store = openStore(file)
    store.addJob(job, encodeValue([spec]))
    const kept = store.keepSlice('job', { ...slice(0), value })
    const canary = { worker: 'v', price: 3n, works: [] }
    const paid = store.later('job', () => store.addCanary('job', { part: 0, first: 0 }, canary))
    await store.later('other', () => store.setTrust('w', { checks: 1, streak: 1, compared: 0, wrong: 0 }))
    await Promise.all([kept, paid])
    const found = store.keepSlice('job', { ...slice(1), value })
    assert.deepEqual(
      store.slices('job').map(({ first, value, paid }) => [first, value.length, paid.length]),
      [
        [0, 300_000, 2],
        [1, 300_000, 1]
      ]
    )
    await found
    const last = store.keepSlice('job', { ...slice(2), value })
    store.close()
    await last
    store = openStore(file)
    assert.deepEqual(
      store.slices('job').map(each => Buffer.compare(each.value, value)),
      [0, 0, 0]
    )
    store.close()
  })

  it('fails where the file of a large value cannot be written, and leaves none of a job that ends meanwhile', async () => {
    const value = new Uint8Array(300_000)
    const store = openStore(file)
    for (const id of ['a', 'b']) store.addJob({ ...job, id }, encodeValue([spec]))
    await mkdir(join(folder, 'values'))
    await writeFile(join(folder, 'values/a'), 'in the way')
    await assert.rejects(store.keepSlice('a', { ...slice(0), value }), { code: 'EEXIST' })
    await mkdir(join(folder, 'values/b/0-0'), { recursive: true })
    const failed = store.keepSlice('b', { ...slice(0), value })
    const after = store.later('b', () => store.running('b'))
    assert.deepEqual(
      (await Promise.allSettled([failed, after])).map(({ status }) => status),
      ['rejected', 'rejected']
    )
    await rm(join(folder, 'values/b/0-0'), { recursive: true })
    const kept = store.keepSlice('b', { ...slice(1), value })
    store.endJob('b', { ...ended, state: 'cancelled', finished: 2000 })
    await kept
    assert.deepEqual(store.slices('a'), [])
    assert.deepEqual(await readdir(join(folder, 'values')), ['a'])
    store.close()
  })

  it('is a job with large specs in pieces, beside the event loop or at once; another of its name changes nothing', async () => {
    const numbers = new Uint8Array(200_000).fill(7)
    const whole = encodeValue([{ ...spec, numbers }])
    const pieces = [whole.subarray(0, -200_000), numbers]
    const store = openStore(file)
    const told = await Promise.allSettled([
      store.keepJob(job, pieces),
      store.keepJob(job, [whole.subarray(0, -200_000), new Uint8Array(200_000)]),
      store.keepJob({ ...job, id: 'small' }, [encodeValue([spec])])
    ])
    assert.deepEqual(
      told.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled']
    )
    const atOnce = store.keepJob({ ...job, id: 'once' }, pieces)
    store.verification('once')
    assert.ok(store.has('once'))
    await atOnce
    for (const id of ['job', 'once']) assert.deepEqual(encodeValue(store.specs(id)), whole)
    assert.deepEqual(store.specs('small'), [spec])
    store.close()
  })

  it('goes on after a transaction that could not begin', async () => {
    const store = openStore(file)
    store.addJob(job, encodeValue([spec]))
    store.db.exec('BEGIN')
    assert.throws(() => store.running('job'))
    store.db.exec('ROLLBACK')
    store.running('job')
    assert.equal(store.job('job')?.state, 'running')
    store.close()
  })

  it('takes no file away before its commit, and leaves none of a job that is not written', async () => {
    const store = openStore(file)
    const files = (id: string) => readdir(join(folder, 'values', id)).catch(() => [])
    const large = new Uint8Array(200_000)
    store.addJob(job, encodeValue([spec]))
    store.addSlice('job', { ...slice(0), value: large })
    store.db.exec("CREATE TRIGGER full BEFORE UPDATE ON jobs BEGIN SELECT RAISE(ABORT, 'full'); END")
    const end = { ...ended, state: 'completed' as const, finished: 2000 }
    const told = await Promise.allSettled([
      store.later('job', () => store.endJob('job', end)),
      store.later('other', () => {
        store.addJob({ ...job, id: 'other' }, large)
        store.running('other')
      })
    ])
    assert.deepEqual(
      told.map(({ status }) => status),
      ['rejected', 'rejected']
    )
    assert.deepEqual([await files('job'), await files('other')], [['0-0'], []])
    store.close()
  })
})
