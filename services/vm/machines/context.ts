import { randomUUID } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Logger } from '@libp2p/interface'
import type { Machine, Role, Uuid } from '../contract.ts'
import type { Totals } from '../core/quota.ts'
import { type Action, mayDo } from '../core/roles.ts'
import { BusyError, ForbiddenError, NotFoundError } from '../errors.ts'
import type { Programs } from '../qemu/walls.ts'
import type { Database } from '../store/database.ts'
import { insertEvent, type VmEvent } from '../store/events.ts'
import * as records from '../store/records.ts'
import { createDescriptions, type Descriptions } from './descriptions.ts'

/** Who holds a machine that its host starts again by itself, and how long others wait for it. */
export const HOST = 'host'
const HOST_MS = 5_000
const LOOK_MS = 20

export interface MachinesInit {
  /** 0700; machines, layers and images lie here */
  folder: string
  /** what one owner may register */
  quotas: Totals
  /** @throws HostUnfitError where machines of this owner are not started here */
  needFit(owner: string): void
  now(): number
}

export interface MachinesComponents {
  database: Database
  programs: Programs
  log: Logger
}

/** What the parts of this room share. */
export interface Context extends MachinesInit, MachinesComponents {
  /** of this run of the node: what an earlier one held is void */
  epoch: string
  /** owners whose accounts have been empty for too long */
  unpaid: Set<string>
  layerFile(layer: Uuid): string
  machineFolder(machine: Uuid): string
  /** Finds a machine by the caller's word and looks whether he may. @throws NotFoundError, ForbiddenError */
  find(caller: string, id: string, action: Action): Promise<Machine>
  /** Does the work while nobody else may, then describes the machine. @throws BusyError that names who holds the machine */
  hold<T>(caller: string, machine: Machine, kind: string, work: () => Promise<T>): Promise<T>
  note(machine: Uuid, kind: string, detail?: string): Promise<void>
  onEvent: Set<(event: VmEvent) => void>
  /** Writes all that is registered of the machine into its folder, so that a lost database can be built again. */
  describe: Descriptions
}

export async function createContext(init: MachinesInit, components: MachinesComponents): Promise<Context> {
  const { database: db } = components
  const { folder, now } = init
  const layers = join(folder, 'layers')
  const machines = join(folder, 'machines')
  await mkdir(layers, { recursive: true, mode: 0o700 })
  await mkdir(machines, { recursive: true, mode: 0o700 })
  const epoch = randomUUID()
  const onEvent = new Set<(event: VmEvent) => void>()
  const describe = await createDescriptions(db, machines, error =>
    components.log.error('descriptions of machines: %e', error)
  )
  /** how many in this run hold a machine or want to */
  const asking = new Map<Uuid, number>()
  let lastSeq = 0

  async function find(caller: string, id: string, action: Action): Promise<Machine> {
    const own = await records.ownMachine(db, caller, id)
    if (own !== undefined) return own
    const shared = await records.sharedMachines(db, caller, id)
    const [first] = shared
    if (first === undefined) throw new NotFoundError(`there is no machine ${id}`)
    const allowed = shared.find(({ role }: { role: Role }) => mayDo(role, action))
    if (allowed === undefined)
      throw new ForbiddenError(`as ${first.role} of machine ${id} you may not do this`)
    return allowed.machine
  }

  async function take(caller: string, uuid: Uuid, kind: string): Promise<records.Hold | undefined> {
    const hold = { kind, caller, epoch, startedAt: now() }
    const held = await records.holdMachine(db, uuid, hold)
    if (held?.epoch !== epoch || asking.get(uuid)! > 1) return held
    // of an operation that found the database gone when it wanted to release the machine
    await records.releaseMachine(db, uuid, epoch)
    return records.holdMachine(db, uuid, hold)
  }

  async function holdAlone<T>(
    caller: string,
    { uuid, id }: Machine,
    kind: string,
    work: () => Promise<T>
  ): Promise<T> {
    const deadline = Date.now() + HOST_MS
    let held = await take(caller, uuid, kind)
    // what the host does by itself is soon over, and nobody has to know of it
    while (held?.caller === HOST && Date.now() < deadline) {
      await wait(LOOK_MS)
      held = await take(caller, uuid, kind)
    }
    if (held !== undefined) {
      const since = new Date(held.startedAt).toISOString()
      throw new BusyError(`machine ${id} is held by ${held.kind} of ${held.caller} since ${since}`)
    }
    try {
      return await work()
    } finally {
      // also of what failed half way; who is next describes it after this
      await Promise.all([describe(uuid), records.releaseMachine(db, uuid, epoch)])
    }
  }

  return {
    ...init,
    ...components,
    epoch,
    unpaid: new Set(),
    onEvent,
    layerFile: layer => join(layers, layer),
    machineFolder: machine => join(machines, machine),
    find,
    describe,
    async hold(caller, machine, kind, work) {
      const { uuid } = machine
      asking.set(uuid, (asking.get(uuid) ?? 0) + 1)
      try {
        return await holdAlone(caller, machine, kind, work)
      } finally {
        const others = asking.get(uuid)! - 1
        if (others === 0) asking.delete(uuid)
        else asking.set(uuid, others)
      }
    },
    async note(machine, kind, detail = '') {
      // one writer: ms times 1,000 leaves room for a thousand within one
      lastSeq = Math.max(lastSeq + 1, now() * 1_000)
      const event = { seq: lastSeq, machine, at: now(), kind, detail: detail.slice(0, 500) }
      await insertEvent(db.joint, event)
      for (const listener of onEvent) listener(event)
    }
  }
}
