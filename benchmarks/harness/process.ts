import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'

const PAGE_BYTES = 4096
const STOP_DEADLINE_MS = 5000
// USER_HZ, the unit of times in /proc, is 100 on every Linux that Node runs on.
const TICK_MS = 10

/** Ends a process that we started: politely, then not. */
export async function end(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid == null) return
  const exited = once(child, 'exit')
  child.kill(signal)
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS)
  await exited
  clearTimeout(timer)
}

/** Resident memory in MB (2^20): of the process, and of everything that it started. */
export function residentMb(pid: number): { own: number; children: number } {
  const own = residentBytes(pid)
  const children = descendants(pid).reduce((sum, child) => sum + residentBytes(child), 0)
  return { own: own / 2 ** 20, children: children / 2 ** 20 }
}

/** CPU time in ms so far by process id: of the process, and of those that it started and that still run. */
export function cpuTimes(pid: number): Map<number, number> {
  return new Map([pid, ...descendants(pid)].map(each => [each, ownCpuMs(each)]))
}

/** CPU time in ms between two `cpuTimes`; a process that ended in between is left out. */
export function cpuBetween(before: Map<number, number>, after: Map<number, number>): number {
  return [...after].reduce((sum, [pid, ms]) => sum + ms - (before.get(pid) ?? 0), 0)
}

function residentBytes(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]) * PAGE_BYTES
  } catch {
    return 0 // it ended in between
  }
}

/** Fields of /proc/PID/stat after the name of the program, which stands in parentheses and may contain anything. */
function stat(pid: number | string): string[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return [] // it ended in between
  }
}

/** CPU time in ms of one process so far. */
export function ownCpuMs(pid: number): number {
  const [user = 0, system = 0] = stat(pid).slice(11, 13).map(Number)
  return (user + system) * TICK_MS
}

function descendants(pid: number): number[] {
  const parents = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    if (!/^[0-9]+$/.test(name)) continue
    const parent = Number(stat(name)[1])
    parents.set(parent, [...(parents.get(parent) ?? []), Number(name)])
  }
  const all: number[] = []
  const queue = [pid]
  for (let next = queue.pop(); next != null; next = queue.pop()) {
    const children = parents.get(next) ?? []
    all.push(...children)
    queue.push(...children)
  }
  return all
}
