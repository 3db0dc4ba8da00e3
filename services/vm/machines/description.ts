import { z } from 'zod'
import type { Machine, Snapshot, Uuid } from '../contract.ts'
import { HOTPLUG_SLOTS } from '../qemu/arguments.ts'
import type { Queries } from '../store/database.ts'
import * as records from '../store/records.ts'

const uuid = z.uuid()
const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/)
const text = z.string().max(64 * 1024)
const peer = z.string().min(1).max(100)
const figures = { ramMb: z.int().min(16).max(1_048_576), cpu: z.int().min(1).max(256) }
/** What a machine may have; far above what anybody uses. */
const MOST = 1_000

const memory = z.object({
  layer: uuid,
  ...figures,
  hasNetwork: z.boolean().optional(),
  processor: z.string().max(200).optional(),
  slots: z
    .array(
      z.object({
        disk: uuid,
        slot: z
          .int()
          .min(0)
          .max(HOTPLUG_SLOTS - 1)
      })
    )
    .max(MOST)
})

const fields = z.object({
  version: z.literal(1),
  machine: z.object({
    uuid,
    owner: peer,
    id,
    ...figures,
    active: z.boolean(),
    authenticated: z.boolean(),
    desired: z.enum(['running', 'paused', 'stopped', 'removed']),
    pending: z.object(figures).optional(),
    removedAt: z.int().min(0).optional(),
    spec: z.object({
      boot: z.discriminatedUnion('kind', [
        z.object({ kind: z.literal('disk') }),
        z.object({
          kind: z.literal('kernel'),
          kernel: uuid,
          initrd: uuid.optional(),
          append: z.string().max(2_000)
        })
      ]),
      cloudInit: z.object({ userData: text, metaData: text, seed: uuid }).optional(),
      hasNetwork: z.boolean().optional()
    })
  }),
  disks: z.array(z.object({ uuid, id, sizeGb: z.int().min(1).max(65_536), top: uuid })).max(MOST),
  layers: z.array(z.object({ uuid, parent: uuid.optional() })).max(MOST),
  snapshots: z
    .array(
      z.object({
        uuid,
        name: id,
        at: z.int().min(0),
        isScheduled: z.boolean(),
        disks: z.array(z.object({ disk: uuid, layer: uuid })).max(MOST),
        memory: memory.optional()
      })
    )
    .max(MOST),
  schedule: z
    .object({ pattern: z.string().max(100), keep: z.int().min(1), since: z.int().min(0) })
    .optional(),
  /** it runs there, or will: here it is kept until that host has it */
  releasedTo: peer.optional(),
  /** of a guest that is on its way and goes on in the middle of what it did */
  memory: memory.optional(),
  grants: z.array(z.object({ peer, role: z.enum(['operator', 'viewer']) })).max(MOST)
})

/**
 * Everything that is registered of a machine: as it stands in its folder, and as a host that takes the machine over is
 * told. Layers come after what they stand on.
 */
export const description = fields.refine(
  hasWholeChains,
  'a layer is missing, stands on a later one, or is written to by two'
)

export type Description = z.output<typeof description>

/** Chains end, all that is named is there, and what a disk writes into is its own and frozen nowhere. */
function hasWholeChains({
  machine,
  disks,
  layers,
  snapshots,
  memory: running
}: z.output<typeof fields>): boolean {
  const before = new Set<Uuid>()
  const parents = new Set<Uuid>()
  for (const { uuid, parent } of layers) {
    if (before.has(uuid) || (parent !== undefined && !before.has(parent))) return false
    before.add(uuid)
    if (parent !== undefined) parents.add(parent)
  }
  const tops = new Set(disks.map(({ top }) => top))
  const frozen = [
    ...bootFiles(machine.spec),
    ...(running === undefined ? [] : [running.layer]),
    ...snapshots
      .flatMap(({ disks, memory }) => [...disks, ...(memory === undefined ? [] : [memory])])
      .map(({ layer }) => layer)
  ]
  return (
    tops.size === disks.length &&
    [...tops, ...frozen].every(layer => before.has(layer)) &&
    [...parents, ...frozen].every(layer => !tops.has(layer))
  )
}

/** Layers that a machine needs beside its disks. */
export function bootFiles({ boot, cloudInit }: Machine['spec']): Uuid[] {
  const kernel = boot.kind === 'kernel' ? [boot.kernel, boot.initrd] : []
  return [...kernel, cloudInit?.seed].filter(layer => layer !== undefined)
}

export async function describeMachine(db: Queries, machine: Uuid): Promise<Description> {
  return (await describeMachines(db, [machine]))[0]!
}

