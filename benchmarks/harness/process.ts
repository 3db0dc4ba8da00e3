import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'

const PAGE_BYTES = 4096
const STOP_DEADLINE_MS = 5000

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

function residentBytes(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]) * PAGE_BYTES
  } catch {
    return 0 // it ended in between
  }
}

function descendants(pid: number): number[] {
  const parents = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    if (!/^[0-9]+$/.test(name)) continue
    try {
      // the name of the program stands in parentheses and may contain anything
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1')
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
      parents.set(parent, [...(parents.get(parent) ?? []), Number(name)])
    } catch {
      // it ended in between
    }
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
