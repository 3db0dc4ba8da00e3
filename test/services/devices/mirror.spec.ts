import { deepEqual, equal, rejects } from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isSignedBy } from '../../../ledger/index.ts'
import { type Postgres, startPostgres } from '../../../node/demo/vm-postgres.ts'
import { openChains } from '../../../services/devices/delivery/chains.ts'
import { GENESIS, type Head } from '../../../services/devices/log/entry.ts'
import { createMirror, readMirrorUrl } from '../../../services/devices/mirror/mirror.ts'
import { MachineDisk } from '../../simulation/devices-disk.ts'
import { createRandom } from '../../simulation/random.ts'
import { batchOf, chain } from './logs.ts'

const { signal } = new AbortController()

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
    const { host, user, database } = postgres.settings
    const mirror = createMirror(`postgres://${user}@/${database}?host=${encodeURIComponent(host)}`, chains)
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
