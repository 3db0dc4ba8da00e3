import { availableParallelism } from 'node:os'
import type { Child } from './child.ts'
import type { Sandbox, SandboxInit, Session } from './contract.ts'
import { SandboxUnavailableError, WallMissingError } from './errors.ts'
import { isolateMain, OPERATION } from './isolate-main.ts'
import { libm } from './libm.ts'
import { compileProgram } from './program.ts'
import { makeRealm } from './realm.ts'
import { openSession } from './session.ts'
import { valueCodec } from './value.ts'
import { buildWalls, childPayload, findTools, type Launcher } from './walls.ts'
import { makeWasm } from './wasi.ts'

const PARTS = [valueCodec, makeRealm, libm, makeWasm].join(',')
const prelude = (seed: string) =>
  `"use strict";(${isolateMain})(${PARTS},${JSON.stringify(seed)},${JSON.stringify(OPERATION)})`

/**
 * Runs strangers' code in children of this process. Call `start` before `open`, `stop` ends every child.
 */
export function createSandbox({
  warm = availableParallelism(),
  maxProcesses = Math.max(4, 4 * availableParallelism()),
  lazy = false,
  jitless = false,
  toolPath
}: SandboxInit = {}): Sandbox {
  const name = `v8-${process.versions.v8.split('.').slice(0, 2).join('.')}/${process.arch}`
  const pool: Promise<Child>[] = []
  const sessions = new Set<Session>()
  const waiting: (() => void)[] = []
  let open = 0
  let running = false
  let wanted = !lazy
  let launcher: Launcher | undefined
  const isWalled = () => launcher?.walls.every(wall => wall.present) ?? false

  const launch = () => launcher!.launch(isWalled())

  function refill() {
    while (running && wanted && pool.length < warm && pool.length + open < maxProcesses) {
      const child = launch()
      child.catch(() => {}) // whoever takes it sees the error
      pool.push(child)
    }
  }

  async function take(): Promise<Child> {
    if (!running) throw new SandboxUnavailableError('the sandbox is not running, call start() first')
    setImmediate(refill)
    for (let warmed = pool.shift(); warmed !== undefined; warmed = pool.shift()) {
      // a warm one that is gone is passed over; if none can be started, the launch below says why
      const child = await warmed.catch(() => undefined)
      if (child?.alive) return child
    }
    return launch()
  }

  async function admit(signal?: AbortSignal) {
    signal?.throwIfAborted()
    if (open < maxProcesses) {
      open++
      return
    }
    await new Promise<void>((resolve, reject) => {
      const onAbort = () => {
        waiting.splice(waiting.indexOf(go), 1)
        reject(signal!.reason)
      }
      const go = () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }
      signal?.addEventListener('abort', onAbort)
      waiting.push(go)
    })
  }

  function leave() {
    const next = waiting.shift()
    if (next === undefined) open--
    else next()
    refill()
  }

  return {
    class: name,
    get walls() {
      return launcher?.walls ?? []
    },
    get walled() {
      return isWalled()
    },
    async start() {
      launcher ??= await buildWalls(childPayload(jitless ? ['--jitless'] : []), findTools(toolPath))
      running = true
      refill()
      await Promise.all(pool)
    },
    async stop() {
      running = false
      await Promise.all([...sessions].map(session => session.close()))
      await Promise.allSettled(
        pool.splice(0).map(async starting => {
          const child = await starting
          child.kill()
          await child.ended
        })
      )
    },
    async open(program, { limits, trusted = false, signal }) {
      const scripts = compileProgram(program)
      if (!running) throw new SandboxUnavailableError('the sandbox is not running, call start() first')
      if (!trusted && !isWalled()) {
        const missing = launcher!.walls.filter(wall => !wall.present)
        throw new WallMissingError(missing.map(wall => `${wall.name}: ${wall.detail}`).join('; '))
      }
      wanted = true
      await admit(signal)
      try {
        const session = await openSession({
          class: name,
          limits,
          message: {
            prelude: prelude(program.seed ?? ''),
            ...scripts,
            kind: program.kind,
            export: program.export ?? (program.kind === 'wasi' ? '_start' : 'main'),
            contextBytes: program.context?.byteLength ?? 0,
            memoryMb: Math.max(8, limits.memoryMb),
            outputBytes: limits.outputBytes
          },
          binary: [program.context, typeof program.source === 'string' ? undefined : program.source],
          take,
          onClose: () => {
            sessions.delete(session)
            leave()
          }
        })
        sessions.add(session)
        if (running) return session
        await session.close() // stopped meanwhile
      } catch (error) {
        leave()
        throw error
      }
      throw new SandboxUnavailableError('the sandbox was stopped')
    }
  }
}
