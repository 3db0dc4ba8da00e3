import { randomUUID } from 'node:crypto'
import { rm, stat, statfs } from 'node:fs/promises'
import type { Disk, Machine, Role, State, Uuid } from '../contract.ts'
import { parseFigure, parseId } from '../core/grammar.ts'
import { needQuota } from '../core/quota.ts'
import {
  AuthError,
  ExistsError,
  ForbiddenError,
  NotFoundError,
  QuotaError,
  StorageError,
  UsageError
} from '../errors.ts'
import { HOTPLUG_SLOTS, nodeName } from '../qemu/arguments.ts'
import { createImage, growImage } from '../qemu/images.ts'
import { eventsOf, type VmEvent } from '../store/events.ts'
import * as records from '../store/records.ts'
import type { Context } from './context.ts'
import { lookAgain, lookAtDisks } from './damage.ts'
import type { Description } from './description.ts'
import { plug, unplug } from './hotplug.ts'
import type { Power } from './power.ts'

const GB = 1024 ** 3
/** An empty qcow2 of any allowed size needs less. */
const LEAST_ROOM_BYTES = 64 * 1024 ** 2

export interface MachineRow {
  uuid: Uuid
  id: string
  owner: string
  ramMb: number
  cpu: number
  authenticated: boolean
  state: State
  pending: Machine['pending']
}

export interface DiskRow {
  id: string
  vm: string
  sizeGb: number
}

export interface CheckRow {
  id: string
  state: State
  folder: 'ok' | 'absent' | 'missing'
  process: 'running' | 'none' | 'unexpected'
  qmp: string
  disks: string
  isSound: boolean
}

/** What is registered: machines, disks, who may use them. The words of a client get here and are looked at here. */
export interface Registry {
  auth(caller: string, id: string, ram: string, cpu: string): Promise<'registered' | 'authenticated'>
  add(caller: string, id: string, ram: string, cpu: string): Promise<MachineRow>
  list(caller: string, options?: { isAuthenticated?: boolean }): Promise<MachineRow[]>
  show(caller: string, id: string): Promise<MachineRow & { disks: DiskRow[]; pid?: number }>
  update(caller: string, id: string, ram: string, cpu: string): Promise<'updated' | 'pending'>
  logout(caller: string, id: string): Promise<void>
  remove(caller: string, id: string): Promise<void>
  restore(caller: string, id: string): Promise<void>
  listDisks(caller: string): Promise<DiskRow[]>
  addDisk(caller: string, disk: string, id: string, gb: string): Promise<'attached' | 'added'>
  removeDisk(caller: string, disk: string): Promise<void>
  /** Makes it larger; a guest that runs sees it at once. */
  grow(caller: string, disk: string, sizeGb: number): Promise<DiskRow>
  check(caller: string): Promise<CheckRow[]>
  /** who else has rights on it; for its owner */
  grants(caller: string, id: string): Promise<{ peer: string; role: Role }[]>
  grant(caller: string, id: string, peer: string, role: Role | 'none'): Promise<void>
  events(caller: string, id: string, after: number): Promise<VmEvent[]>
}

type Words = [id: string, ram: string, cpu: string]

const parseFigures = ([id, ram, cpu]: Words) => ({
  ...{ id: parseId(id), ramMb: parseFigure(ram, 'ram'), cpu: parseFigure(cpu, 'cpu') }
})

/** What `authenticate` and `logOut` change. */
const authenticated = (authenticated: boolean) => (before: Description | undefined) =>
  before && { ...before, machine: { ...before.machine, authenticated } }

