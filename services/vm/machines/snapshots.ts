import { randomUUID } from 'node:crypto'
import type { Disk, Machine, Memory, Snapshot, Uuid } from '../contract.ts'
import { parseId } from '../core/grammar.ts'
import { needQuota } from '../core/quota.ts'
import { ExistsError, NotFoundError, QemuError, StateError, StorageError } from '../errors.ts'
import { INSIDE, nodeName } from '../qemu/arguments.ts'
import { createImage } from '../qemu/images.ts'
import { linkInto } from '../qemu/process.ts'
import * as records from '../store/records.ts'
import type { Context } from './context.ts'
import { lookAgain } from './damage.ts'
import { dropLayer, loadMemory, saveMemory } from './memory.ts'
import type { Power } from './power.ts'

const GB = 1024 ** 3
/** What the guest has under way is written first. */
const FREEZE_MS = 60_000

export interface Snapshots {
  /** With memory the guest stands still until it is saved. */
  take(
    caller: string,
    id: string,
    name: string,
    options?: { isScheduled?: boolean; hasMemory?: boolean }
  ): Promise<Snapshot>
  list(caller: string, id: string): Promise<Snapshot[]>
  /** The disks as they were; a running machine is ended and started again, or goes on where its memory was saved. */
  restore(caller: string, id: string, name: string): Promise<void>
  remove(caller: string, id: string, name: string): Promise<void>
  /** A machine of another id with the disks of this one as they are now or were in a snapshot. */
  clone(caller: string, id: string, newId: string, name?: string): Promise<void>
  /** Within an operation that holds the machine: new empty tops on all disks, what was written so far is frozen. */
  freeze(machine: Machine): Promise<Snapshot['disks']>
  /** Deletes those of these layers, and of what they stand on, that nothing holds once these are let go. */
  sweep(heads: readonly Uuid[], letGo: () => Promise<void>): Promise<void>
}

