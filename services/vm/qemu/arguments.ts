import type { Uuid } from '../contract.ts'

/** Where things lie inside the walls. */
export const INSIDE = { run: '/run/vm', layers: '/layers' } as const

/** Empty slots for disks that come while the guest runs; q35 takes new devices in root ports only. */
export const HOTPLUG_SLOTS = 8

export interface DiskChain {
  disk: Uuid
  /** from the bottom to the writable top */
  layers: readonly Uuid[]
  /** its root port; default: by its place */
  slot?: number
}

export interface Launch {
  uuid: Uuid
  ramMb: number
  cpu: number
  accelerator: 'kvm' | 'tcg'
  disks: readonly DiskChain[]
  kernel?: { kernel: Uuid; initrd?: Uuid; append: string }
  /** raw ISO of a NoCloud seed */
  seed?: Uuid
  /** a card whose other end is a socket in the folder of the machine */
  hasNetwork: boolean
  /** waits for a migration stream instead of booting */
  isIncoming: boolean
}

const file = (uuid: Uuid) => `${INSIDE.layers}/${uuid}`

/** Name of a block node: QEMU allows 31 characters, and a random UUID keeps enough of itself in 28. */
export function nodeName(layer: Uuid): string {
  return `l-${layer.replaceAll('-', '').slice(0, 28)}`
}

/** Address of a machine's network card; it stays with the machine. */
export function macOf(machine: Uuid): Buffer {
  return Buffer.concat([Buffer.from([0x52, 0x54, 0]), Buffer.from(machine.slice(-6), 'hex')])
}

/** Name of a disk's device and of its root port. */
export function deviceName(disk: Uuid): string {
  return `d-${disk}`
}

/** The chain as QEMU's block layer wants it: nothing is taken from a header, so no header can name a file. */
export function blockdev(
  layers: readonly Uuid[],
  path: (layer: Uuid) => string = file,
  isTop = true
): Record<string, unknown> {
  const layer = layers.at(-1)!
  return {
    driver: 'qcow2',
    'node-name': nodeName(layer),
    'read-only': !isTop,
    discard: 'unmap',
    file: { driver: 'file', filename: path(layer), 'read-only': !isTop, discard: 'unmap' },
    backing: layers.length > 1 ? blockdev(layers.slice(0, -1), path, false) : null
  }
}

/** The device in front of a disk's top layer, in root port number `slot`. A guest sees the disk's serial number. */
export function diskDevice(disk: Uuid, top: Uuid, slot: number): Record<string, unknown> {
  return {
    driver: 'virtio-blk-pci',
    id: deviceName(disk),
    drive: nodeName(top),
    bus: `port${slot}`,
    serial: disk.replaceAll('-', '').slice(0, 20),
    // a full disk stops the guest instead of telling it of a broken one
    werror: 'enospc',
    rerror: 'report'
  }
}

/** QEMU's arguments. Every text of a client that gets here went through JSON and stands behind an option's name. */
export function qemuArguments(launch: Launch): string[] {
  const { run } = INSIDE
  const socket = (id: string, path: string) => [
    '-chardev',
    `socket,id=${id},path=${run}/${path},server=on,wait=off`
  ]
  return [
    ...['-uuid', launch.uuid, '-name', launch.uuid],
    ...['-nodefaults', '-no-user-config', '-display', 'none'],
    ...['-machine', 'q35,usb=off,vmport=off,dump-guest-core=off,hpet=off'],
    ...['-accel', launch.accelerator],
    // the same processor on every host of a kind lets a running guest move
    ...['-cpu', launch.accelerator === 'kvm' ? 'host' : 'max'],
    ...['-smp', String(launch.cpu), '-m', `${launch.ramMb}M`],
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    ...['-rtc', 'base=utc', '-boot', 'strict=on'],
    ...socket('qmp', 'qmp.sock'),
    ...['-mon', 'chardev=qmp,mode=control'],
    ...socket('serial', 'serial.sock'),
    ...['-device', 'isa-serial,chardev=serial'],
    ...['-device', 'virtio-rng-pci'],
    ...Array.from({ length: HOTPLUG_SLOTS }, (_, slot) => [
      '-device',
      `pcie-root-port,id=port${slot},chassis=${slot + 1}`
    ]).flat(),
    ...launch.disks.flatMap(({ disk, layers, slot }, at) => [
      ...['-blockdev', JSON.stringify(blockdev(layers))],
      ...['-device', JSON.stringify({ ...diskDevice(disk, layers.at(-1)!, slot ?? at), bootindex: at + 1 })]
    ]),
    ...(launch.seed === undefined
      ? []
      : [
          ...[
            '-blockdev',
            JSON.stringify({
              driver: 'raw',
              'node-name': 'seed',
              'read-only': true,
              file: { driver: 'file', filename: file(launch.seed) }
            })
          ],
          ...['-device', 'virtio-blk-pci,drive=seed']
        ]),
    ...(launch.kernel === undefined
      ? []
      : [
          ...['-kernel', file(launch.kernel.kernel)],
          ...(launch.kernel.initrd === undefined ? [] : ['-initrd', file(launch.kernel.initrd)]),
          ...['-append', launch.kernel.append]
        ]),
    ...(launch.hasNetwork
      ? [
          ...['-netdev', `stream,id=net,server=on,addr.type=unix,addr.path=${run}/net.sock`],
          // without a ROM it starts from no network
          ...[
            '-device',
            `virtio-net-pci,netdev=net,romfile=,mac=${macOf(launch.uuid)
              .toString('hex')
              .replace(/..(?=.)/g, '$&:')}`
          ]
        ]
      : []),
    ...(launch.isIncoming ? ['-incoming', 'defer'] : [])
  ]
}

/** Every file that the machine reads, and the ones it may write. */
export function filesOf(launch: Launch): { readOnly: Uuid[]; writable: Uuid[] } {
  const { kernel, seed, disks } = launch
  const single = [kernel?.kernel, kernel?.initrd, seed].filter(uuid => uuid !== undefined)
  return {
    readOnly: [...new Set([...single, ...disks.flatMap(({ layers }) => layers.slice(0, -1))])],
    writable: disks.map(({ layers }) => layers.at(-1)!)
  }
}
