import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { DatabaseError, HostUnfitError, QemuError, StorageError } from '../../../services/vm/errors.ts'
import type { Live } from '../../../services/vm/machines/live.ts'
import { createSnapshots } from '../../../services/vm/machines/snapshots.ts'
import { frozenLayers } from '../../../services/vm/store/layers.ts'
import {
  chainOf,
  disksOf,
  insertLayer,
  insertSnapshot,
  ownMachine,
  totalsOf,
  updateMachine
} from '../../../services/vm/store/records.ts'
import { overSqlite } from '../../../services/vm/store/sqlite.ts'
import { type MachinesHost, OWNER, openEmbedded, openMachines } from './machines-host.ts'

describe('what holds of machines whatever happens', () => {
  let host: MachinesHost
  const layers = async () => (await readdir(join(host.folder, 'layers'))).sort()
  const machine = async (id: string) => (await ownMachine(host.database, OWNER, id))!
  const refused = (work: Promise<unknown>, name: string) => assert.rejects(work, { name })

  beforeEach(async () => {
    host = await openMachines({ quotas: { machines: 3, ramMb: 256, cpu: 4, diskGb: 4 } })
    await host.registry.auth(OWNER, 'one', '64', '1')
    await host.registry.addDisk(OWNER, 'd1', 'one', '2')
  })
  afterEach(() => host?.end())

  it('clones, machines out of the trash and figures that wait for a start count as all others', async () => {
    const { registry, snapshots, database } = host
    await snapshots.clone(OWNER, 'one', 'two')
    const before = await layers()
    await refused(snapshots.clone(OWNER, 'one', 'three'), 'QuotaError') // of 6 GB
    // the clone has frozen what it was to be made of, and left no top
    assert.equal((await layers()).length, before.length + 1)
    await registry.remove(OWNER, 'two')
    await registry.auth(OWNER, 'big', '160', '1')
    await refused(registry.restore(OWNER, 'two'), 'QuotaError') // of 288 MB
    assert.deepEqual(
      (await registry.list(OWNER)).map(({ id }) => id),
      ['big', 'one']
    )
    await registry.remove(OWNER, 'big')
    await registry.restore(OWNER, 'two')

    await updateMachine(database, (await machine('one')).uuid, { pending: { ramMb: 192, cpu: 3 } })
    assert.deepEqual(await totalsOf(database, OWNER), { machines: 2, ramMb: 256, cpu: 4, diskGb: 4 })
    await refused(registry.update(OWNER, 'two', '65', '1'), 'QuotaError')
    assert.equal((await registry.show(OWNER, 'two')).ramMb, 64)
    await refused(registry.grow(OWNER, 'd1', 3), 'QuotaError')
    assert.equal((await registry.show(OWNER, 'one')).disks[0]!.sizeGb, 2)
  })

  it('a machine is free again where the database was gone when it was to be released', async () => {
    let isAway = true
    const flaky = await openMachines({
      database: async folder => {
        const database = openEmbedded(join(folder, 'vm.sqlite'))
        return {
          ...database,
          query: (sql, ...values) =>
            isAway && sql.startsWith('DELETE FROM operations WHERE machine')
              ? Promise.reject(new DatabaseError('the database is gone'))
              : database.query(sql, ...values)
        }
      }
    })
    try {
      await flaky.registry.auth(OWNER, 'kept', '64', '1')
      const update = () => flaky.registry.update(OWNER, 'kept', '128', '1')
      await assert.rejects(update(), { name: 'DatabaseError' })
      isAway = false
      assert.equal(await update(), 'updated')
      // who holds it holds it
      const both = await Promise.allSettled([update(), update()])
      assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    } finally {
      await flaky.end()
    }
  })

  it('a full disk is told as that, a damaged database as one; both without its words', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'artel-vm-'))
    const file = join(folder, 'vm.sqlite')
    const faults: Error[] = []
    let sqlite: DatabaseSync | undefined
    const open = () =>
      openMachines({
        folder,
        async database() {
          await openEmbedded(file).close()
          sqlite = new DatabaseSync(file)
          return overSqlite(sqlite, error => faults.push(error))
        }
      })
    const tight = await open()
    try {
      sqlite!.exec('PRAGMA max_page_count = 1')
      const add = (i: number) => tight.registry.add(OWNER, `m${i}`, '16', '1')
      await refused(
        (async () => {
          for (let i = 0; i < 1_000; i++) await add(i)
        })(),
        'StorageError'
      )
      assert.equal(faults.length, 0)
      sqlite!.exec('PRAGMA max_page_count = 100000')
      await add(1_000)
      const { rootpage } = sqlite!
        .prepare(`SELECT rootpage FROM sqlite_schema WHERE name = 'machines'`)
        .get() as { rootpage: number }
      await tight.close()
      sqlite!.close()
      const pages = await readFile(file)
      randomBytes(4_096).copy(pages, (rootpage - 1) * 4_096)
      await writeFile(file, pages)
      await refused(open(), 'DatabaseError')
      assert.match(faults[0]!.message, /malformed/)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('what was taken out of the trash keeps its files', async () => {
    const { uuid } = await machine('one')
    await host.registry.remove(OWNER, 'one')
    const before = await layers()
    await host.registry.restore(OWNER, 'one')
    // the trash had looked at it before
    await refused(host.trash.purge(uuid, { keepsRow: true }), 'ExistsError')
    assert.deepEqual(await layers(), before)
    assert.ok(existsSync(host.context.machineFolder(uuid)))
    assert.equal((await host.registry.check(OWNER))[0]!.isSound, true)
  })

  it('nothing that a guest wrote is left out, whether QEMU refuses a freeze or falls silent in it', async () => {
    const one = await machine('one')
    await mkdir(join(host.context.machineFolder(one.uuid), 'run'), { recursive: true })
    const tops = async () => (await disksOf(host.database, one.uuid)).map(({ top }) => top)
    const [first] = await tops()
    const freeze = (error: QemuError) => {
      const handle = {
        observe: () => ({ isAlive: true, qmp: 'running' }),
        ask: async (command: string) => {
          if (command === 'transaction') throw error
        }
      }
      const power = { ...host.power, live: () => handle as unknown as Live }
      return createSnapshots(host.context, power).freeze(one)
    }
    await refused(freeze(new QemuError('no', { isRefusal: true })), 'QemuError')
    assert.deepEqual(await tops(), [first])
    assert.deepEqual(await layers(), [first])
    await refused(freeze(new QemuError('no answer')), 'QemuError')
    const [second] = await tops()
    assert.notEqual(second, first)
    assert.deepEqual(await chainOf(host.database, second!), [first, second])
  })

  it('a snapshot, a clone and a rollback that find no room for one of two disks leave nothing of the other', async () => {
    let room = 1_000
    const tight = await openMachines({
      database: async folder => {
        const database = openEmbedded(join(folder, 'vm.sqlite'))
        return {
          ...database,
          query: (sql, ...values) =>
            sql.startsWith('INSERT INTO layers') && room-- <= 0
              ? Promise.reject(new StorageError('this host has no room for its records of machines'))
              : database.query(sql, ...values)
        }
      }
    })
    try {
      const { registry, snapshots, power } = tight
      await registry.auth(OWNER, 'two', '16', '1')
      for (const id of ['e1', 'e2']) await registry.addDisk(OWNER, id, 'two', '1')
      await snapshots.take(OWNER, 'two', 'before')
      await power.start(OWNER, 'two')
      const { uuid } = await registry.show(OWNER, 'two')
      const kept = async () => ({
        files: (await readdir(join(tight.folder, 'layers'))).sort(),
        disks: await disksOf(tight.database, uuid),
        pid: (await registry.show(OWNER, 'two')).pid
      })
      const before = await kept()
      for (const work of [
        () => snapshots.take(OWNER, 'two', 'next'),
        () => snapshots.clone(OWNER, 'two', 'copy', 'before'),
        () => snapshots.restore(OWNER, 'two', 'before')
      ]) {
        room = 1
        await refused(work(), 'StorageError')
        // its guest runs on
        assert.deepEqual(await kept(), before)
      }
      room = 1_000
      await snapshots.restore(OWNER, 'two', 'before')
      assert.equal((await registry.check(OWNER))[0]!.isSound, true)
    } finally {
      await tight.end()
    }
  })

  it('what is still written to is offered to nobody as frozen', async () => {
    const { database, context } = host
    const one = await machine('one')
    const [disk] = await disksOf(database, one.uuid)
    await host.snapshots.take(OWNER, 'one', 's1')
    assert.deepEqual(await frozenLayers(database, OWNER), [disk!.top])
    // a top on its way to a disk
    await insertLayer(database, randomUUID(), disk!.top, OWNER)
    assert.deepEqual(await frozenLayers(database, OWNER), [disk!.top])
    await context.hold(OWNER, one, 'snapshot', async () =>
      assert.deepEqual(await frozenLayers(database, OWNER), [])
    )
  })

  it('memory goes on only in a machine of the figures that it was saved with, and where its owner may be', async () => {
    const { uuid } = await machine('one')
    const [disk] = await disksOf(host.database, uuid)
    const memory = { layer: randomUUID(), ramMb: 128, cpu: 1, slots: [{ disk: disk!.uuid, slot: 0 }] }
    const snapshot = { uuid: randomUUID(), machine: uuid, name: 's1', at: 0, isScheduled: false }
    await insertSnapshot(host.database, { ...snapshot, disks: [], memory })
    await refused(host.snapshots.restore(OWNER, 'one', 's1'), 'ExistsError')
    host.context.needFit = () => {
      throw new HostUnfitError('not here')
    }
    await refused(host.power.start(OWNER, 'one'), 'HostUnfitError')
  })
})
