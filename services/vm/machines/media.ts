import { randomUUID } from 'node:crypto'
import { copyFile, rm, stat, writeFile } from 'node:fs/promises'
import type { Disk, Spec, Uuid } from '../contract.ts'
import { parseId } from '../core/grammar.ts'
import { ExistsError, NotFoundError, StateError, StorageError, UsageError } from '../errors.ts'
import { createImage, flattenChain, inspectUpload } from '../qemu/images.ts'
import { seedIso } from '../qemu/seed-iso.ts'
import * as records from '../store/records.ts'
import type { Context } from './context.ts'
import type { Power } from './power.ts'

const GB = 1024 ** 3
/** Kernels and initial RAM disks are smaller. */
const BOOT_FILE_BYTES = 512 * 1024 ** 2

/** What a machine starts from, and its disks as files. Paths are those of the host's owner, never of a client. */
export interface Media {
  boot(caller: string, id: string, files: { kernel: string; initrd?: string; append: string }): Promise<void>
  /** A disk out of a qcow2 file; with cloud-init where texts are given. */
  importDisk(
    caller: string,
    id: string,
    disk: string,
    file: string,
    cloudInit?: { userData: string; metaData: string }
  ): Promise<{ sizeGb: number }>
  /** One qcow2 without layers. */
  exportDisk(caller: string, disk: string, target: string): Promise<void>
}

export function createMedia(context: Context, power: Power): Media {
  const { database: db } = context

  async function stopped(caller: string, id: string) {
    const machine = await context.find(caller, parseId(id), 'disks')
    const handle = power.live(machine.uuid)
    if (handle.observe().isAlive) throw new StateError(machine.id, handle.state(machine), 'stop it first')
    return machine
  }

  async function take(file: string, maxBytes: number, owner: string): Promise<Uuid> {
    const { size } = await stat(file).catch(cause => {
      throw new UsageError(`${file} cannot be read`, { cause })
    })
    if (size > maxBytes) throw new UsageError(`${file} has ${size} bytes; at most ${maxBytes}`)
    const layer = randomUUID()
    await copyFile(file, context.layerFile(layer))
    await records.insertLayer(db, layer, undefined, owner)
    return layer
  }

  return {
    async boot(caller, id, { kernel, initrd, append }) {
      const machine = await stopped(caller, id)
      await context.hold(caller, machine, 'boot', async () => {
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
        await context.describe(machine.uuid)
      })
    },

    async importDisk(caller, id, word, file, cloudInit) {
      const machine = await stopped(caller, id)
      const name = parseId(word, 'disk')
      return context.hold(caller, machine, 'import', async () => {
        const layer = randomUUID()
        const top = randomUUID()
        let sizeGb: number
        try {
          await copyFile(file, context.layerFile(layer)).catch(cause => {
            throw new StorageError(`${file} cannot be copied`, { cause })
          })
          const bytes = await inspectUpload(context.layerFile(layer), context.quotas.diskGb * GB)
          sizeGb = Math.ceil(bytes / GB)
          await createImage(context.programs, context.layerFile(top), sizeGb * GB)
          await db.transaction(async queries => {
            await records.insertLayer(queries, layer, undefined, machine.owner)
            await records.insertLayer(queries, top, layer, machine.owner)
            const disk: Disk = {
              ...{ uuid: randomUUID(), owner: machine.owner, id: name, machine: machine.uuid },
              ...{ sizeGb, active: true, top }
            }
            if (!(await records.insertDisk(queries, disk, context.now())))
              throw new ExistsError(`there is a disk ${name} already; remove it or take another name`)
          })
        } catch (error) {
          for (const gone of [layer, top]) await rm(context.layerFile(gone), { force: true })
          throw error
        }
        if (cloudInit !== undefined) {
          const seed = randomUUID()
          await writeFile(context.layerFile(seed), seedIso(cloudInit.userData, cloudInit.metaData), {
            mode: 0o600
          })
          await records.insertLayer(db, seed, undefined, machine.owner)
          await records.updateMachine(db, machine.uuid, {
            spec: { ...machine.spec, cloudInit: { ...cloudInit, seed } }
          })
        }
        await context.describe(machine.uuid)
        await context.note(machine.uuid, 'disk-imported', name)
        return { sizeGb }
      })
    },

    async exportDisk(caller, word, target) {
      const disk = await records.ownDisk(db, caller, parseId(word, 'disk'))
      if (disk === undefined) throw new NotFoundError(`there is no disk ${word}`)
      const { id } = (await records.machineByUuid(db, disk.machine))!
      const machine = await stopped(caller, id)
      await context.hold(caller, machine, 'export', async () => {
        const file = context.layerFile(randomUUID())
        try {
          await flattenChain(context.programs, context.layerFile, await records.chainOf(db, disk.top), file)
          await copyFile(file, target)
        } finally {
          await rm(file, { force: true })
        }
      })
    }
  }
}
