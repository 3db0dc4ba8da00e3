import type { Logger } from '@libp2p/interface'
import type { Sandbox, Session } from '../../sandbox/index.ts'
import { MAX_OUTPUT_BYTES } from '../protocol/limits.ts'
import type { WorkerPolicy } from './lending-policy.ts'
import type { Program } from './requester.ts'

// A process waits this long for more work of its program before it is thrown away.
const IDLE_SESSION_MS = 5000

/** Processes of programs: those that have nothing to do wait a little for more of the same. */
export function createWarmSessions(
  init: {
    policy: Pick<WorkerPolicy, 'trusted' | 'maxSliceMs' | 'memoryMb'>
    /** false where jobs under this node's own name may hold strangers' code */
    trustsOwn: boolean
    /** true when there are more processes than may run at a time, with so many that wait */
    isFull(idle: number): boolean
  },
  { sandbox, log }: { sandbox: Sandbox; log: Logger }
) {
  const { policy, trustsOwn } = init
  /** programs with processes that wait, the first that came first */
  const waiting = new Set<Program>()
  let isStopped = false

  const end = (session: Session): void => {
    session.close().catch(err => log.error('a sandbox did not close: %e', err))
  }

  function retire(program: Program, entry: Program['idle'][number]): void {
    clearTimeout(entry.timer)
    program.idle = program.idle.filter(other => other !== entry)
    if (program.idle.length === 0) waiting.delete(program)
    end(entry.session)
  }

  /** Idle processes of other programs give way: with those that run there are at most as many as may run at a time. */
  function makeRoom(): void {
    const [first] = waiting
    const idle = [...waiting].reduce((sum, program) => sum + program.idle.length, 0)
    if (first != null && init.isFull(idle)) retire(first, first.idle[0]!)
  }

  return {
    /** A process of the program: one that waits, or a new one. Throws what the sandbox does. */
    async acquire(program: Program, signal: AbortSignal): Promise<Session> {
      const warm = program.idle.pop()
      if (warm != null) {
        clearTimeout(warm.timer)
        if (program.idle.length === 0) waiting.delete(program)
        return warm.session
      }
      makeRoom()
      const { requester } = program
      const { t: _, program: __, type: ___, timeoutMs, memoryMb, ...code } = program.message
      return sandbox.open(code, {
        requester: requester.id,
        trusted: (requester.own && trustsOwn) || policy.trusted(requester.id),
        limits: {
          timeoutMs: requester.own ? timeoutMs : Math.min(timeoutMs, policy.maxSliceMs),
          memoryMb: Math.min(memoryMb, policy.memoryMb),
          outputBytes: MAX_OUTPUT_BYTES
        },
        signal
      })
    },

    release(program: Program, session: Session): void {
      if (program.requester.closed || isStopped) {
        end(session)
        return
      }
      const entry = { session, timer: setTimeout(() => retire(program, entry), IDLE_SESSION_MS) }
      program.idle.push(entry)
      waiting.add(program)
    },

    /** The program is gone. */
    drop(program: Program): void {
      for (const entry of program.idle) retire(program, entry)
    },

    stop(): void {
      isStopped = true
    }
  }
}

export type WarmSessions = ReturnType<typeof createWarmSessions>
