import { createContext, type MachinesComponents, type MachinesInit } from './context.ts'
import { createMedia } from './media.ts'
import { createPower } from './power.ts'
import { createRegistry } from './registry.ts'
import { createSnapshots } from './snapshots.ts'

/** Everything that a host can do with machines, for callers who are known to be who they say. */
export async function createMachines(init: MachinesInit, components: MachinesComponents) {
  const context = await createContext(init, components)
  const power = createPower(context)
  return {
    context,
    power,
    registry: createRegistry(context, power),
    snapshots: createSnapshots(context, power),
    media: createMedia(context, power)
  }
}

export type Machines = Awaited<ReturnType<typeof createMachines>>
