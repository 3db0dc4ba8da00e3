import type { Logger } from '@libp2p/interface'
import type { LeasedSlice } from '../protocol/compute-messages.ts'
import type { Program } from './requester.ts'

// Small slices are run together up to this expected time, so that their answers do not wait for each other long.
const BATCH_MS = 20
const MAX_SLICES_PER_BATCH = 64

/**
 * Programs with slices that wait take turns at the slots: the owner's own first, then what is secured, then the rest.
 */
export function createTurns(init: {
  /** how many run at a time */
  capacity(): number
  /** Whether more than a stranger's word pays for what the program has next. */
  isSecured(program: Program): boolean
  run(program: Program, slices: LeasedSlice[]): Promise<void>
  log: Logger
}) {
  const ownLine = new Set<Program>()
  const othersLine = new Set<Program>()
  const lineOf = ({ requester }: Program): Set<Program> => (requester.own ? ownLine : othersLine)
  let running = 0
  /** ms that slots were busy until `changedAt`, all together */
  let busyMs = 0
  let changedAt = performance.now()
  let isStopped = false

  function account(change: number): void {
    const now = performance.now()
    busyMs += running * (now - changedAt)
    changedAt = now
    running += change
  }

  function pump(): void {
    pumpLine(ownLine)
    pumpLine(othersLine, init.isSecured)
    pumpLine(othersLine)
  }

  function pumpLine(line: Set<Program>, isNext = (_: Program): boolean => true): void {
    for (const program of line) {
      if (running >= init.capacity() || isStopped) return
      if (!isNext(program)) continue
      line.delete(program)
      const slices = take(program)
      // to the end of the line, so that programs take turns
      if (program.queue.length > 0) line.add(program)
      account(1)
      init
        .run(program, slices)
        .catch(err => init.log.error('a batch was not answered: %e', err))
        .finally(() => {
          account(-1)
          pump()
        })
    }
  }

  return {
    pump,

    /** A slice waits for its turn. */
    add(program: Program, slice: LeasedSlice): void {
      program.queue.push(slice)
      lineOf(program).add(program)
    },

    /** Nothing of the program waits any more. */
    remove(program: Program): void {
      lineOf(program).delete(program)
    },

    /** Requesters that wait for a slot though they are the owner or secured, once for each of their programs. */
    kept(): string[] {
      if (running < init.capacity()) return []
      return [...ownLine, ...[...othersLine].filter(init.isSecured)].map(({ requester }) => requester.id)
    },

    get running(): number {
      return running
    },

    /** ms that slots were busy so far, all together */
    busyMs(): number {
      account(0)
      return busyMs
    },

    stop(): void {
      isStopped = true
    }
  }
}

export type Turns = ReturnType<typeof createTurns>

function take(program: Program): LeasedSlice[] {
  const each = Math.max(program.sliceMs ?? program.queue[0]?.expectedMs ?? BATCH_MS, 0.01)
  const count = Math.max(1, Math.min(MAX_SLICES_PER_BATCH, Math.floor(BATCH_MS / each)))
  return program.queue.splice(0, count)
}
