import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { type Child, createChild } from './child.ts'
import { childMain, FRAME } from './child-main.ts'
import type { Sandbox, SandboxInit, Session, Wall } from './contract.ts'
import { SandboxUnavailableError, WallMissingError } from './errors.ts'
import { isolateMain } from './isolate-main.ts'
import { compileProgram } from './program.ts'
import { openSession } from './session.ts'
import { valueCodec } from './value.ts'

const PRELUDE = `\n(${isolateMain})(${valueCodec})`
const ISOLATED_VM = createRequire(import.meta.url).resolve('isolated-vm')
const CHILD = `(${childMain})(require,${JSON.stringify(ISOLATED_VM)},${JSON.stringify(FRAME)})`

/**
 * Runs strangers' code in children of this process. Call `start` before `open`, `stop` ends every child.
 */
export function createSandbox({
  warm = availableParallelism(),
  maxProcesses = Math.max(4, 4 * availableParallelism())
}: SandboxInit = {}): Sandbox {
  const name = `v8-${process.versions.v8.split('.').slice(0, 2).join('.')}/${process.arch}`
  const pool: Promise<Child>[] = []
  const sessions = new Set<Session>()
  const waiting: (() => void)[] = []
  let open = 0
  let running = false
  const walls: Wall[] = []

  function launch(): Promise<Child> {
    const args = ['--no-node-snapshot', '--disallow-code-generation-from-strings', '-e', CHILD]
    const child = spawn(process.execPath, args, { env: {}, stdio: ['pipe', 'pipe', 'ignore'] })
    return createChild(child, async () => child.pid!)
  }

  function refill() {
    while (running && pool.length < warm && pool.length + open < maxProcesses) {
      const child = launch()
      child.catch(() => {}) // whoever takes it sees the error
      pool.push(child)
    }
  }

  async function take(): Promise<Child> {
    if (!running) throw new SandboxUnavailableError('the sandbox is not running, call start() first')
    const child = pool.shift() ?? launch()
    setImmediate(refill)
    return child
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
    walls,
    get walled() {
      return walls.length > 0 && walls.every(wall => wall.present)
    },
    async start() {
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
      const missing = walls.filter(wall => !wall.present)
      if (!trusted && missing.length > 0) {
        throw new WallMissingError(`${missing.map(wall => `${wall.name}: ${wall.detail}`).join('; ')}`)
      }
      await admit(signal)
      try {
        const session = await openSession({
          class: name,
          limits,
          message: {
            prelude: PRELUDE,
            ...scripts,
            seed: program.seed ?? '',
            memoryMb: Math.max(8, limits.memoryMb),
            outputBytes: limits.outputBytes
          },
          context: program.context,
          take,
          onClose: () => {
            sessions.delete(session)
            leave()
          }
        })
        sessions.add(session)
        return session
      } catch (error) {
        leave()
        throw error
      }
    }
  }
}
