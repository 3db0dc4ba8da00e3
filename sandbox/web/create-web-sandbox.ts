import type { Outcome, Program, Sandbox, Session } from '../contract.ts'
import { SandboxUnavailableError } from '../errors.ts'
import { isolateScript } from '../isolate-script.ts'
import { compileProgram } from '../program.ts'
import { openSession } from '../session.ts'
import { hidesStacks } from './engine.ts'
import { createWebChild, type WebWalls } from './web-child.ts'

/** Programs that are JavaScript of one function or expression: the others need a context per item, or machine code. */
const KINDS: readonly Program['kind'][] = ['function', 'expression']

export interface WebSandboxInit {
  /** determinism class of the results: `chrome-156` */
  class: string
}

/**
 * The sandbox of a page: a Worker per program in place of a process, behind walls of the browser's making. Memory is not
 * bounded by it. Knows no trusted requester: everybody's code runs behind the same walls.
 */
export function createWebSandbox({ class: name }: WebSandboxInit, { walls }: { walls: WebWalls }): Sandbox {
  const sessions = new Set<Session>()
  let running = false

  return {
    class: name,
    walled: true,
    walls: [
      {
        name: 'isolate',
        present: true,
        detail: 'a Worker per program, without globals but those of ECMAScript'
      },
      { name: 'process', present: true, detail: 'a sandboxed frame of an origin of its own' },
      { name: 'namespaces', present: true, detail: 'its policy: no connection, no code from strings' },
      { name: 'watchdog', present: true, detail: 'ends the Worker at the deadline' }
    ],
    async start() {
      if (!hidesStacks())
        throw new SandboxUnavailableError(
          'this browser tells programs where their errors are; take one with V8, such as Chrome, Edge or Opera'
        )
      running = true
    },
    async stop() {
      running = false
      await Promise.all([...sessions].map(session => session.close()))
    },
    async open(program, { limits, signal }) {
      signal?.throwIfAborted()
      if (!running) throw new SandboxUnavailableError('the sandbox is not running, call start() first')
      if (!KINDS.includes(program.kind))
        throw new SandboxUnavailableError(`a browser runs ${KINDS.join(', ')}, not ${program.kind}`)
      const scripts = compileProgram(program)
      const session = await openSession({
        class: name,
        limits,
        message: {
          prelude: isolateScript(program.seed ?? ''),
          seed: program.seed ?? '',
          ...scripts,
          kind: program.kind,
          export: program.export ?? 'main',
          contextBytes: program.context?.byteLength ?? 0,
          memoryMb: limits.memoryMb,
          outputBytes: limits.outputBytes
        },
        binary: [program.context],
        take: async () => createWebChild(walls),
        onClose: () => sessions.delete(session)
      })
      sessions.add(session)
      return {
        ...session,
        class: name,
        run: (inputs, options) => withoutFailures(session.run(inputs, options), options)
      }
    }
  }
}

/**
 * What a program throws says something of the engine: its words, where the stack ends. Another engine must not sign it, so a
 * failure is no answer of a browser's but a refusal.
 */
async function withoutFailures(
  running: Promise<Outcome[]>,
  { signal }: { signal?: AbortSignal } = {}
): Promise<Outcome[]> {
  const outcomes = await running
  for (const outcome of outcomes)
    if (!outcome.ok && signal?.aborted !== true)
      throw new SandboxUnavailableError(`a browser signs no failures (${outcome.failure.message})`)
  return outcomes
}
