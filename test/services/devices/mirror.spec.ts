import { deepEqual, equal, ok, rejects } from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { isSignedBy } from '../../../ledger/index.ts'
import { type Postgres, startPostgres } from '../../../node/demo/vm-postgres.ts'
import { openChains } from '../../../services/devices/delivery/chains.ts'
import { createFolderDisk } from '../../../services/devices/log/disk.ts'
import { type Entry, GENESIS, type Head } from '../../../services/devices/log/entry.ts'
import { folderOf } from '../../../services/devices/log/folders.ts'
import { createMirror, readMirrorUrl } from '../../../services/devices/mirror/mirror.ts'
import { VIEWS } from '../../../services/sas/views.ts'
import { until } from '../../bootstrap/nodes.ts'
import { MachineDisk } from '../../simulation/devices-disk.ts'
import { createRandom } from '../../simulation/random.ts'
import { batchFrom, batchOf, chain } from './logs.ts'

const { signal } = new AbortController()
/** more than the half of what is read together: each is written by itself */
const BATCH = 300
/**
 * Each of the seven queries of the first batch has three points: of its rows, its cursor and its COMMIT some, and some
 * of the batch after it.
 */
const POINTS = [14, 15, 18, 20, 21, 30, 35]
const BACKENDS =
  "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
const CONNECTED = `SELECT count(*) FROM (${BACKENDS}) AS mirror`
const ROWS_AND_CURSOR =
  'SELECT (SELECT count(*) FROM artel_device_entry), (SELECT coalesce(max(next), 0) FROM artel_device_cursor)'
const urlOf = ({ settings: { host, user, database } }: Postgres): string =>
  `postgres://${user}@/${database}?host=${encodeURIComponent(host)}`

