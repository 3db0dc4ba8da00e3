import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, open, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { vm } from '../../../services/index.ts'
import { contentOf, writeChunks } from '../../../services/vm/machines/content.ts'
import { type Description, description } from '../../../services/vm/machines/description.ts'
import { openJournal } from '../../../services/vm/machines/journal.ts'
import { createConsole } from '../../../services/vm/qemu/console.ts'
import { chainOf, insertLayer, MOST_LAYERS } from '../../../services/vm/store/records.ts'
import { MIGRATIONS } from '../../../services/vm/store/schema.ts'
import { overSqlite } from '../../../services/vm/store/sqlite.ts'

const MB = 2 ** 20

describe('the journal of machines', () => {
  it('writes nothing once it is closed: the number of its file is that of another one then', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'artel-journal-'))
    try {
      const machine = randomUUID()
      const lines = new Map([[machine, `${JSON.stringify({ machine: { uuid: machine } })}\n`]])
      const journal = await openJournal(folder, uuid => join(folder, uuid, 'machine.json'), assert.ifError)
      await journal.append(lines)
      const closed = journal.close()
      const late = journal.append(lines)
      late.catch(() => {})
      await closed
      await using another = await open(join(folder, 'another'), 'w+')
      await assert.rejects(late, /closed/)
      await assert.rejects(journal.append(lines), /closed/)
      await journal.settle()
      assert.equal((await another.stat()).size, 0)
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})

describe('what a stranger says of a machine', () => {
  const [base, top, other] = [randomUUID(), randomUUID(), randomUUID()]
  const told: Description = {
    version: 1,
    machine: {
      ...{
        uuid: randomUUID(),
        owner: 'owner',
        id: 'm1',
        ramMb: 64,
        cpu: 1,
        active: true,
        authenticated: true
      },
      ...{ desired: 'stopped', spec: { boot: { kind: 'disk' } } }
    },
    disks: [{ uuid: randomUUID(), id: 'd1', sizeGb: 1, top }],
    layers: [{ uuid: base }, { uuid: top, parent: base }],
    snapshots: [],
    grants: []
  }
  const isTaken = (change: Partial<Description>) => description.safeParse({ ...told, ...change }).success
  const snapshot = (layer: string) => ({
    ...{ uuid: randomUUID(), name: 's1', at: 0, isScheduled: false },
    disks: [{ disk: told.disks[0]!.uuid, layer }]
  })

  it('is believed only where every chain of layers has its bottom, and each top its own disk', () => {
    assert.ok(isTaken({}))
    assert.ok(isTaken({ snapshots: [snapshot(base)] }))
    assert.ok(!isTaken({ layers: [{ uuid: base, parent: top }, told.layers[1]!] }), 'a circle')
    assert.ok(!isTaken({ layers: [{ uuid: base, parent: base }, told.layers[1]!] }), 'one on itself')
    assert.ok(!isTaken({ layers: told.layers.toReversed() }), 'the other way round')
    assert.ok(!isTaken({ layers: [...told.layers, { uuid: top }] }), 'one twice')
    assert.ok(!isTaken({ layers: [{ uuid: base }] }), 'no top')
    assert.ok(!isTaken({ snapshots: [snapshot(other)] }), 'a snapshot of what is not there')
    assert.ok(!isTaken({ snapshots: [snapshot(top)] }), 'a snapshot that is written to')
    const second = { ...told.disks[0]!, uuid: randomUUID(), id: 'd2' }
    assert.ok(!isTaken({ disks: [told.disks[0]!, second] }), 'two disks on one top')
    const below = { ...second, top: base }
    assert.ok(!isTaken({ disks: [told.disks[0]!, below] }), 'a top beneath another')
  })

  it('holds no query up: a circle of layers in the database has an end', async () => {
    const sqlite = new DatabaseSync(':memory:')
    for (const migration of MIGRATIONS) sqlite.exec(migration)
    const db = overSqlite(sqlite)
    await insertLayer(db, base, top, 'owner')
    await insertLayer(db, top, base, 'owner')
    await assert.rejects(chainOf(db, top), { name: 'StorageError' })
    const chain = Array.from({ length: MOST_LAYERS }, () => randomUUID())
    for (const [i, uuid] of chain.entries()) await insertLayer(db, uuid, chain[i - 1], 'owner')
    assert.deepEqual(await chainOf(db, chain.at(-1)!), chain)
  })

  it('offers nothing below zero', () => {
    const offer = { freeMb: 1, accelerator: 'kvm', ramGbHour: 0, diskGbHour: 0 }
    const { output } = vm.operations.offer!
    assert.ok(output.safeParse(offer).success)
    for (const field of ['freeMb', 'ramGbHour', 'diskGbHour'])
      assert.ok(!output.safeParse({ ...offer, [field]: -1 }).success, field)
  })

  it('has the node answer others while the zeros of a layer are counted', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'artel-vm-zeros-'))
    try {
      let turns = 0
      let isDone = false
      const turn = () => {
        turns++
        if (!isDone) setImmediate(turn)
      }
      turn()
      const cid = await writeChunks(join(folder, 'layer'), 64 * MB, (async function* () {})())
      isDone = true
      assert.ok(turns >= 64, `${turns} turns`)
      assert.deepEqual(await contentOf(join(folder, 'layer')), { bytes: 64 * MB, cid })
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('leads to no other file where a socket is expected', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'artel-vm-socket-'))
    try {
      await writeFile(join(folder, 'file'), '')
      await symlink('/run/dbus/system_bus_socket', join(folder, 'link'))
      for (const name of ['file', 'link', 'nothing'])
        assert.throws(() => createConsole().attach(join(folder, name)), { name: 'QemuError' })
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})