/** All of them that are registered, with as many queries as one. */
export async function describeMachines(db: Queries, asked: readonly Uuid[]): Promise<Description[]> {
  const uuids = [...asked]
  // so that there are few texts for a server to look at
  while (!Number.isInteger(Math.log2(uuids.length))) uuids.push(asked[0]!)
  const [machines, disks, snapshots, schedules, grants, released] = await Promise.all([
    records.machinesByUuid(db, ...uuids),
    records.disksOf(db, ...uuids),
    records.snapshotsOf(db, ...uuids),
    records.schedulesOf(db, ...uuids),
    records.grantsOf(db, ...uuids),
    records.releasedOf(db, ...uuids)
  ])
  const of = <T extends { machine: Uuid }>(all: T[], uuid: Uuid) =>
    all.filter(({ machine }) => machine === uuid).map(({ machine: _, ...rest }) => rest)
  return Promise.all(
    machines.map(async machine => {
      const { uuid } = machine
      const [schedule] = of(schedules, uuid)
      const [move] = of(released, uuid)
      const own = { disks: of(disks, uuid), snapshots: of(snapshots, uuid) }
      return {
        version: 1,
        machine,
        disks: own.disks.map(({ uuid, id, sizeGb, top }) => ({ uuid, id, sizeGb, top })),
        layers: await layersOf(db, machine, own),
        snapshots: own.snapshots,
        ...(schedule === undefined ? {} : { schedule }),
        ...(move === undefined ? {} : { releasedTo: move.peer }),
        grants: of(grants, uuid)
      }
    })
  )
}

async function layersOf(
  db: Queries,
  { spec }: Machine,
  { disks, snapshots }: { disks: { top: Uuid }[]; snapshots: Omit<Snapshot, 'machine'>[] }
): Promise<Description['layers']> {
  const heads = [
    ...disks.map(({ top }) => top),
    ...snapshots.flatMap(({ disks: frozen }) => frozen.map(({ layer }) => layer))
  ]
  const layers = new Map<Uuid, Uuid | undefined>()
  for (const head of heads) {
    const chain = await records.chainOf(db, head)
    chain.forEach((layer, i) => {
      layers.set(layer, chain[i - 1])
    })
  }
  const memories = snapshots.flatMap(({ memory }) => memory?.layer ?? [])
  for (const file of [...bootFiles(spec), ...memories]) layers.set(file, undefined)
  return [...layers].map(([uuid, parent]) => ({ uuid, parent }))
}

/** The same machine over files of other names. */
export function renameLayers(told: Description, nameOf: (layer: Uuid) => Uuid): Description {
  const { machine, disks, layers, snapshots, memory } = told
  const { boot, cloudInit } = machine.spec
  return {
    ...told,
    machine: {
      ...machine,
      spec: {
        ...machine.spec,
        boot:
          boot.kind === 'disk'
            ? boot
            : { ...boot, kernel: nameOf(boot.kernel), initrd: boot.initrd && nameOf(boot.initrd) },
        cloudInit: cloudInit && { ...cloudInit, seed: nameOf(cloudInit.seed) }
      }
    },
    ...(memory === undefined ? {} : { memory: { ...memory, layer: nameOf(memory.layer) } }),
    disks: disks.map(disk => ({ ...disk, top: nameOf(disk.top) })),
    layers: layers.map(({ uuid, parent }) => ({ uuid: nameOf(uuid), parent: parent && nameOf(parent) })),
    snapshots: snapshots.map(snapshot => ({
      ...snapshot,
      disks: snapshot.disks.map(({ disk, layer }) => ({ disk, layer: nameOf(layer) })),
      memory: snapshot.memory && { ...snapshot.memory, layer: nameOf(snapshot.memory.layer) }
    }))
  }
}

/** Registers it, within a transaction; what of it is there already stays. False where the id or a disk’s is taken. */
export async function insertDescription(db: Queries, told: Description, now: number): Promise<boolean> {
  const { machine, disks, layers, snapshots, schedule, grants } = told
  const { owner } = machine
  if (!(await records.insertMachine(db, { pending: undefined, ...machine }, now))) return false
  for (const { uuid, parent } of layers) await records.insertLayer(db, uuid, parent, owner)
  for (const disk of disks) {
    const whole = { ...disk, owner, machine: machine.uuid, active: machine.active }
    if (!(await records.insertDisk(db, whole, now, machine.removedAt))) return false
  }
  for (const snapshot of snapshots) await records.insertSnapshot(db, { ...snapshot, machine: machine.uuid })
  await records.setSchedule(db, machine.uuid, schedule)
  for (const { peer, role } of grants) await records.setGrant(db, machine.uuid, peer, role)
  return true
}
