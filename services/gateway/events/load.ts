import { cpus } from 'node:os'

/** Share of all cores that was busy since the call before, 0 to 1. */
export function createLoad(): () => number {
  let before = times()
  return () => {
    const after = times()
    const busy = after.busy - before.busy
    const all = busy + after.idle - before.idle
    before = after
    return all <= 0 ? 0 : busy / all
  }
}

function times(): { busy: number; idle: number } {
  let busy = 0
  let idle = 0
  for (const { times } of cpus()) {
    busy += times.user + times.nice + times.sys + times.irq
    idle += times.idle
  }
  return { busy, idle }
}