export function createSnapshots(context: Context, power: Power): Snapshots {
  const { database: db } = context

  /** A new writable layer; the caller puts it on a disk. @throws StorageError */
  async function newTop(owner: string, parent: Uuid, sizeGb: number): Promise<Uuid> {
    if ((await records.chainOf(db, parent)).length >= records.MOST_LAYERS)
      throw new StorageError(
        `a disk has at most ${records.MOST_LAYERS} layers; export it and begin it anew with the file`
      )
    const top = randomUUID()
    await records.insertLayer(db, top, parent, owner)
    try {
      await createImage(context.programs, context.layerFile(top), sizeGb * GB)
    } catch (error) {
      await discard([top])
      throw error
    }
    return top
  }

  /** One on each of these, or none. */
  async function newTops(owner: string, bases: readonly { layer: Uuid; sizeGb: number }[]): Promise<Uuid[]> {
    const tops: Uuid[] = []
    try {
      for (const { layer, sizeGb } of bases) tops.push(await newTop(owner, layer, sizeGb))
    } catch (error) {
      await discard(tops)
      throw error
    }
    return tops
  }

  async function discard(tops: readonly Uuid[]) {
    for (const top of tops) await dropLayer(context, top)
  }

  async function freeze(machine: Machine): Promise<Snapshot['disks']> {
    const disks = await records.disksOf(db, machine.uuid)
    const handle = power.live(machine.uuid)
    const isLive = handle.observe().isAlive && disks.length > 0
    const tops = await newTops(
      machine.owner,
      disks.map(({ top, sizeGb }) => ({ layer: top, sizeGb }))
    )
    try {
      for (const top of isLive ? tops : []) {
        await linkInto(context.layerFile(top), context.machineFolder(machine.uuid))
        await handle.ask('blockdev-add', {
          driver: 'qcow2',
          'node-name': nodeName(top),
          discard: 'unmap',
          file: { driver: 'file', filename: `${INSIDE.run}/${top}`, discard: 'unmap' },
          backing: null
        })
      }
    } catch (error) {
      await discard(tops)
      throw error
    }
    const put = (layers: readonly Uuid[]) =>
      db.transaction(async queries => {
        for (const [i, { uuid }] of disks.entries()) await records.setTop(queries, uuid, layers[i]!)
      })
    // before QEMU writes into them: whatever ends whom from here on, nothing that a guest wrote is left out
    await put(tops)
    if (isLive)
      try {
        // all disks at the same moment
        await handle.ask(
          'transaction',
          {
            actions: disks.map(({ top }, i) => ({
              type: 'blockdev-snapshot',
              data: { node: nodeName(top), overlay: nodeName(tops[i]!) }
            }))
          },
          FREEZE_MS
        )
      } catch (error) {
        // one that fell silent may have done it
        if (error instanceof QemuError && error.isRefusal) {
          await put(disks.map(({ top }) => top))
          await discard(tops)
        }
        throw error
      }
    return disks.map(({ uuid, top }) => ({ disk: uuid, layer: top }))
  }

  /** Disks and memory of one moment, in which the guest stands still. */
  async function freezeAll(machine: Machine) {
    const handle = power.live(machine.uuid)
    if (handle.observe().qmp !== 'running')
      throw new StateError(machine.id, handle.state(machine), 'only what runs has a memory')
    handle.operation = 'other'
    try {
      await handle.ask('stop')
      try {
        const disks = await freeze(machine)
        return { disks, memory: await saveMemory(context, handle, machine) }
      } finally {
        await handle.ask('cont')
      }
    } finally {
      handle.operation = undefined
    }
  }

  async function named(machine: Machine, name: string): Promise<Snapshot> {
    const found = (await records.snapshotsOf(db, machine.uuid)).find(snapshot => snapshot.name === name)
    if (found === undefined) throw new NotFoundError(`machine ${machine.id} has no snapshot ${name}`)
    return found
  }

  async function sweep(heads: readonly Uuid[], letGo: () => Promise<void>) {
    const chains = await Promise.all(heads.map(head => records.chainOf(db, head)))
    const depths = new Map(chains.flatMap(chain => chain.map((layer, depth) => [layer, depth] as const)))
    await letGo()
    // from the tops down: a layer is free when the last one above it is gone
    for (const [layer] of [...depths].sort(([, a], [, b]) => b - a))
      if (!(await records.isLayerHeld(db, layer))) await discard([layer])
  }

  return {
    freeze,
    sweep,
    async take(caller, id, word, { isScheduled = false, hasMemory = false } = {}) {
      const name = parseId(word, 'snapshot')
      const machine = await context.find(caller, parseId(id), 'snapshot')
      return context.hold(caller, machine, 'snapshot', async () => {
        const known = await records.snapshotsOf(db, machine.uuid)
        if (known.some(snapshot => snapshot.name === name))
          throw new ExistsError(`machine ${id} has a snapshot ${name} already`)
        const { disks, memory } = hasMemory ? await freezeAll(machine) : { disks: await freeze(machine) }
        const snapshot = {
          uuid: randomUUID(),
          machine: machine.uuid,
          name,
          at: context.now(),
          isScheduled,
          disks,
          memory
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
          const { memory } = snapshot
          const disks = await records.disksOf(db, machine.uuid)
          if (memory !== undefined) needSameShape(machine, disks, memory)
          const present = presentIn(snapshot.disks, disks)
          // without room for them the guest runs on
          const tops = await newTops(machine.owner, present)
          try {
            await power.shutDown(machine, true)
            await sweep(
              disks.map(({ top }) => top),
              () =>
                db.transaction(async queries => {
                  for (const [i, { uuid }] of present.entries()) await records.setTop(queries, uuid, tops[i]!)
                })
            )
          } catch (error) {
            // where the disks have them already it failed later
            for (const top of tops) if (!(await records.isLayerHeld(db, top))) await dropLayer(context, top)
            throw error
          }
          await lookAgain(context, handle, machine)
          if (wasOn || memory !== undefined) {
            const current = (await records.machineByUuid(db, machine.uuid))!
            const launched = await power.launch(current, memory)
            if (memory !== undefined) {
              await loadMemory(context, launched, machine.uuid, memory)
              await records.updateMachine(db, machine.uuid, { desired: 'running' })
            }
          }
          await context.note(machine.uuid, 'snapshot-restored', name)
        } finally {
          handle.operation = undefined
        }
      })
    },
    async remove(caller, id, name) {
      const machine = await context.find(caller, parseId(id), 'snapshot')
      await context.hold(caller, machine, 'snapshot', async () => {
        const { uuid, disks, memory } = await named(machine, name)
        await sweep(
          [...disks, ...(memory === undefined ? [] : [memory])].map(({ layer }) => layer),
          () => records.deleteSnapshot(db, uuid)
        )
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
        needQuota(context.quotas, await records.totalsOf(db, caller), {
          ...{ machines: 1, ramMb: copy.ramMb, cpu: copy.cpu },
          diskGb: disks.reduce((sum, { sizeGb }) => sum + sizeGb, 0)
        })
        const present = presentIn(source, disks)
        const tops = await newTops(caller, present)
        await db
          .transaction(async queries => {
            if (!(await records.insertMachine(queries, copy, context.now())))
              throw new ExistsError(`there is a machine ${newId} already`)
            for (const [i, { layer: _, ...disk }] of present.entries()) {
              const own = {
                ...disk,
                ...{ uuid: randomUUID(), owner: caller, machine: copy.uuid, top: tops[i]! },
                id: `${newId}-${disk.id}`.slice(0, 63)
              }
              if (!(await records.insertDisk(queries, own, context.now())))
                throw new ExistsError(`there is a disk ${own.id} already`)
            }
            needQuota(context.quotas, await records.totalsOf(queries, caller))
          })
          .catch(async error => {
            await discard(tops)
            throw error
          })
        await context.describe(copy.uuid)
        await context.note(copy.uuid, 'cloned', `from ${machine.id}`)
      })
    }
  }
}

/** Disks of a snapshot that the machine still has, each with what was frozen of it. */
function presentIn(frozen: Snapshot['disks'], disks: readonly Disk[]): (Disk & { layer: Uuid })[] {
  return frozen.flatMap(({ disk, layer }) => {
    const present = disks.find(({ uuid }) => uuid === disk)
    return present === undefined ? [] : [{ ...present, layer }]
  })
}

/** Memory knows the disks and figures that it was saved with, and no others: they are what was paid and allowed. */
function needSameShape({ id, ...now }: Machine, disks: readonly Disk[], memory: Memory) {
  const { slots, ramMb, cpu, hasNetwork = false } = memory
  if (now.ramMb !== ramMb || now.cpu !== cpu)
    throw new ExistsError(
      `machine ${id} had ${ramMb} MB and ${cpu} CPUs when its memory was saved; stop it and UPDATE_VM ${id} ${ramMb} ${cpu}`
    )
  if ((now.spec.hasNetwork ?? false) !== hasNetwork)
    throw new ExistsError(
      `machine ${id} had ${hasNetwork ? 'a' : 'no'} network when its memory was saved; make it the same first`
    )
  const isSame = disks.length === slots.length && disks.every(({ uuid }) => slots.some(s => s.disk === uuid))
  if (!isSame)
    throw new ExistsError(
      `machine ${id} has other disks than when its memory was saved; make them the same first`
    )
}
