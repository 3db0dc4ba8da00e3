import type { Logger } from '@libp2p/interface'
import type { Failure } from '../../sandbox/index.ts'
import type { JobReport } from '../contract.ts'
import { type ResultBytes, wholeOf } from '../data/result-bytes.ts'
import { StepFailedError } from '../errors.ts'
import type { FinalState, MadeOf, Store } from '../store/job-store.ts'
import { type MemoStore, memoKey } from '../store/memo.ts'
import type { JobHandle } from './job-handle.ts'
import type { Settlement } from './settle-job.ts'
import { untilDone } from './until-done.ts'

/** The states in which a job ends. */
export type EndState = 'completed' | 'failed' | 'cancelled' | 'expired'

export interface Ended {
  result?: ResultBytes
  made?: MadeOf
  cid?: string
  failure?: JobReport['failure']
  /** why it was cancelled */
  reason?: string
}

export interface EndingInit {
  /** of the store, for messages */
  directory: string
  signal: AbortSignal
  /** A job ended: nothing of it is to run any more. */
  onEnd(job: JobHandle): void
  /** A job is paid for: nothing of it is left to do. */
  onSettled(job: JobHandle): void
}

export interface EndingComponents {
  store: Pick<Store, 'endJob' | 'later'>
  memo: MemoStore
  /** determinism class of this node */
  sandbox: { readonly class: string }
  settlement: Pick<Settlement, 'settle' | 'isSecured'>
  log: Logger
}

/** The ends of jobs: on disk first, then told, then settled. */
export function createEnding(init: EndingInit, { store, memo, sandbox, settlement, log }: EndingComponents) {
  const { signal } = init

  /** jobs whose result goes to the disk with this turn of the event loop */
  const completing = new Map<JobHandle, Promise<void>>()
  /** those of them of which something else could not be written */
  const broken = new WeakMap<JobHandle, Error>()

  function row(job: JobHandle, state: EndState, { result, made, cid, failure }: Ended): FinalState {
    const finished = Date.now()
    const { done, total, retries, shares, verification } = job.report()
    const settled = !settlement.isSecured(job.id)
    return {
      state,
      finished,
      result,
      made,
      cid,
      failure,
      done,
      total,
      retries,
      shares,
      verification,
      settled
    }
  }

  function end(job: JobHandle, state: Exclude<EndState, 'completed'>, ended: Ended = {}): void {
    if (job.hasEnded || completing.has(job)) return
    // failure costs the requester nothing
    if (state === 'failed') job.owesNothing()
    const last = row(job, state, ended)
    const write = (): void => store.endJob(job.id, last)
    let isWritten = true
    try {
      write()
    } catch {
      // tried again before it is settled
      isWritten = false
    }
    tell(job, last, ended.reason)
    void settle(job, isWritten ? undefined : write)
  }

  /** Resolves when it has ended. */
  function complete(job: JobHandle, ended: Required<Pick<Ended, 'result' | 'cid'>> & Ended): Promise<void> {
    const known = completing.get(job)
    if (known != null || job.hasEnded) return known ?? Promise.resolve()
    const last = row(job, 'completed', ended)
    const write = (): void => {
      const err = broken.get(job)
      if (err != null) throw err
      store.endJob(job.id, last)
    }
    const written = store.later(job.id, write).then(
      () => {
        completing.delete(job)
        if (job.spec.memoize && job.init.type !== 'batch') memoise(job, ended.cid, ended.result)
        tell(job, last)
        void settle(job)
      },
      err => {
        completing.delete(job)
        broken.delete(job)
        // a result that is not on disk cannot be fetched
        cannotStore(job, err)
      }
    )
    completing.set(job, written)
    return written
  }

  function tell(
    job: JobHandle,
    { state, finished, cid, failure, result }: FinalState,
    reason?: string
  ): void {
    job.end(state, finished, { cid, failure, reason, result })
    init.onEnd(job)
  }

  /** A full or broken disk: what was accepted so far is there, but nothing more can be kept. */
  function cannotStore(job: JobHandle, err: Error): void {
    if (completing.has(job)) {
      broken.set(job, err)
      return
    }
    const { message } = err
    end(job, 'failed', {
      failure: {
        name: 'aborted',
        message: `this node cannot write results to ${init.directory} (${message}); make room there and submit the job again`
      }
    })
  }

  /**
   * Settles a job that ended. `write`: writes its end, which must be on disk first: after a restart a job without an end
   * goes on, and is paid for. Never rejects.
   */
  async function settle(job: JobHandle, write?: () => void): Promise<void> {
    const what = `the end of job ${job.id} is not written`
    if (write != null && !(await untilDone(what, write, { signal, log }))) return
    if (!(await settlement.settle(job))) return
    job.markSettled()
    init.onSettled(job)
  }

  function memoise(job: JobHandle, cid: string, result: ResultBytes): void {
    try {
      memo.put(memoKey(job.spec, sandbox.class), job.spec.verify, {
        job: job.id,
        cid,
        result: wholeOf(result)
      })
    } catch (err) {
      log.error('the result of job %s is not kept for others: %e', job.id, err)
    }
  }

  return {
    end,
    complete,
    /** of a job that completes at this moment */
    completing: (job: JobHandle): Promise<void> | undefined => completing.get(job),
    settle,
    cannotStore,

    /** A step that runs here failed. */
    broke(job: JobHandle, err: Error): void {
      if (!signal.aborted) end(job, 'failed', { failure: failureOf(err) })
    }
  }
}

export type Ending = ReturnType<typeof createEnding>

// Errors that are not the author's doing.
const OWN_FAILURES: Record<string, Failure['name']> = {
  WallMissingError: 'wall-missing',
  DataMissingError: 'aborted',
  DamagedJobError: 'aborted',
  BlockError: 'aborted',
  StorageError: 'aborted',
  AbortError: 'aborted'
}

/** What a step that runs on this node threw, as the failure of its job. */
export function failureOf(err: Error): Failure {
  if (err instanceof StepFailedError) return err.failure
  const { name, message, stack } = err
  return { name: OWN_FAILURES[name] ?? 'threw', message, stack }
}
