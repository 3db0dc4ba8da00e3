import { deepEqual, equal, rejects } from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { importRows, rowOf } from '../../../services/sas/lists/import-rows.ts'
import { MIGRATIONS } from '../../../services/sas/migrations.ts'

const COLUMNS = 'time_,mac,property_code,value,game_number,it_id'
/** as the program of before wrote them */
const row = (i: number, mac = 'abc123'): string =>
  `INSERT INTO gaming_transactions(${COLUMNS})            VALUES ('2024-05-01 12:00:0${i % 10}.12','${mac}','24',${i},'0000',${i})`

describe('sas: rows of before', () => {
  let folder: string
  const log: { device: string; kind: string; body: Record<string, unknown> }[] = []
  let room = Number.POSITIVE_INFINITY
  const devices = {
    open: async ({ kind, serial }: { kind: string; serial: string }) => ({
      id: `${kind}:${serial}`,
      async event(of: string, body: never) {
        if (log.length >= room) throw new Error('killed')
        log.push({ device: `${kind}:${serial}`, kind: of, body })
        return undefined
      },
      latest: async (of: string) =>
        log.filter(each => each.device === `${kind}:${serial}` && each.kind === of).at(-1)?.body,
      sample: async () => undefined,
      before: async () => undefined,
      samples: async () => [],
      close() {}
    })
  }
  beforeEach(async () => {
    log.length = 0
    room = Number.POSITIVE_INFINITY
    folder = await mkdtemp(join(tmpdir(), 'artel-sas-rows-'))
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))
  const write = (statements: unknown): Promise<void> =>
    writeFile(join(folder, 'tmp_db_data.json'), JSON.stringify(statements, undefined, 1), { mode: 0o600 })
  function open(): DatabaseSync {
    const db = new DatabaseSync(':memory:')
    db.exec(MIGRATIONS.join(';'))
    return db
  }
  const take = (db: DatabaseSync): Promise<void> => importRows({ folder, db, devices, now: () => 1 })

  it('are read as they were written, and nothing else is one', () => {
    deepEqual(rowOf(row(7)), {
      ...{ kind: 'transaction', mac: 'abc123' },
      body: { time: '2024-05-01 12:00:07.12', code: '24', value: 7, game: '0000', block: 7 }
    })
    deepEqual(
      rowOf(
        `INSERT INTO GameMachines(description,PC_name,serial_number,mac,disable) VALUES ('nothing','it''s, \\'a\\' (pc)','000001','m',0);`
      ),
      { kind: 'machine', mac: 'm', body: { computer: `it's, 'a' (pc)`, serial: '000001' } }
    )
    for (const wrong of [
      '',
      'DELETE FROM gaming_transactions',
      row(1).replace('gaming_transactions', 'users'),
      row(1).replace("'0000',", ''),
      row(1).replace("'24'", '(SELECT 1)'),
      row(1).replace("'abc123'", "'a b'"),
      `${row(1)}; DROP TABLE users`,
      `${row(1)}, ${row(2)}`
    ])
      equal(rowOf(wrong), undefined, wrong)
  })

  it('are each once in the log, wherever it is cut', async () => {
    const statements = Array.from({ length: 600 }, (_, i) => row(i, i % 3 === 0 ? 'one' : 'two'))
    await write(statements)
    const db = open()
    for (const cut of [0, 1, 255, 256, 300, 599]) {
      room = cut
      await rejects(take(db), /killed/)
    }
    room = Number.POSITIVE_INFINITY
    await take(db)
    deepEqual(
      log.map(({ body }) => body.row).sort((a, b) => Number(a) - Number(b)),
      statements.map((_, i) => i + 1)
    )
    equal(log.filter(({ device }) => device === 'sas-before:one').length, 200)
    await take(db)
    equal(log.length, 600)
    // other rows are another file, and the first one is over also where it comes again
    await write([row(1)])
    await take(db)
    await write(statements)
    await take(db)
    equal(log.length, 601)
  })

  it('are taken all or none', async () => {
    await write([row(1), row(2), 'DROP TABLE gaming_transactions'])
    await rejects(take(open()), { name: 'ListFileError', message: /line 4: \[2\]: is no row of/ })
    await write([row(1), 7])
    await rejects(take(open()), /line 3: \[1\]: /)
    deepEqual(log, [])
    await rm(join(folder, 'tmp_db_data.json'))
    await take(open())
  })
})
