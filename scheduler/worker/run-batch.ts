import type { Logger } from '@libp2p/interface'
import type { Failure, Session } from '../../sandbox/index.ts'
import type { UnpaidTime } from '../market/unpaid-time.ts'
import type { LeasedSlice, SliceResult } from '../protocol/compute-messages.ts'
import { BlocksMissingError, type WorkerInputs } from './gather-inputs.ts'
import type { WorkerPolicy } from './lending-policy.ts'
import { type Batch, letGo, type Program, priceOf, type Requester } from './requester.ts'
import { inResultMessages, MAX_MESSAGE_CHARS, withSaid } from './result-messages.ts'
import type { SignedAnswers } from './signed-answers.ts'
import type { Credit } from './unsecured-work.ts'
import type { WarmSessions } from './warm-sessions.ts'

// Slices whose blocks are fetched ahead: two of the usual 4 MiB are enough to keep the sandbox busy.
const PREFETCH_SLICES = 2

// What the sandbox throws instead of an outcome, and what the requester is told.
const FAILURES: Record<string, Failure['name']> = { ProgramError: 'threw', WallMissingError: 'wall-missing' }

export interface BatchComponents {
  inputs: WorkerInputs
  sessions: WarmSessions
  answers: SignedAnswers
  unpaid: UnpaidTime
  credit: Credit
  /** Slices were done for somebody else. */
  worked(requester: string, work: { slices: number; ms: number; earned: bigint }): void
  /** ms, monotonic */
  now(): number
  log: Logger
}

/** Gives what runs slices of one program in one process and answers each. */
export function createBatchRunner(policy: Pick<WorkerPolicy, 'maxSliceMs'>, components: BatchComponents) {
  const { inputs, sessions, answers, unpaid, credit, worked, now, log } = components

  async function run(program: Program, slices: LeasedSlice[]): Promise<void> {
    const { requester } = program
    const controller = new AbortController()
    const batch: Batch = {
      slices,
      live: new Set(slices.map(slice => slice.id)),
      startedAt: now(),
      controller
    }
    let earned = 0
    program.running.add(batch)
    let session: Session | undefined
    try {
      const fetched = await Promise.all(slices.map(slice => fetch(requester, slice, batch)))
      const ready = slices.filter((_, i) => fetched[i] != null)
      if (ready.length === 0) return
      batch.fetchedAt = now()
      for (const { inputs: next } of program.queue.slice(0, PREFETCH_SLICES))
        inputs.prefetch(requester.id, next)
      session = await sessions.acquire(program, controller.signal)
      batch.readyAt = now()
      const outcomes = await session.run(
        fetched.flatMap(each => each ?? []),
        { signal: controller.signal }
      )
      if (requester.closed) return
      const { said } = session
      const all = answers
        .of(requester, ready, outcomes, (slice, reason) => refuse(requester, [slice], reason))
        .map(result => withSaid(result, said))
      for (const { ms } of all.filter(isDone))
        program.sliceMs = program.sliceMs == null ? ms : program.sliceMs * 0.7 + ms * 0.3
      const results = withoutOverdue(program, all)
      for (const part of inResultMessages(results)) requester.send({ t: 'result', slices: part })
      if (!requester.own) earned = book(requester.id, ready, results)
    } catch (err) {
      if (requester.closed || controller.signal.aborted) return
      const { name, message } = err as Error
      const failure = FAILURES[name]
      if (failure != null) {
        requester.send({ t: 'result', slices: answers.failed(requester, slices, { name: failure, message }) })
        return
      }
      log.error('a batch failed: %e', err)
      refuse(requester, slices, `the worker could not run it: ${message}`)
    } finally {
      program.running.delete(batch)
      if (!requester.own) unpaid.used(requester.id, now() - batch.startedAt, earned)
      letGo(requester, slices)
      if (session != null) sessions.release(program, session)
    }
  }

  /** The owner's own limit is no failure of the program: such a slice is refused, and another worker may have more time. */
  function withoutOverdue({ requester, message }: Program, results: SliceResult[]): SliceResult[] {
    if (requester.own || message.timeoutMs <= policy.maxSliceMs) return results
    const isOverdue = ({ outcomes }: SliceResult): boolean =>
      outcomes.some(outcome => !(outcome instanceof Uint8Array) && outcome.name === 'timeout')
    const overdue = results.filter(isOverdue)
    const reason = `a slice took longer than ${policy.maxSliceMs / 1000} s, the most that this worker gives to one`
    if (overdue.length > 0) refuse(requester, overdue, reason)
    return results.filter(result => !isOverdue(result))
  }

  /** Books what was done for somebody else; micro-credits of it. */
  function book(requester: string, slices: LeasedSlice[], results: SliceResult[]): number {
    const byId = new Map(slices.map(slice => [slice.id, slice]))
    const done = results.filter(isDone).map(({ id, ms }) => ({ ms, ...byId.get(id)! }))
    if (done.length === 0) return 0
    for (const { job, price } of done) credit.earned(requester, job, price)
    const earned = priceOf(done)
    const ms = done.reduce((sum, each) => sum + each.ms, 0)
    worked(requester, { slices: done.length, ms, earned: BigInt(earned) })
    return earned
  }

  /** The inputs of a slice; nothing where other workers do not have their part, which its requester is told. */
  async function fetch(
    requester: Requester,
    slice: LeasedSlice,
    { controller, live }: Batch
  ): Promise<Uint8Array[] | undefined> {
    try {
      return await inputs.fetch(requester.id, slice.inputs, controller.signal)
    } catch (err) {
      if (!(err instanceof BlocksMissingError)) throw err
      live.delete(slice.id)
      if (requester.closed) return
      const { message: reason, missing } = err
      requester.send({ t: 'refused', slices: [slice.id], reason, missing })
      return
    }
  }

  return run
}

/** Of what failed or was ended nobody knows how long it takes. */
const isDone = ({ outcomes }: SliceResult): boolean =>
  outcomes.every(outcome => outcome instanceof Uint8Array)

/** Tells a requester that slices are not taken, and why. */
export function refuse(
  requester: Requester,
  slices: { id: number }[],
  reason: string,
  program?: string
): void {
  requester.send({
    t: 'refused',
    program,
    slices: slices.map(slice => slice.id),
    reason: reason.slice(0, MAX_MESSAGE_CHARS)
  })
}
