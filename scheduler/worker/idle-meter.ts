import { cpus } from 'node:os'

// Busy cores beside our own sandboxes: below the first share the machine is idle, above the second somebody uses it;
// the gap keeps it from flapping.
const IDLE_BELOW = 0.2
const IN_USE_ABOVE = 0.3
// Looks every second fade with this: a pause of a few seconds between two clicks is still use.
const LOAD_MEMORY = 0.8

/** Time that all cores together were busy and existed, in ms since some point. */
export interface CpuTimes {
  busyMs: number
  totalMs: number
}

/** Share of the cores that is busy with other things than our own sandboxes and this process. Starts at 1: not idle. */
export function createIdleMeter(read: () => CpuTimes) {
  let before = { ...read(), ownMs: 0 }
  let share = 1
  let idle = false
  return {
    /** `ownMs`: CPU time of our own so far */
    look(ownMs: number): void {
      const now = { ...read(), ownMs }
      const total = now.totalMs - before.totalMs
      if (total <= 0) return
      const foreign = now.busyMs - before.busyMs - (ownMs - before.ownMs)
      share = LOAD_MEMORY * share + (1 - LOAD_MEMORY) * Math.min(1, Math.max(0, foreign / total))
      idle = share < (idle ? IN_USE_ABOVE : IDLE_BELOW)
      before = now
    },
    get idle(): boolean {
      return idle
    }
  }
}

/** Of this machine. */
export function systemTimes(): CpuTimes {
  let busyMs = 0
  let totalMs = 0
  for (const { times } of cpus()) {
    const busy = times.user + times.nice + times.sys + times.irq
    busyMs += busy
    totalMs += busy + times.idle
  }
  return { busyMs, totalMs }
}

/** CPU time of this process so far. */
export function ownProcessMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
