import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import type { Machine, Snapshot, Spec, Uuid } from '../contract.ts'
import { parseId } from '../core/grammar.ts'
import { ExistsError, NotFoundError } from '../errors.ts'
import { INSIDE, nodeName } from '../qemu/arguments.ts'
import { createImage } from '../qemu/images.ts'
import { linkInto } from '../qemu/process.ts'
import * as records from '../store/records.ts'
import type { Context } from './context.ts'
import type { Power } from './power.ts'

const GB = 1024 ** 3

export interface Snapshots {
  take(caller: string, id: string, name: string, options?: { isScheduled?: boolean }): Promise<Snapshot>
  list(caller: string, id: string): Promise<Snapshot[]>
  /** The disks as they were; a running machine is ended and started again. */
  restore(caller: string, id: string, name: string): Promise<void>
  remove(caller: string, id: string, name: string): Promise<void>
  /** A machine of another id with the disks of this one as they are now or were in a snapshot. */
  clone(caller: string, id: string, newId: string, name?: string): Promise<void>
  /** Within an operation that holds the machine: new empty tops on all disks, what was written so far is frozen. */
  freeze(machine: Machine): Promise<Snapshot['disks']>
}

export function createSnapshots(context: Context, power: Power): Snapshots {
  const { database: db } = context

  /** A new writable layer; the caller puts it on top of something. */
  async function newTop(owner: string, parent: Uuid, sizeGb: number): Promise<Uuid> {
    const top = randomUUID()
    await createImage(context.programs, context.layerFile(top), sizeGb * GB)
    await records.insertLayer(db, top, parent, owner)
    return top
  }

  async function discard(tops: readonly Uuid[]) {
    for (const top of tops) {
      await rm(context.layerFile(top), { force: true })
      await db.query('DELETE FROM layers WHERE uuid = $1', top)
    }
  }

  async function freeze(machine: Machine): Promise<Snapshot['disks']> {
    const disks = await records.disksOf(db, machine.uuid)
    const tops: Uuid[] = []
    try {
      for (const disk of disks) tops.push(await newTop(machine.owner, disk.top, disk.sizeGb))
      const handle = power.live(machine.uuid)
      if (handle.observe().isAlive && disks.length > 0) {
        const folder = context.machineFolder(machine.uuid)
        for (const top of tops) {
          await linkInto(context.layerFile(top), folder)
          await handle.ask('blockdev-add', {
            driver: 'qcow2',
            'node-name': nodeName(top),
            discard: 'unmap',
            file: { driver: 'file', filename: `${INSIDE.run}/${top}`, discard: 'unmap' },
            backing: null
          })
        }
        // all disks at the same moment
        await handle.ask('transaction', {
          actions: disks.map(({ top }, i) => ({
            type: 'blockdev-snapshot',
            data: { node: nodeName(top), overlay: nodeName(tops[i]!) }
          }))
        })
      }
    } catch (error) {
      await discard(tops)
      throw error
    }
    await db.transaction(async queries => {
      for (const [i, disk] of disks.entries()) await records.setTop(queries, disk.uuid, tops[i]!)
    })
    await context.describe(machine.uuid)
    return disks.map(({ uuid, top }) => ({ disk: uuid, layer: top }))
  }

  async function named(machine: Machine, name: string): Promise<Snapshot> {
    const found = (await records.snapshotsOf(db, machine.uuid)).find(snapshot => snapshot.name === name)
    if (found === undefined) throw new NotFoundError(`machine ${machine.id} has no snapshot ${name}`)
    return found
  }

  /** Deletes every layer that nothing stands on and no disk or snapshot holds any more. */
  async function sweep() {
    for (;;) {
      const rows = await db.query<{ uuid: string }>(
        `SELECT uuid FROM layers WHERE uuid NOT IN (SELECT top FROM disks)
           AND uuid NOT IN (SELECT parent FROM layers WHERE parent IS NOT NULL)`
      )
      const held = await db.query<{ disks: string }>('SELECT disks FROM snapshots')
      const specs = await db.query<{ spec: string }>('SELECT spec FROM machines')
      const kept = new Set([
        ...held.flatMap(({ disks }) => (JSON.parse(disks) as Snapshot['disks']).map(({ layer }) => layer)),
        ...specs.flatMap(({ spec }) => bootFiles(JSON.parse(spec)))
      ])
      const free = rows.map(({ uuid }) => uuid).filter(uuid => !kept.has(uuid))
      if (free.length === 0) return
      await discard(free)
    }
  }

  return {
    freeze,
    async take(caller, id, word, { isScheduled = false } = {}) {
      const name = parseId(word, 'snapshot')
      const machine = await context.find(caller, parseId(id), 'snapshot')
      return context.hold(caller, machine, 'snapshot', async () => {
        const known = await records.snapshotsOf(db, machine.uuid)
        if (known.some(snapshot => snapshot.name === name))
          throw new ExistsError(`machine ${id} has a snapshot ${name} already`)
        const disks = await freeze(machine)
        const snapshot = {
          uuid: randomUUID(),
          machine: machine.uuid,
          name,
          at: context.now(),
          isScheduled,
          disks
        }
        await records.insertSnapshot(db, snapshot)
        await context.note(machine.uuid, 'snapshot', name)
        return snapshot
      })
    },
    async list(caller, id) {
      return records.snapshotsOf(db, (await context.find(caller, parseId(id), 'see')).uuid)
    },
    async restore(caller, id, name) {
      const machine = await context.find(caller, parseId(id), 'snapshot')
      await context.hold(caller, machine, 'restore', async () => {
        const snapshot = await named(machine, name)
        const handle = power.live(machine.uuid)
        const wasOn = handle.observe().isAlive
        handle.operation = 'stop'
        try {
          await power.shutDown(machine, true)
          const disks = await records.disksOf(db, machine.uuid)
          const tops = new Map<Uuid, Uuid>()
          for (const { disk, layer } of snapshot.disks) {
            const present = disks.find(({ uuid }) => uuid === disk)
            if (present !== undefined) tops.set(disk, await newTop(machine.owner, layer, present.sizeGb))
          }
          await db.transaction(async queries => {
            for (const [disk, top] of tops) await records.setTop(queries, disk, top)
          })
          await sweep()
          await context.describe(machine.uuid)
          if (wasOn) await power.launch((await records.machineByUuid(db, machine.uuid))!)
          await context.note(machine.uuid, 'snapshot-restored', name)
        } finally {
          handle.operation = undefined
        }
      })
    },
    async remove(caller, id, name) {
      const machine = await context.find(caller, parseId(id), 'snapshot')
      await context.hold(caller, machine, 'snapshot', async () => {
        await records.deleteSnapshot(db, (await named(machine, name)).uuid)
        await sweep()
        await context.note(machine.uuid, 'snapshot-removed', name)
      })
    },
    async clone(caller, id, word, name) {
      const newId = parseId(word)
      const machine = await context.find(caller, parseId(id), 'export')
      await context.hold(caller, machine, 'clone', async () => {
        if ((await records.ownMachine(db, caller, newId)) !== undefined)
          throw new ExistsError(`there is a machine ${newId} already`)
        const source = name === undefined ? await freeze(machine) : (await named(machine, name)).disks
        const disks = await records.disksOf(db, machine.uuid)
        const copy: Machine = {
          ...machine,
          ...{ uuid: randomUUID(), owner: caller, id: newId, desired: 'stopped', pending: undefined }
        }
        const tops: { disk: (typeof disks)[number]; top: Uuid }[] = []
        for (const { disk, layer } of source) {
          const present = disks.find(({ uuid }) => uuid === disk)
          if (present !== undefined)
            tops.push({ disk: present, top: await newTop(caller, layer, present.sizeGb) })
        }
        await db.transaction(async queries => {
          if (!(await records.insertMachine(queries, copy, context.now())))
            throw new ExistsError(`there is a machine ${newId} already`)
          for (const { disk, top } of tops) {
            const own = {
              ...disk,
              uuid: randomUUID(),
              owner: caller,
              machine: copy.uuid,
              top,
              id: `${newId}-${disk.id}`.slice(0, 63)
            }
            if (!(await records.insertDisk(queries, own, context.now())))
              throw new ExistsError(`there is a disk ${own.id} already`)
          }
        })
        await context.describe(copy.uuid)
        await context.note(copy.uuid, 'cloned', `from ${machine.id}`)
      })
    }
  }
}

/** Layers that a machine needs beside its disks. */
export function bootFiles({ boot, cloudInit }: Spec): Uuid[] {
  const kernel = boot.kind === 'kernel' ? [boot.kernel, boot.initrd] : []
  return [...kernel, cloudInit?.seed].filter(uuid => uuid !== undefined)
}
