import { randomUUID } from 'node:crypto'
import { copyFile, stat, writeFile } from 'node:fs/promises'
import type { Disk, Machine, Spec, Uuid } from '../contract.ts'
import { parseId } from '../core/grammar.ts'
import { needQuota } from '../core/quota.ts'
import { ExistsError, NotFoundError, StateError, StorageError, UsageError } from '../errors.ts'
import { createImage, flattenChain, inspectUpload, openUpload } from '../qemu/images.ts'
import { seedIso } from '../qemu/seed-iso.ts'
import type { Queries } from '../store/database.ts'
import * as records from '../store/records.ts'
import type { Context } from './context.ts'
import { lookAgain } from './damage.ts'
import { dropLayer } from './memory.ts'
import type { Power } from './power.ts'
import type { Snapshots } from './snapshots.ts'

const GB = 1024 ** 3
/** Kernels and initial RAM disks are smaller. */
const BOOT_FILE_BYTES = 512 * 1024 ** 2

/** What a machine starts from, and its disks as files. Paths are those of the host's owner, never of a client. */
export interface Media {
  boot(caller: string, id: string, files: { kernel: string; initrd?: string; append: string }): Promise<void>
  /** A network card, or none; no way out leads from it. */
  network(caller: string, id: string, isOn: boolean): Promise<void>
  /** A disk out of a qcow2 file; with cloud-init where texts are given. */
  importDisk(
    caller: string,
    id: string,
    disk: string,
    file: string,
    cloudInit?: { userData: string; metaData: string }
  ): Promise<{ sizeGb: number }>
  /** A disk begun anew with a qcow2 file, of the size that it has or that of the file; snapshots keep what they have. */
  rebuild(caller: string, disk: string, file: string): Promise<{ sizeGb: number }>
  /** One qcow2 without layers. */
  exportDisk(caller: string, disk: string, target: string): Promise<void>
}

