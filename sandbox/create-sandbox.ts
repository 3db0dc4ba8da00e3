import { availableParallelism } from 'node:os'
import type { Program, Sandbox, SandboxInit, Session } from './contract.ts'
import { SandboxUnavailableError, WallMissingError } from './errors.ts'
import { isolateScript } from './isolate-script.ts'
import { createPool } from './pool.ts'
import { compileProgram } from './program.ts'
import { createPythonLauncher, pythonClass } from './python-child.ts'
import { openSession } from './session.ts'
import { buildWalls, childPayload, findTools, type Launcher } from './walls.ts'

const PYTHON_IDLE_MS = 600_000 // so long after the last Python program an interpreter is kept ready, which takes 300 MB

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
  const sessions = new Set<Session>()
  const waiting: (() => void)[] = []
  let open = 0
  let running = false
  let wanted = !lazy
  let launcher: Launcher | undefined
  const isWalled = () => launcher?.walls.every(wall => wall.present) ?? false
  const flags = jitless ? ['--jitless'] : []

  const room = (kept: number) => Math.min(kept, maxProcesses - open)
  const pool = createPool({
    launch: () => launcher!.launch(isWalled()),
    most: () => (running && wanted ? room(warm) : 0)
  })
  let launchPython: ReturnType<typeof createPythonLauncher> | undefined
  let pythonUntil: NodeJS.Timeout | undefined
  const pythons = createPool({
    launch: () => {
      launchPython ??= createPythonLauncher(flags, (payload, start) =>
        launcher!.launch(isWalled(), payload, start)
      )
      return launchPython()
    },
    most: () => (running && pythonUntil !== undefined ? room(1) : 0)
  })

  function refill() {
    pool.refill()
    pythons.refill()
  }

  async function take(isPython: boolean) {
    if (!running) throw new SandboxUnavailableError('the sandbox is not running, call start() first')
    const child = (isPython ? pythons : pool).take()
    // the next one is started after this one, whose snapshot it starts from
    void child.catch(() => {}).finally(refill)
    return child
  }

  function wantPython() {
    clearTimeout(pythonUntil)
    pythonUntil = setTimeout(() => {
      pythonUntil = undefined
      void pythons.drain()
    }, PYTHON_IDLE_MS).unref()
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
      launcher ??= await buildWalls(childPayload(flags), findTools(toolPath))
      running = true
      refill()
      await pool.started()
    },
    async stop() {
      running = false
      await Promise.all([...sessions].map(session => session.close()))
      clearTimeout(pythonUntil)
      pythonUntil = undefined
      await Promise.all([pool.drain(), pythons.drain()])
    },
    async open(program, { limits, trusted = false, signal }) {
      const scripts = compileProgram(program)
      if (!running) throw new SandboxUnavailableError('the sandbox is not running, call start() first')
      if (!trusted && !isWalled()) {
        const missing = launcher!.walls.filter(wall => !wall.present)
        throw new WallMissingError(missing.map(wall => `${wall.name}: ${wall.detail}`).join('; '))
      }
      const isPython = program.kind === 'python'
      if (isPython) wantPython()
      else wanted = true
      await admit(signal)
      try {
        const session = await openSession({
          class: isPython ? pythonClass() : name,
          limits,
          message: {
            prelude: isPython ? '' : isolateScript(program.seed ?? ''),
            seed: program.seed ?? '',
            ...scripts,
            kind: program.kind,
            export: program.export ?? (program.kind === 'wasi' ? '_start' : 'main'),
            contextBytes: program.context?.byteLength ?? 0,
            memoryMb: Math.max(8, limits.memoryMb),
            outputBytes: limits.outputBytes
          },
          binary: [program.context, binaryOf(program)],
          take: () => take(isPython),
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

/** What of the program travels as bytes. */
function binaryOf({ kind, source }: Program): Uint8Array | undefined {
  if (typeof source !== 'string') return source
  return kind === 'python' ? Buffer.from(source) : undefined
}
