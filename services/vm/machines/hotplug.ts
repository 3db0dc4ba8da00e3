import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Disk, Machine } from '../contract.ts'
import { GuestHoldsError, QuotaError } from '../errors.ts'
import { blockdev, deviceName, diskDevice, INSIDE, nodeName } from '../qemu/arguments.ts'
import { linkInto } from '../qemu/process.ts'
import { chainOf, disksOf } from '../store/records.ts'
import type { Context } from './context.ts'
import type { Live } from './live.ts'

const UNPLUG_MS = 15_000

interface Port {
  qdev_id: string
  pci_bridge?: { devices?: unknown[] }
}

/** Puts a disk into a running machine. @throws QuotaError where it has no slot left, QemuError */
export async function plug(context: Context, handle: Live, machine: Machine, disk: Disk): Promise<void> {
  const buses = await handle.ask<{ devices: Port[] }[]>('query-pci')
  const ports = buses.flatMap(({ devices }) => devices).filter(({ qdev_id }) => /^port\d+$/.test(qdev_id))
  const free = ports.find(({ pci_bridge }) => (pci_bridge?.devices?.length ?? 0) === 0)
  if (free === undefined) throw new QuotaError(`machine ${machine.id} has no free slot`)
  const layers = await chainOf(context.database, disk.top)
  const folder = context.machineFolder(machine.uuid)
  for (const layer of layers)
    if (!existsSync(join(folder, 'run', layer))) await linkInto(context.layerFile(layer), folder)
  const nodes = await handle.ask<{ 'node-name': string }[]>('query-named-block-nodes', { flat: true })
  const isThere = nodes.some(node => node['node-name'] === nodeName(disk.top))
  if (!isThere)
    await handle.ask(
      'blockdev-add',
      blockdev(layers, layer => `${INSIDE.run}/${layer}`)
    )
  try {
    await handle.ask('device_add', diskDevice(disk.uuid, disk.top, Number(free.qdev_id.slice(4))))
  } catch (error) {
    await handle.ask('blockdev-del', { 'node-name': nodeName(disk.top) })
    throw error
  }
  await context.note(machine.uuid, 'disk-attached', disk.id)
}

/** Takes it out. @throws GuestHoldsError where the guest does not let go of it */
export async function unplug(handle: Live, { id: vm }: Machine, disk: Disk): Promise<void> {
  const id = deviceName(disk.uuid)
  const gone = handle.expect(({ event, data }) => event === 'DEVICE_DELETED' && data.device === id, UNPLUG_MS)
  gone.catch(() => {}) // awaited below
  await handle.ask('device_del', { id })
  await gone.catch(() => {
    throw new GuestHoldsError(
      `the guest did not let go of disk ${disk.id} within ${UNPLUG_MS / 1000} s; unmount it or stop ${vm}`
    )
  })
  await handle.ask('blockdev-del', { 'node-name': nodeName(disk.top) })
}

/** Disks that a killed node has registered and not put in, or taken out and not removed. */
export async function plugMissing(context: Context, handle: Live, machine: Machine): Promise<void> {
  const blocks = await handle.ask<{ qdev?: string }[]>('query-block')
  const there = new Set(blocks.flatMap(({ qdev }) => qdev?.split('/') ?? []))
  for (const disk of await disksOf(context.database, machine.uuid))
    if (!there.has(deviceName(disk.uuid))) await plug(context, handle, machine, disk)
}
