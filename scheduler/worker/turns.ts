import type { Logger } from '@libp2p/interface'
import type { LeasedSlice } from '../protocol/compute-messages.ts'
import type { Program } from './requester.ts'

// Small slices are run together up to this expected time, so that their answers do not wait for each other long; where all
// slots are busy, so much begins beside them.
const BATCH_MS = 20
const MAX_SLICES_PER_BATCH = 64
// So long runs what began beside full slots, on a machine that is busy; so long it waits for its inputs. While its process starts
// it uses none of that: begun again it would have to start once more.
const OVERSTAY_MS = 1000
const STARTING_MS = 20_000

/**
 * Programs with slices that wait take turns at the slots: the owner's own first, then what is secured, then the rest.
 * Where all slots are busy, one small batch at a time begins all the same, of a requester of whom nothing runs: a person
 * does not wait behind somebody's bulk. What turns out longer keeps the next slot that is free, or ends (`overstay`).
 */
export function createTurns(init: {
  /** how many run at a time */
  capacity(): number
  /** as many, or one more where its process has room beside theirs */
  most(): number
  /** Whether more than a stranger's word pays for what the program has next. */
  isSecured(program: Program): boolean
  /** false: it gave way, and is not begun again yet */
  mayBegin(program: Program): boolean
  run(program: Program, slices: LeasedSlice[]): Promise<void>
  /** ms, monotonic */
  now?: () => number
  log: Logger
}) {
  const { now = () => performance.now() } = init
  const ownLine = new Set<Program>()
  const othersLine = new Set<Program>()
  const lineOf = ({ requester }: Program): Set<Program> => (requester.own ? ownLine : othersLine)
  let running = 0
  /** ms that slots were busy until `changedAt`, all together */
  let busyMs = 0
  let changedAt = now()
  /** when all slots were last seen busy */
  let fullAt = changedAt
  /** what began beside the slots last */
  let beside: { program: Program; slices: LeasedSlice[]; at: number } | undefined
  let isStopped = false

  function account(change: number): void {
    const at = now()
    busyMs += running * (at - changedAt)
    if (running >= init.capacity()) fullAt = at
    changedAt = at
    running += change
  }

  /** ms for which what is beside the slots has waited for its inputs, or its code has run. */
  function besideMs({ program, slices, at }: NonNullable<typeof beside>): number {
    const { fetchedAt, readyAt } = [...program.running].find(each => each.slices === slices) ?? {}
    // inputs that do not come keep others from the only place that there is
    return now() - (readyAt ?? (fetchedAt == null ? at : fetchedAt + STARTING_MS))
  }

  function pump(): void {
    pumpLine(ownLine)
    pumpLine(othersLine, init.isSecured)
    pumpLine(othersLine, init.mayBegin)
    pumpLine(ownLine, isSmall, init.most())
    pumpLine(othersLine, program => isSmall(program) && init.mayBegin(program), init.most())
  }

  function pumpLine(
    line: Set<Program>,
    isNext = (_: Program): boolean => true,
    most = init.capacity()
  ): void {
    for (const program of line) {
      if (running >= most || isStopped) return
      if (!isNext(program)) continue
      line.delete(program)
      const slices = take(program)
      // to the end of the line, so that programs take turns
      if (program.queue.length > 0) line.add(program)
      if (running === init.capacity()) beside = { program, slices, at: now() }
      account(1)
      init
        .run(program, slices)
        .catch(err => init.log.error('a batch was not answered: %e', err))
        .finally(() => {
          account(-1)
          if (beside?.slices === slices) beside = undefined
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

    /** What is no small batch though it began as one, while all slots are busy: from now on its program counts as what it is. */
    overstay(): { program: Program; slices: readonly LeasedSlice[] } | undefined {
      if (beside == null || running <= init.capacity()) return
      const { program, slices } = beside
      const ms = besideMs(beside)
      if (ms <= OVERSTAY_MS) return
      program.sliceMs = ms / slices.length
      return { program, slices }
    },

    /** What is short and beside the slots, or was when it began, gives way to nobody: it holds nobody up. */
    isBeside: (slices: readonly LeasedSlice[]): boolean =>
      beside?.slices === slices && besideMs(beside) <= OVERSTAY_MS,

    get running(): number {
      return running
    },

    /** ms for which there has been a free slot */
    freeMs(): number {
      account(0)
      return now() - fullAt
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

/** ms per slice: as seen here, else as its requester says */
const sliceMs = ({ sliceMs, queue }: Program): number => sliceMs ?? queue[0]?.expectedMs ?? BATCH_MS

const isSmall = (program: Program): boolean =>
  sliceMs(program) <= BATCH_MS &&
  [...program.requester.programs.values()].every(({ running }) => running.size === 0)

function take(program: Program): LeasedSlice[] {
  const each = Math.max(sliceMs(program), 0.01)
  const count = Math.max(1, Math.min(MAX_SLICES_PER_BATCH, Math.floor(BATCH_MS / each)))
  return program.queue.splice(0, count)
}
