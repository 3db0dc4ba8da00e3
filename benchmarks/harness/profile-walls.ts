import childProcess, { ChildProcess, type SpawnOptions } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import type { Readable } from 'node:stream'
import type { Profile } from './budget.ts'

/*
 * Given to a node with --import: its walled processes write a CPU profile of what runs in their isolates, as they end; to begin one
 * each time that an isolate is entered takes long, so that proportions in it mean something and times outside do not. They see no
 * files, so a descriptor of their own carries it; and they are asked to end before they are killed, for who is killed says nothing.
 */

const END_MS = 10_000
// how a walled process takes what it loads (childPayload in sandbox/walls.ts)
const LOADS = /\)\(require,("[^"]*")/
const file = process.env.BENCH_PROFILE!
const { spawn } = childProcess
const { kill } = ChildProcess.prototype
const walled = new Set<number>()
let count = 0

/** Runs in the walled process, by its source text: what `require` gives there, with isolates that are profiled. */
function profiled(require: NodeJS.Require, addon: string, fd: number): (id: string) => unknown {
  const TITLE = 'walled'
  const fs = require('node:fs') as typeof import('node:fs')
  const { ivm } = require(addon) as { ivm: typeof import('isolated-vm') }
  const isolates: import('isolated-vm').Isolate[] = []
  function Isolate(options: object) {
    const isolate = new ivm.Isolate(options)
    isolate.startCpuProfiler(TITLE)
    isolates.push(isolate)
    return isolate
  }
  /** A profile for each time that an isolate was entered → one, with the same functions in one place. */
  function together(profiles: Profile[]) {
    const nodes: Profile['nodes'] = []
    const samples: number[] = []
    const timeDeltas: number[] = []
    const known = new Map<string, Profile['nodes'][number] & { children: number[] }>()
    for (const profile of profiles) {
      const byId = new Map(profile.nodes.map(node => [node.id, node]))
      const ids = new Map<number, number>()
      const visit = (id: number, path: string, above?: { children: number[] }): void => {
        const { callFrame, children = [] } = byId.get(id)!
        const key = `${path}\n${callFrame.functionName} ${callFrame.url}`
        let node = known.get(key)
        if (node === undefined) {
          node = { id: nodes.length + 1, callFrame, children: [] }
          known.set(key, node)
          nodes.push(node)
          above?.children.push(node.id)
        }
        ids.set(id, node.id)
        for (const child of children) visit(child, key, node)
      }
      if (profile.nodes.length > 0) visit(profile.nodes[0]!.id, '')
      // isolated-vm gives times since the start
      for (const [i, id] of profile.samples.entries()) {
        samples.push(ids.get(id)!)
        timeDeltas.push(profile.timeDeltas[i]! - (profile.timeDeltas[i - 1] ?? 0))
      }
    }
    return { nodes, samples, timeDeltas, startTime: 0, endTime: timeDeltas.reduce((a, b) => a + b, 0) }
  }
  process.once('beforeExit', async () => {
    const all = await Promise.all(isolates.map(isolate => isolate.stopCpuProfiler(TITLE)))
    const profiles = all.flat().map(({ profile }) => profile as unknown as Profile)
    // one that was kept warm and never used
    if (profiles.length === 0) return
    const bytes = Buffer.from(JSON.stringify(together(profiles)))
    for (let at = 0; at < bytes.length; ) at += fs.writeSync(fd, bytes, at)
  })
  const given = Object.create(ivm, { Isolate: { value: Isolate } })
  return id => (id === addon ? { ivm: given } : require(id))
}

/** Keeps what the descriptor brings, and lets the process come to its end. */
function follow(child: ChildProcess, fd: number): void {
  const to = file.replace(/(\.\w+)$/, `-walled-${count++}$1`)
  const parts: Buffer[] = []
  const pipes = child.stdio as unknown as Readable[]
  pipes[fd]!.on('data', (part: Buffer) => parts.push(part))
  pipes[fd]!.once('end', () => {
    if (parts.length > 0) writeFileSync(to, Buffer.concat(parts))
  })
  walled.add(child.pid!)
  // bwrap tells the process within
  pipes[4]?.on('data', (info: Buffer) => {
    const [, pid] = /"child-pid": (\d+)/.exec(String(info)) ?? []
    if (pid != null) walled.add(Number(pid))
  })
  let isEnding = false
  child.kill = () => {
    if (isEnding) return true
    isEnding = true
    child.stdin!.end()
    const timer = setTimeout(() => kill.call(child, 'SIGKILL'), END_MS)
    child.once('exit', () => clearTimeout(timer))
    return true
  }
}

childProcess.spawn = ((command: string, args: string[], options: SpawnOptions) => {
  const source = args?.at(-1)
  if (args?.at(-2) !== '-e' || source == null || !LOADS.test(source)) return spawn(command, args, options)
  const stdio = options.stdio as 'pipe'[]
  const fd = stdio.length
  const wrapped = source.replace(LOADS, (_, addon) => `)((${profiled})(require,${addon},${fd}),${addon}`)
  const child = spawn(command, [...args.slice(0, -1), wrapped], { ...options, stdio: [...stdio, 'pipe'] })
  follow(child, fd)
  return child
}) as typeof spawn
syncBuiltinESMExports()

const killAny = process.kill
process.kill = (pid, signal) => walled.has(pid) || killAny.call(process, pid, signal)
