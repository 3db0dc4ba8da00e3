import { strict as assert } from 'node:assert'
import { DatabaseSync } from 'node:sqlite'
import { transact } from '../../../services/host/index.ts'

describe('host: a transaction', () => {
  let db: DatabaseSync
  beforeEach(() => {
    db = new DatabaseSync(':memory:')
    db.exec('CREATE TABLE t (x)')
  })
  afterEach(() => db.close())
  const add = (x: unknown): void => void db.prepare('INSERT INTO t VALUES (?)').run(x as number)
  const rows = (): unknown[] =>
    db
      .prepare('SELECT x FROM t')
      .all()
      .map(({ x }) => x)

  it('is whole or nothing, with all that it calls', () => {
    assert.equal(
      transact(db, () => {
        add(1)
        transact(db, () => add(2))
        return 'done'
      }),
      'done'
    )
    assert.throws(
      () =>
        transact(db, () => {
          transact(db, () => add(3))
          throw new RangeError('no')
        }),
      RangeError
    )
    assert.deepEqual(rows(), [1, 2])
  })

  it('says what was wrong where SQLite has rolled it back by itself', () => {
    assert.throws(
      () =>
        transact(db, () => {
          add(1)
          // what a full disk does in the middle
          db.exec('ROLLBACK')
          throw new Error('database or disk is full')
        }),
      /disk is full/
    )
    assert.deepEqual(rows(), [])
  })
})