describe('devices: a database that mirrors the logs', function () {
  this.timeout(600_000)
  let postgres: Postgres
  before(async () => {
    postgres = await startPostgres()
  })
  after(() => postgres.stop())

  it('has each entry once, in order, also of a chain with a gap, and tells what is missing or another one', async () => {
    const disk = new MachineDisk(createRandom(1))
    const chains = await openChains({
      self: 'nobody',
      isSigned: isSignedBy,
      disk: () => disk.open('log'),
      there: [],
      onFound: () => {}
    })
    const log = await chains.kept(chain)
    const write = async (from: number, before: Head, count: number, body?: object): Promise<Head> => {
      const { batch, head } = batchOf(from, before.hash, count, 0, body as never)
      await log.append(batch, head)
      return head
    }
    let head = await write(0, GENESIS, 500)
    head = await write(500, head, 200)
    head = await write(1_000, head, 3, { text: 'a\0b "\\u0000" \ud800', big: 2n ** 60n })
    const mirror = createMirror(urlOf(postgres), chains)
    await mirror.catchUp(signal)
    await mirror.catchUp(signal)
    const right = { ...chain, first: 0, last: 1_002, rows: 703, missing: 0, wrong: 0, unknown: 0 }
    deepEqual(await mirror.reconcile(signal), [right])
    equal((await postgres.query('SELECT sum((body->>$$v$$)::int) FROM artel_device_entry')).trim(), '244650')

    // the cursor is lost: what is there stays once
    await postgres.query('DELETE FROM artel_device_cursor')
    await mirror.catchUp(signal)
    deepEqual(await mirror.reconcile(signal), [right])

    await postgres.query(`
      DELETE FROM artel_device_entry WHERE seq = 5;
      UPDATE artel_device_entry SET body = '{"v": 7}' WHERE seq = 6;
      INSERT INTO artel_device_entry SELECT agent, number, 1002, 0, device, class, kind, body, hash
        FROM artel_device_entry WHERE seq = 7 ON CONFLICT DO NOTHING`)
    deepEqual(await mirror.reconcile(signal), [{ ...right, rows: 701, missing: 1, wrong: 1 }])
    await mirror.close()
  })

  it('shows what drivers say of it, and calls a procedure after it has written, until that worked', async () => {
    await postgres.query(`
      DROP TABLE IF EXISTS artel_device_entry, artel_device_cursor CASCADE; CREATE TABLE seen (count bigint)`)
    const seen = async (): Promise<string> => (await postgres.query('SELECT * FROM seen')).trim()
    const chains = await openChains({
      ...{ self: 'nobody', isSigned: isSignedBy, there: [], onFound: () => {} },
      disk: () => new MachineDisk(createRandom(1)).open('log')
    })
    const log = await chains.kept(chain)
    const write = async (entries: Partial<Entry>[]): Promise<void> => {
      const { seq, hash } = log.head
      const of = entries.map(each => ({ device: 'sas:A-17', ...each }))
      const { batch, head } = batchFrom(seq + 1, hash, of)
      await log.append(batch, head)
    }
    const mirror = createMirror(urlOf(postgres), chains, 'told')
    for (const view of VIEWS) mirror.show(view)
    const meters = (body: object): Partial<Entry> => ({ kind: 'meters', body: body as never })
    const row = (block: unknown, coinIn: unknown, more = {}) =>
      meters({ block, why: 'growth', totals: { coinIn }, grown: { coinIn, bills: 5 }, ...more })
    const about = (body: Entry['body']): Partial<Entry> => ({ kind: 'device', body })
    await write([about({ name: 'AT A-17' }), row(0, 15), row(1, 4, { fell: { coinIn: 'rollover' } })])
    // a program has a table of that name: nothing but the view waits
    await postgres.query('CREATE TABLE gaming_transactions (time_ timestamptz)')
    await rejects(mirror.catchUp(signal), { name: 'MirrorError', message: /view gaming_transactions/ })
    equal((await postgres.query('SELECT count(*) FROM artel_device_entry')).trim(), '3')
    equal((await postgres.query('SELECT mac FROM gamemachines')).trim(), 'A-17')
    await postgres.query('DROP TABLE gaming_transactions')
    // not there yet: what is written is written
    await rejects(mirror.catchUp(signal), { name: 'MirrorError', message: /told.*does not exist/ })
    await postgres.query(
      'CREATE PROCEDURE told() LANGUAGE sql AS $$ INSERT INTO seen SELECT count(*) FROM artel_device_entry $$'
    )
    await mirror.catchUp(signal)
    await mirror.catchUp(signal)
    equal(await seen(), '3')
    const transactions = `SELECT extract(epoch FROM time_)::bigint, mac, property_code, value, it_id, seq, total, flags
      FROM gaming_transactions ORDER BY seq, property_code`
    const right = [
      '1800000000|A-17|00|15|0|1|15|',
      '1800000000|A-17|0B|5|0|1||',
      '1800000000|A-17|00|4|1|2|4|rollover',
      '1800000000|A-17|0B|5|1|2||'
    ]
    deepEqual((await postgres.query(transactions)).trim().split('\n'), right)
    equal((await postgres.query('SELECT description, mac FROM gamemachines')).trim(), 'AT A-17|A-17')
    // an agent may write anything
    await write([row('x', '1'), row(null, {}), meters({ grown: 7, fell: [] }), about({})])
    await mirror.catchUp(signal)
    equal(await seen(), '3\n7')
    deepEqual((await postgres.query(`${transactions} LIMIT 4`)).trim().split('\n'), right)
    equal((await postgres.query('SELECT sum(value) FROM gaming_transactions')).trim(), '39')
    await mirror.close()
  })

  /** A log of so many batches in a folder of its own, and the address of the database without rows. */
  async function logIn(folder: string, batches: number) {
    await postgres.query('DROP TABLE IF EXISTS artel_device_entry, artel_device_cursor CASCADE')
    const chains = await openChains({
      self: 'nobody',
      isSigned: isSignedBy,
      disk: each => createFolderDisk(folderOf(folder, each)),
      there: [],
      onFound: () => {}
    })
    const log = await chains.kept(chain)
    let before: Head = GENESIS
    for (let i = 0; i < batches; i++) {
      const { batch, head } = batchOf(i * BATCH, before.hash, BATCH)
      await log.append(batch, head)
      before = head
    }
    const last = batches * BATCH - 1
    const right = { ...chain, first: 0, last, rows: last + 1, missing: 0, wrong: 0, unknown: 0 }
    return { chains, url: urlOf(postgres), right }
  }

  it('killed at any query of a batch has each entry once in the end', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'artel-mirror-'))
    try {
      const { chains, url, right } = await logIn(folder, 14)
      let known = 0
      for (const point of POINTS) {
        const args = ['test/services/devices/killed-mirror.ts', folder, url, String(point)]
        const [code, by] = await once(spawn(process.execPath, args, { stdio: 'inherit' }), 'exit')
        deepEqual([code, by], [null, 'SIGKILL'], `at ${point}`)
        // what the killed one had begun is over once nobody is connected
        await until(async () => (await postgres.query(CONNECTED)).trim() === '0', 'the server has seen it')
        const tables = (await postgres.query("SELECT to_regclass('artel_device_entry') IS NOT NULL")).trim()
        if (tables === 'f') continue
        const [rows, next] = (await postgres.query(ROWS_AND_CURSOR)).trim().split('|').map(Number)
        equal(rows, next, `at ${point}: rows and cursor are one`)
        ok(rows! >= known, `at ${point}: what was there stays`)
        known = rows!
      }
      ok(known > 0 && known <= right.last, `${known} rows: there is something before, and something left`)
      const mirror = createMirror(url, chains)
      await mirror.catchUp(signal)
      deepEqual(await mirror.reconcile(signal), [right])
      await mirror.close()
      await chains.close()
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('whose server cuts it off at any query has each entry once in the end', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'artel-mirror-'))
    const { query } = pg.Client.prototype
    try {
      const { chains, url, right } = await logIn(folder, 3)
      const mirror = createMirror(url, chains)
      let cuts = 0
      for (let at = 1; at <= 13; at++) {
        let left = at
        Object.assign(pg.Client.prototype, {
          async query(...values: never[]) {
            if (--left === 0) {
              await postgres.query(`SELECT pg_terminate_backend(pid) FROM (${BACKENDS}) AS mirror`)
              cuts++
            }
            return Reflect.apply(query, this, values)
          }
        })
        const work = mirror.catchUp(signal)
        await work.catch((error: Error) => equal(error.name, 'MirrorError'))
      }
      Object.assign(pg.Client.prototype, { query })
      ok(cuts > 5, `it was cut off ${cuts} times`)
      await mirror.catchUp(signal)
      deepEqual(await mirror.reconcile(signal), [right])
      await mirror.close()
      await chains.close()
    } finally {
      Object.assign(pg.Client.prototype, { query })
      await rm(folder, { recursive: true })
    }
  })

  it('may be away: nothing is lost, and the reason is told', async () => {
    const mirror = createMirror('postgres://artel@127.0.0.1:1/none', {
      all: () => [{ chain, first: 0, head: { seq: 3, hash: GENESIS.hash } }] as never,
      find: () => undefined,
      of: () => []
    })
    await rejects(mirror.catchUp(signal), { name: 'MirrorError', message: /ECONNREFUSED/ })
    await mirror.close()
  })

  it('has an address that only its owner may read', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'artel-mirror-'))
    try {
      const file = join(folder, 'url')
      await writeFile(file, 'postgres://a:b@c/d\n', { mode: 0o600 })
      equal(await readMirrorUrl(file), 'postgres://a:b@c/d')
      await chmod(file, 0o644)
      await rejects(readMirrorUrl(file), { name: 'MirrorError', message: /chmod 600/ })
      await rejects(readMirrorUrl(join(folder, 'none')), { name: 'MirrorError' })
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
