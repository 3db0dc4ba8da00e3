import { readFileSync } from 'node:fs'

/** USER_HZ and the page size of Linux on x64. */
const TICKS_PER_S = 100
const PAGE_BYTES = 4_096

/** What a process has used: CPU time in ms since it started, resident memory in bytes. Undefined where it has ended. */
export function usageOf(pid: number): { cpuMs: number; memoryBytes: number } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // the name in parentheses may hold anything, also parentheses
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const ticks = Number(fields[11]) + Number(fields[12])
    return { cpuMs: (ticks * 1_000) / TICKS_PER_S, memoryBytes: Number(fields[21]) * PAGE_BYTES }
  } catch {
    return undefined // it ended meanwhile
  }
}
