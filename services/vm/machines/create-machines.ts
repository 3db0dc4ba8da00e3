import { createContext, type MachinesComponents, type MachinesInit } from './context.ts'
import { createMedia } from './media.ts'
import { createPower } from './power.ts'
import { createRegistry } from './registry.ts'
import { createSchedules } from './schedules.ts'
import { createSnapshots } from './snapshots.ts'
import { createTrash } from './trash.ts'

/** Everything that a host can do with machines, for callers who are known to be who they say. */
export async function createMachines(init: MachinesInit, components: MachinesComponents) {
  const context = await createContext(init, components)
  const power = createPower(context)
  const snapshots = createSnapshots(context, power)
  const schedules = createSchedules(context, power, snapshots)
  return {
    context,
    schedules,
    power,
    snapshots,
    trash: createTrash(context, snapshots),
    registry: createRegistry(context, power),
    media: createMedia(context, power, snapshots)
  }
}

export type Machines = Awaited<ReturnType<typeof createMachines>>