export function createMedia(context: Context, power: Power, snapshots: Snapshots): Media {
  const { database: db } = context

  /** Holds the machine, which is off, as it is then. */
  async function whileOff<T>(
    caller: string,
    id: string,
    kind: string,
    work: (machine: Machine) => Promise<T>
  ): Promise<T> {
    const found = await context.find(caller, parseId(id), 'disks')
    return context.hold(caller, found, kind, async () => {
      const machine = await records.machineByUuid(db, found.uuid)
      if (!machine?.active) throw new NotFoundError(`there is no machine ${id}`)
      const handle = power.live(machine.uuid)
      if (handle.observe().isAlive) throw new StateError(machine.id, handle.state(machine), 'stop it first')
      return work(machine)
    })
  }

  async function ownDisk(caller: string, word: string): Promise<Disk> {
    const disk = await records.ownDisk(db, caller, parseId(word, 'disk'))
    if (disk === undefined) throw new NotFoundError(`there is no disk ${word}`)
    return disk
  }

  async function take(file: string, maxBytes: number, owner: string): Promise<Uuid> {
    const { size } = await stat(file).catch(cause => {
      throw new UsageError(`${file} cannot be read`, { cause })
    })
    if (size > maxBytes) throw new UsageError(`${file} has ${size} bytes; at most ${maxBytes}`)
    const layer = randomUUID()
    await records.insertLayer(db, layer, undefined, owner)
    await copyFile(file, context.layerFile(layer)).catch(notCopied(file))
    return layer
  }

  /** Takes a qcow2 in and lays a top over it, of at least so many GB; all of it or nothing. */
  async function lay(
    machine: Machine,
    file: string,
    leastGb: number,
    register: (queries: Queries, top: Uuid, sizeGb: number) => Promise<void>
  ): Promise<number> {
    const [layer, top] = [randomUUID(), randomUUID()]
    await records.insertLayer(db, layer, undefined, machine.owner)
    try {
      await copyFile(file, context.layerFile(layer)).catch(notCopied(file))
      const bytes = await inspectUpload(context.layerFile(layer), context.quotas.diskGb * GB)
      await openUpload(context.programs, context.layerFile(layer))
      const sizeGb = Math.max(leastGb, Math.ceil(bytes / GB))
      await records.insertLayer(db, top, layer, machine.owner)
      await createImage(context.programs, context.layerFile(top), sizeGb * GB)
      await db.transaction(async queries => {
        await register(queries, top, sizeGb)
        needQuota(context.quotas, await records.totalsOf(queries, machine.owner))
      })
      return sizeGb
    } catch (error) {
      for (const gone of [top, layer]) await dropLayer(context, gone)
      throw error
    }
  }

  return {
    async boot(caller, id, { kernel, initrd, append }) {
      await whileOff(caller, id, 'boot', async machine => {
        const spec: Spec = {
          ...machine.spec,
          boot: {
            kind: 'kernel',
            kernel: await take(kernel, BOOT_FILE_BYTES, machine.owner),
            initrd: initrd === undefined ? undefined : await take(initrd, BOOT_FILE_BYTES, machine.owner),
            append
          }
        }
        await records.updateMachine(db, machine.uuid, { spec })
      })
    },

    async network(caller, id, isOn) {
      await whileOff(caller, id, 'network', machine =>
        records.updateMachine(db, machine.uuid, { spec: { ...machine.spec, hasNetwork: isOn } })
      )
    },

    async importDisk(caller, id, word, file, cloudInit) {
      const name = parseId(word, 'disk')
      return whileOff(caller, id, 'import', async machine => {
        const sizeGb = await lay(machine, file, 1, async (queries, top, sizeGb) => {
          const disk: Disk = {
            ...{ uuid: randomUUID(), owner: machine.owner, id: name, machine: machine.uuid },
            ...{ sizeGb, active: true, top }
          }
          if (!(await records.insertDisk(queries, disk, context.now())))
            throw new ExistsError(`there is a disk ${name} already; remove it or take another name`)
        })
        if (cloudInit !== undefined) {
          const seed = randomUUID()
          await records.insertLayer(db, seed, undefined, machine.owner)
          await writeFile(context.layerFile(seed), seedIso(cloudInit.userData, cloudInit.metaData), {
            mode: 0o600
          })
          await records.updateMachine(db, machine.uuid, {
            spec: { ...machine.spec, cloudInit: { ...cloudInit, seed } }
          })
        }
        await context.note(machine.uuid, 'disk-imported', name)
        return { sizeGb }
      })
    },

    async rebuild(caller, word, file) {
      const { id } = (await records.machineByUuid(db, (await ownDisk(caller, word)).machine))!
      return whileOff(caller, id, 'rebuild', async machine => {
        const disk = await ownDisk(caller, word)
        let sizeGb = 0
        await snapshots.sweep([disk.top], async () => {
          sizeGb = await lay(machine, file, disk.sizeGb, async (queries, top, size) => {
            await queries.query(
              'UPDATE disks SET top = $2, size_gb = $3 WHERE uuid = $1',
              disk.uuid,
              top,
              size
            )
          })
        })
        await lookAgain(context, power.live(machine.uuid), machine)
        await context.note(machine.uuid, 'disk-rebuilt', disk.id)
        return { sizeGb }
      })
    },

    async exportDisk(caller, word, target) {
      const { id } = (await records.machineByUuid(db, (await ownDisk(caller, word)).machine))!
      await whileOff(caller, id, 'export', async machine => {
        const disk = await ownDisk(caller, word)
        const layer = randomUUID()
        const file = context.layerFile(layer)
        await records.insertLayer(db, layer, undefined, machine.owner)
        try {
          await flattenChain(context.programs, context.layerFile, await records.chainOf(db, disk.top), file)
          await copyFile(file, target)
        } finally {
          await dropLayer(context, layer)
        }
      })
    }
  }
}

function notCopied(file: string) {
  return (cause: unknown) => {
    throw new StorageError(`${file} cannot be copied`, { cause })
  }
}
