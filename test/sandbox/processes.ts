import { readdirSync, readFileSync } from 'node:fs'

/** All processes below `root`, from /proc. */
export function descendants(root: number): number[] {
  const parents = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    const stat = Number.isInteger(pid) ? read(`/proc/${pid}/stat`) : undefined
    if (stat === undefined) continue
    // pid (name) state ppid …; the name may hold anything, so look after its last parenthesis
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (state !== 'Z') parents.set(Number(parent), [...(parents.get(Number(parent)) ?? []), pid])
  }
  const below = (pid: number): number[] => (parents.get(pid) ?? []).flatMap(child => [child, ...below(child)])
  return below(root)
}

/** A line of /proc/PID/status, or undefined when the process is gone. */
export function statusOf(pid: number, line: string): string | undefined {
  const status = read(`/proc/${pid}/status`)
  return status === undefined ? undefined : new RegExp(`^${line}:\\s*(.*)$`, 'm').exec(status)?.[1]
}

/** Largest resident size so far, in bytes; 0 when the process is gone. */
export function peakBytes(pid: number): number {
  return Number.parseInt(statusOf(pid, 'VmHWM') ?? '0', 10) * 1024
}

/** Seconds of CPU time so far, in ticks of a hundredth; 0 when the process is gone. */
export function cpuSeconds(pid: number): number {
  const stat = read(`/proc/${pid}/stat`) ?? ')'
  const [user = 0, system = 0] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
    .map(Number)
  return (user + system) / 100
}

/** Polls until it holds. Throws after the deadline, naming what was awaited. */
export async function eventually(what: string, holds: () => boolean, withinMs = 240_000): Promise<void> {
  const deadline = performance.now() + withinMs
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`after ${withinMs} ms still not so: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined // the process ended meanwhile
  }
}
