import { strict as assert } from 'node:assert'
import { DatabaseSync } from 'node:sqlite'
import { defaultLogger } from '@libp2p/logger'
import { createWorkBook } from '../../scheduler/worker/lent-today.ts'

const log = defaultLogger().forComponent('test')
const work = { slices: 2, ms: 30.5, earned: 700n }

describe('scheduler: what was done for others', () => {
  it('sums slices, time, credits and different requesters of one day, over a restart', () => {
    const db = new DatabaseSync(':memory:')
    const clock = (): Date => new Date(2026, 10, 25, 12)
    const book = createWorkBook(db, log, clock)
    book.add('alice', work)
    book.add('bob', { slices: 1, ms: 1, earned: 1n })
    book.add('alice', work)
    const sum = { slices: 5, cpuMs: 62, earned: 1401n, requesters: 2, since: +new Date(2026, 10, 25) }
    assert.deepEqual(book.today(), sum)
    book.add('alice', work)
    book.flush()
    assert.deepEqual(createWorkBook(db, log, clock).today(), {
      ...sum,
      slices: 7,
      cpuMs: 92.5,
      earned: 2101n
    })
  })

  it('begins every day with nothing, and keeps nothing of others', () => {
    const db = new DatabaseSync(':memory:')
    let now = new Date(2026, 10, 25, 23, 59)
    const book = createWorkBook(db, log, () => now)
    book.add('alice', work)
    now = new Date(2026, 10, 26, 0, 1)
    assert.deepEqual(book.today(), {
      slices: 0,
      cpuMs: 0,
      earned: 0n,
      requesters: 0,
      since: +new Date(2026, 10, 26)
    })
    book.add('bob', work)
    assert.equal(book.today().requesters, 1)
    assert.equal(db.prepare('SELECT count(*) AS rows FROM work_done').get()?.rows, 1)
  })
})