export function createRegistry(context: Context, power: Power): Registry {
  const { database: db, quotas } = context

  const rowOf = (machine: Machine): MachineRow => ({
    uuid: machine.uuid,
    id: machine.id,
    owner: machine.owner,
    ramMb: machine.ramMb,
    cpu: machine.cpu,
    authenticated: machine.authenticated,
    state: machine.active ? power.state(machine) : 'removed',
    pending: machine.pending
  })

  async function register(caller: string, words: Words, authenticated: boolean) {
    const machine: Machine = {
      ...{ uuid: randomUUID(), owner: caller, ...parseFigures(words), authenticated },
      ...{ active: true, desired: 'stopped', pending: undefined, spec: { boot: { kind: 'disk' } } }
    }
    const isNew =
      (await records.insertMachineWithin(db.joint, quotas, machine, context.now())) ||
      (await db.transaction(async queries => {
        if (!(await records.insertMachine(queries, machine, context.now()))) return false
        needQuota(quotas, await records.totalsOf(queries, caller))
        return true
      }))
    if (!isNew) return undefined
    const described: Description = { version: 1, machine, disks: [], layers: [], snapshots: [], grants: [] }
    await Promise.all([
      context.describe(machine.uuid, () => described),
      context.note(machine.uuid, 'registered')
    ])
    return machine
  }

  async function update(caller: string, words: Words) {
    const { id, ...figures } = parseFigures(words)
    const machine = await context.find(caller, id, 'resize')
    return context.hold(caller, machine, 'update', async () => {
      const isOn = power.live(machine.uuid).observe().isAlive
      const change = isOn ? { pending: figures } : { ...figures, pending: undefined }
      await db.transaction(async queries => {
        await records.updateMachine(queries, machine.uuid, change)
        needQuota(quotas, await records.totalsOf(queries, machine.owner))
      })
      return isOn ? ('pending' as const) : ('updated' as const)
    })
  }

  async function addDisk(caller: string, words: [string, string, string]) {
    const [id, vm] = [parseId(words[0], 'disk'), parseId(words[1])]
    const sizeGb = parseFigure(words[2], 'size')
    const machine = await context.find(caller, vm, 'disks')
    return context.hold(caller, machine, 'disk', async () => {
      const { bavail, bsize } = await statfs(context.folder)
      if (bavail * bsize < LEAST_ROOM_BYTES) throw new StorageError('this host has no room for another disk')
      const attached = await records.disksOf(db, machine.uuid)
      if (attached.length >= HOTPLUG_SLOTS)
        throw new QuotaError(`machine ${vm} has ${attached.length} disks; at most ${HOTPLUG_SLOTS}`)
      const disk: Disk = {
        ...{ uuid: randomUUID(), top: randomUUID(), owner: machine.owner, id },
        ...{ machine: machine.uuid, sizeGb, active: true }
      }
      const file = context.layerFile(disk.top)
      await records.insertLayer(db, disk.top, undefined, machine.owner)
      try {
        await createImage(context.programs, file, sizeGb * GB)
        await db.transaction(async queries => {
          if (!(await records.insertDisk(queries, disk, context.now())))
            throw new ExistsError(`there is a disk ${id} already; remove it or take another name`)
          needQuota(quotas, await records.totalsOf(queries, machine.owner))
        })
        if (!power.live(machine.uuid).observe().isAlive) return 'added' as const
        await plug(context, power.live(machine.uuid), machine, disk)
        return 'attached' as const
      } catch (error) {
        await rm(file, { force: true })
        await db.query('DELETE FROM disks WHERE uuid = $1', disk.uuid)
        await db.query('DELETE FROM layers WHERE uuid = $1', disk.top)
        throw error
      }
    })
  }

  async function inspect(machine: Machine): Promise<CheckRow> {
    const handle = power.live(machine.uuid)
    const seen = handle.observe()
    const hasFolder = await stat(context.machineFolder(machine.uuid)).then(
      () => true,
      () => false
    )
    const disks = machine.active ? await lookAtDisks(context, handle, machine) : []
    const broken = disks.filter(({ found }) => found !== 'ok')
    const isWanted = machine.active && machine.desired !== 'stopped'
    const folder = hasFolder ? 'ok' : machine.active ? 'missing' : 'absent'
    const process = !seen.isAlive ? 'none' : isWanted ? 'running' : 'unexpected'
    return {
      id: machine.id,
      state: rowOf(machine).state,
      folder,
      process,
      qmp: seen.qmp,
      disks:
        broken.length === 0
          ? `${disks.length} ok`
          : (handle.damage ?? broken.map(({ id, words }) => `${id}: ${words}`).join('; ')),
      isSound:
        folder !== 'missing' &&
        process !== 'unexpected' &&
        broken.length === 0 &&
        (!isWanted || seen.isAlive) &&
        seen.qmp !== 'silent'
    }
  }

  return {
    async auth(caller, ...words) {
      const { id, ...figures } = parseFigures(words)
      const known = await records.authenticate(db.joint, caller, id, figures)
      if (known === undefined) {
        if ((await register(caller, words, true)) !== undefined) return 'registered'
        throw new AuthError(
          `machine ${id} is registered with other figures than ${words[1]} MB and ${words[2]} CPUs`
        )
      }
      await context.describe(known, authenticated(true))
      return 'authenticated'
    },
    async add(caller, ...words) {
      const machine = await register(caller, words, false)
      if (machine === undefined)
        throw new ExistsError(`there is a machine ${words[0]} already; UPDATE_VM changes it`)
      return rowOf(machine)
    },
    list: async (caller, options) => (await records.visibleMachines(db, caller, options)).map(rowOf),
    async show(caller, word) {
      const machine = await context.find(caller, parseId(word), 'see')
      const disks = await records.disksOf(db, machine.uuid)
      return {
        ...rowOf(machine),
        pid: power.live(machine.uuid).identity?.pid,
        disks: disks.map(({ id, sizeGb }) => ({ id, sizeGb, vm: machine.id }))
      }
    },
    update: (caller, ...words) => update(caller, words),
    async logout(caller, word) {
      const id = parseId(word)
      const own = await records.logOut(db.joint, caller, id)
      // nobody but its owner may
      if (own === undefined) await context.find(caller, id, 'authenticate')
      else await context.describe(own, authenticated(false))
    },
    async remove(caller, word) {
      const machine = await context.find(caller, parseId(word), 'remove')
      await context.hold(caller, machine, 'remove', async () => {
        await records.updateMachine(db, machine.uuid, { desired: 'stopped' })
        const handle = power.live(machine.uuid)
        handle.operation = 'stop'
        try {
          await power.shutDown(machine, true)
        } finally {
          handle.operation = undefined
        }
        await db.transaction(queries => records.retireMachine(queries, machine.uuid, context.now()))
        await context.note(machine.uuid, 'removed')
      })
    },
    async restore(caller, word) {
      const id = parseId(word)
      const uuid = await db.transaction(async queries => {
        const machine = await records.removedMachine(queries, caller, id)
        if (machine === undefined) throw new NotFoundError(`there is no removed machine ${id}`)
        if ((await records.ownMachine(queries, caller, id)) !== undefined)
          throw new ExistsError(`there is a new machine ${id}; remove it first`)
        const taken = await records.reviveMachine(queries, machine.uuid)
        if (taken !== undefined) throw new ExistsError(`there is a new disk ${taken}; remove it first`)
        needQuota(quotas, await records.totalsOf(queries, caller))
        return machine.uuid
      })
      await context.describe(uuid)
      await context.note(uuid, 'restored')
    },
    async listDisks(caller) {
      const disks = await records.visibleDisks(db, caller)
      return disks.map(({ id, machineId, sizeGb }) => ({ id, vm: machineId, sizeGb }))
    },
    addDisk: (caller, ...words) => addDisk(caller, words),
    async removeDisk(caller, word) {
      const id = parseId(word, 'disk')
      const found = await records.ownDisk(db, caller, id)
      if (found === undefined) throw new NotFoundError(`there is no disk ${id}`)
      const machine = (await records.machineByUuid(db, found.machine))!
      await context.hold(caller, machine, 'disk', async () => {
        // before it was held the disk may have been frozen, or be gone
        const disk = await records.ownDisk(db, caller, id)
        if (disk?.uuid !== found.uuid) throw new NotFoundError(`there is no disk ${id}`)
        const handle = power.live(machine.uuid)
        if (handle.observe().isAlive) await unplug(handle, machine, disk)
        await db.query(
          'UPDATE disks SET active = 0, removed_at = $2 WHERE uuid = $1',
          disk.uuid,
          context.now()
        )
        await lookAgain(context, handle, machine)
        await context.note(machine.uuid, 'disk-removed', id)
      })
    },
    async grow(caller, word, gb) {
      const id = parseId(word, 'disk')
      const sizeGb = parseFigure(String(gb), 'size')
      const disk = (await records.visibleDisks(db, caller)).find(disk => disk.id === id)
      if (disk === undefined) throw new NotFoundError(`there is no disk ${id}`)
      const machine = await context.find(caller, disk.machineId, 'resize')
      return context.hold(caller, machine, 'resize', async () => {
        // before it was held it may have been grown or frozen
        const { top, sizeGb: before } = (await records.ownDisk(db, machine.owner, id)) ?? disk
        if (sizeGb < before)
          throw new UsageError(`disk ${id} has ${before} GB; it can only grow, not to ${sizeGb}`)
        const register = (gb: number) =>
          db.transaction(async queries => {
            await queries.query('UPDATE disks SET size_gb = $2 WHERE uuid = $1', disk.uuid, gb)
            if (gb > before) needQuota(quotas, await records.totalsOf(queries, machine.owner))
          })
        await register(sizeGb)
        try {
          const handle = power.live(machine.uuid)
          if (handle.observe().isAlive)
            await handle.ask('block_resize', { 'node-name': nodeName(top), size: sizeGb * GB })
          else await growImage(context.programs, context.layerFile(top), sizeGb)
        } catch (error) {
          await register(before)
          throw error
        }
        await context.note(machine.uuid, 'disk-grown', `${id} to ${sizeGb} GB`)
        return { id, vm: machine.id, sizeGb }
      })
    },
    async check(caller) {
      const machines = await records.visibleMachines(db, caller, { isEver: true })
      return Promise.all(machines.map(inspect))
    },
    async grants(caller, word) {
      const { uuid } = await context.find(caller, parseId(word), 'grant')
      return (await records.grantsOf(db, uuid)).map(({ peer, role }) => ({ peer, role }))
    },
    async grant(caller, word, peer, role) {
      const machine = await context.find(caller, parseId(word), 'see')
      if (machine.owner !== caller)
        throw new ForbiddenError(`only the owner of ${machine.id} gives rights on it`)
      if (peer === caller) throw new UsageError('the owner of a machine has every right on it already')
      await db.transaction(queries =>
        records.setGrant(queries, machine.uuid, peer, role === 'none' ? undefined : role)
      )
      await context.describe(machine.uuid)
      await context.note(machine.uuid, 'granted', `${role} to ${peer}`)
    },
    async events(caller, word, after) {
      const { uuid } = await context.find(caller, parseId(word), 'see')
      return eventsOf(db, uuid, after, 200)
    }
  }
}
