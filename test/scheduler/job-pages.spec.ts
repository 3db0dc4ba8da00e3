import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { encodeValue } from '../../sandbox/index.ts'
import type { JobQuery } from '../../scheduler/contract.ts'
import { createJobPages, reportOf } from '../../scheduler/store/job-pages.ts'
import type { StoredJob } from '../../scheduler/store/job-rows.ts'
import { openStore } from '../../scheduler/store/job-store.ts'

const TYPES = ['map', 'filter', 'batch'] as const
const STATES = ['queued', 'completed', 'failed'] as const
const NO_SPECS = encodeValue([])

const jobs = fc.uniqueArray(
  fc.record({
    id: fc.stringMatching(/^[0-9a-f]{1,4}$/),
    // few, so that many jobs share one
    submitted: fc.nat(5),
    type: fc.constantFrom(...TYPES),
    state: fc.constantFrom(...STATES)
  }),
  { selector: ({ id }) => id, maxLength: 40 }
)

describe('scheduler/job-pages', () => {
  const open = (all: Pick<StoredJob, 'id' | 'submitted' | 'type' | 'state'>[]) => {
    const store = openStore(':memory:')
    for (const { state, ...job } of all) {
      store.addJob({ ...job, bound: 1n }, NO_SPECS)
      if (state !== 'queued')
        store.endJob(job.id, { state, finished: 9, done: 1, total: 1, retries: 0, shares: [] })
    }
    return { store, pages: createJobPages(store.db) }
  }

  it('gives every job once, newest first, whatever the size of a page and the filter', () => {
    fc.assert(
      fc.property(
        jobs,
        fc.integer({ min: 1, max: 7 }),
        fc.option(fc.constantFrom(...STATES), { nil: undefined }),
        fc.option(fc.constantFrom(...TYPES), { nil: undefined }),
        (all, limit, state, type) => {
          const { store, pages } = open(all)
          const wanted = all
            .filter(job => (state == null || job.state === state) && (type == null || job.type === type))
            .sort((a, b) => b.submitted - a.submitted || (a.id < b.id ? 1 : -1))
            .map(({ id }) => id)
          const seen: string[] = []
          let before: JobQuery['before']
          for (;;) {
            const { items, total } = pages.page({ limit, before, state, type })
            assert.equal(total, wanted.length)
            assert.ok(items.length <= limit)
            seen.push(...items.map(({ id }) => id))
            before = items.at(-1)
            if (before == null) break
          }
          assert.deepEqual(seen, wanted)
          store.close()
        }
      )
    )
  })

  it('does not show a job twice when others are submitted while somebody reads', () => {
    const { store, pages } = open(
      [1, 2, 3].map(n => ({ id: `j${n}`, submitted: n, type: 'map', state: 'queued' }))
    )
    const first = pages.page({ limit: 2 }).items
    store.addJob({ id: 'new', submitted: 9, type: 'map', bound: 1n }, NO_SPECS)
    const rest = pages.page({ limit: 9, before: first.at(-1) }).items
    assert.deepEqual(
      [...first, ...rest].map(({ id }) => id),
      ['j3', 'j2', 'j1']
    )
    store.close()
  })

  it('searches no further than the page, by plan of the database', () => {
    const { store } = open([])
    const plan = (where: string): string =>
      JSON.stringify(
        store.db
          .prepare(`EXPLAIN QUERY PLAN SELECT * FROM jobs ${where} ORDER BY submitted DESC, id DESC LIMIT 50`)
          .all()
      )
    for (const filter of ['', 'state = 1 AND', 'type = 1 AND', 'state = 1 AND type = 1 AND']) {
      const used = plan(`WHERE ${filter} (submitted, id) < (1, 2)`)
      assert.match(used, /USING INDEX/, filter)
      assert.doesNotMatch(used, /TEMP B-TREE|SCAN/, filter)
    }
    store.close()
  })

  it('counts also what an older version left behind', () => {
    const { store } = open([])
    store.db.exec('DROP TABLE job_counts; DROP TRIGGER jobs_added; DROP TRIGGER jobs_moved')
    for (const id of ['a', 'b']) store.addJob({ id, submitted: 1, type: 'map', bound: 1n }, NO_SPECS)
    const pages = createJobPages(store.db)
    store.running('a')
    assert.equal(pages.page({ limit: 1 }).total, 2)
    assert.equal(pages.page({ limit: 1, state: 'running' }).total, 1)
    store.close()
  })

  it('reports how a job ended without its spec', () => {
    const { store, pages } = open([])
    store.addJob({ id: 'a', submitted: 1, type: 'map', name: 'primes', bound: 7n }, NO_SPECS)
    const shares = [{ worker: 'w', slices: 2, units: 30, paid: 2n ** 60n }]
    store.endJob('a', { state: 'cancelled', finished: 5, done: 30, total: 100, retries: 2, shares })
    const [stored] = pages.page({ limit: 1 }).items
    const report = reportOf(stored!, 'other')
    assert.deepEqual(
      [report.name, report.state, report.done, report.total, report.retries, report.paid, report.memoOf],
      ['primes', 'cancelled', 30, 100, 2, 2n ** 60n, 'other']
    )
    assert.deepEqual(report.shares, shares)
    store.close()
  })
})
