import { availableParallelism } from 'node:os'
import type { Program, Sandbox, SandboxInit, Session } from './contract.ts'
import { SandboxUnavailableError, WallMissingError } from './errors.ts'
import { isolateScript } from './isolate-script.ts'
import { onnxClass, onnxSource } from './onnx-child.ts'
import { createPool } from './pool.ts'
import { compileProgram, isRuntime, type RuntimeKind } from './program.ts'
import { pythonClass, pythonSource } from './python-child.ts'
import { createRuntimePool } from './runtime-child.ts'
import { openSession } from './session.ts'
import { buildWalls, childPayload, findTools, type Launcher } from './walls.ts'

/** Who has few sessions, one after the other, has a warm child for the next one for so long. */
const LAZY_MS = 60_000

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
  let rest: NodeJS.Timeout | undefined
  let launcher: Launcher | undefined
  const isWalled = () => launcher?.walls.every(wall => wall.present) ?? false
  const flags = jitless ? ['--jitless'] : []

  const room = (kept: number) => Math.min(kept, maxProcesses - open)
  const pool = createPool({
    launch: () => launcher!.launch(isWalled()),
    most: () => (running && wanted ? room(warm) : 0)
  })
  const poolOf = (source: typeof pythonSource) =>
    createRuntimePool({
      source,
      flags,
      launch: (payload, start) => launcher!.launch(isWalled(), payload, start),
      room: kept => (running ? room(kept) : 0)
    })
  const runtimes = { python: poolOf(pythonSource), onnx: poolOf(onnxSource) }
  const pools = [pool, runtimes.python, runtimes.onnx]

  function refill() {
    for (const each of pools) each.refill()
  }

  function want(): void {
    wanted = true
    if (!lazy) return
    clearTimeout(rest)
    rest = setTimeout(() => {
      wanted = false
      void pool.drain()
    }, LAZY_MS).unref()
  }

  async function take(runtime: RuntimeKind | undefined) {
    if (!running) throw new SandboxUnavailableError('the sandbox is not running, call start() first')
    const child = (runtime === undefined ? pool : runtimes[runtime]).take()
    // the next one is started after this one, whose snapshot it starts from
    void child.catch(() => {}).finally(refill)
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
      clearTimeout(rest)
      await Promise.all([...sessions].map(session => session.close()))
      await Promise.all(pools.map(each => each.drain()))
    },
    async open(program, { limits, trusted = false, signal }) {
      const scripts = compileProgram(program)
      if (!running) throw new SandboxUnavailableError('the sandbox is not running, call start() first')
      if (!trusted && !isWalled()) {
        const missing = launcher!.walls.filter(wall => !wall.present)
        throw new WallMissingError(missing.map(wall => `${wall.name}: ${wall.detail}`).join('; '))
      }
      const runtime = isRuntime(program.kind) ? program.kind : undefined
      if (runtime !== undefined) runtimes[runtime].want()
      else want()
      await admit(signal)
      try {
        const session = await openSession({
          class: runtime === undefined ? name : classOf[runtime](),
          limits,
          message: {
            prelude: runtime === undefined ? isolateScript(program.seed ?? '') : '',
            seed: program.seed ?? '',
            ...scripts,
            kind: program.kind,
            export: program.export ?? (program.kind === 'wasi' ? '_start' : 'main'),
            contextBytes: program.context?.byteLength ?? 0,
            memoryMb: Math.max(8, limits.memoryMb),
            outputBytes: limits.outputBytes
          },
          binary: [program.context, binaryOf(program)],
          take: () => take(runtime),
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

const classOf = { python: pythonClass, onnx: () => onnxClass()! }

/** What of the program travels as bytes. */
function binaryOf({ kind, source }: Program): Uint8Array | undefined {
  if (typeof source !== 'string') return source
  return kind === 'python' ? Buffer.from(source) : undefined
}
