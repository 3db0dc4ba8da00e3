import { hash, randomInt } from 'node:crypto'
import type { Logger } from '@libp2p/interface'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createDigest } from 'multiformats/hashes/digest'
import type { Sandbox } from '../../sandbox/index.ts'
import type { JobReport, SchedulerEvents } from '../contract.ts'
import type { Effects } from '../coordinator/contract.ts'
import { type Coordinator, createCoordinator } from '../coordinator/coordinator.ts'
import { chunkCid } from '../data/chunked-data.ts'
import { product } from '../market/price.ts'
import type { Exchange } from '../market/workers-on-offer.ts'
import type { Store } from '../store/job-store.ts'
import { type MemoStore, memoKey } from '../store/memo.ts'
import type { Outbox } from '../streams/lease-outbox.ts'
import type { Part } from '../tasks/contract.ts'
import { JobHandle } from './job-handle.ts'
import { createAccepted, type RunningPart } from './keep-answers.ts'
import { createRunHere } from './run-here.ts'
import type { Settlement } from './settle-job.ts'
import { untilDone } from './until-done.ts'

// Silence, deadlines and late slices are looked at this often while a job runs.
const TICK_MS = 250
// The largest range that randomInt draws from in one step.
const RANDOM_RANGE = 2 ** 47
// Slice numbers start above those before a restart: no node leases more than this many per millisecond.
const SLICES_PER_MS = 1024

type Lease = Parameters<Effects['lease']>[0]
type Ended = Parameters<Effects['end']>[0]

/** The jobs under way: what the coordinator decides about them becomes messages, rows on disk and results. */
export function createRuns(
  init: {
    /** of the store, for messages */
    directory: string
    /** false where jobs may hold strangers' code, which never runs without walls */
    trustsOwn: boolean
    signal: AbortSignal
    tell(event: keyof SchedulerEvents, detail: unknown): void
    /** The first job runs, or the last one ended. */
    onBusy(isBusy: boolean): void
  },
  {
    requester,
    store,
    memo,
    sandbox,
    exchange,
    outbox,
    settlement,
    log
  }: {
    /** this node */
    requester: string
    store: Store
    memo: MemoStore
    sandbox: Sandbox
    exchange: Pick<Exchange, 'factors'>
    outbox: Outbox
    settlement: Settlement
    log: Logger
  }
) {
  const { signal, tell } = init
  const runHere = createRunHere(sandbox, { requester, trusted: init.trustsOwn, signal })
  const jobs = new Map<string, JobHandle>()
  const parts = new Map<string, RunningPart>()
  /** jobs that run and are not yet written down as running: most end before the next tick */
  const begun = new Set<JobHandle>()
  let ticker: NodeJS.Timeout | undefined
  const { keep, ...accepted } = createAccepted({ cannotStore }, { parts, store, log })
  const coordinator: Coordinator = createCoordinator(
    {
      lease: onLease,
      revoke: ({ worker, slice }) => outbox.revoke(worker, slice),
      ...accepted,
      evidence: evidence => settlement.accuse(parts.get(evidence.job)!.job.id, evidence),
      end: onPartEnd
    },
    // unpredictable for the workers: they must not know what is compared
    {
      random: () => randomInt(RANDOM_RANGE) / RANDOM_RANGE,
      trust: store.trusts(),
      firstSlice: Date.now() * SLICES_PER_MS
    }
  )

  // ---- a job's way ----

  function track(stored: Omit<JobHandle['init'], 'load' | 'cancel'>, work?: JobHandle['work']): JobHandle {
    const job = new JobHandle({
      ...stored,
      load: () => store.result(stored.id),
      cancel: reason => cancel(job, reason)
    })
    job.work = work
    jobs.set(job.id, job)
    job.addEventListener('progress', ({ detail }) => tell('job:progress', detail))
    job.addEventListener('end', ({ detail }) => tell('job:end', detail))
    return job
  }

  function run(job: JobHandle): void {
    init.onBusy(true)
    const { multiplier: _, ...factors } = exchange.factors(job.spec)
    job.factor = product(factors)
    ticker ??= setInterval(tick, TICK_MS)
    void advance(job)
  }

  /** Hands a part to the coordinator, with what was accepted of it before a restart. */
  function start(job: JobHandle, index: number, part: Part): void {
    const [spec] = job.init.specs
    const accepted = job.replay.get(index) ?? []
    job.replay.delete(index)
    job.open.add(index)
    parts.set(partId(job.id, index), { job, part, index })
    for (const { first, count, value, paid } of accepted)
      part.reducer.add(
        first,
        count,
        value,
        paid.map(({ worker }) => worker)
      )
    const [share, of] = part.share
    const { missing } = part
    coordinator.submit(
      {
        id: partId(job.id, index),
        program: part.rateKey,
        units: part.units,
        mostUnits: part.mostUnits,
        priority: spec!.priority,
        retries: spec!.retries,
        timeoutMs: part.load.timeoutMs,
        verification: spec!.verify,
        auditable: part.cut != null,
        kind: part.load.type ?? spec!.type,
        allowed: spec!.privacy.workers && new Set(spec!.privacy.workers),
        bound: (job.init.bound * BigInt(share)) / BigInt(of),
        factor: job.factor,
        memoryMb: part.load.memoryMb,
        needs: {
          type: part.load.type ?? spec!.type,
          ramMb: part.load.memoryMb,
          tags: spec!.requirements.tags
        },
        deadline: spec!.deadline == null ? undefined : job.init.submitted + spec!.deadline,
        unavailable: missing && (reports => missing.result((reports as Uint8Array[][]).flat())),
        accepted: accepted.map(({ first, count, paid }) => ({
          first,
          count,
          price: paid.reduce((sum, each) => sum + each.price, 0n)
        }))
      },
      Date.now()
    )
  }

  /** Starts the parts that can run after part `completed`, or at once; after the last one the job is complete. */
  async function advance(job: JobHandle, completed?: number): Promise<void> {
    const work = job.work!
    try {
      const next = await work.next(completed, runHere)
      if (job.finished != null || signal.aborted) return
      job.total = work.total
      for (const [number, part] of next) start(job, number, part)
      if (completed != null) {
        job.open.delete(completed)
        job.begun.delete(completed)
        parts.delete(partId(job.id, completed))
      }
      outbox.flush()
    } catch (err) {
      broke(job, err as Error)
    }
    if (job.finished == null && job.open.size === 0) await complete(job)
  }

  async function complete(job: JobHandle): Promise<void> {
    try {
      const result = await job.work!.finish(runHere)
      if (job.finished == null) end(job, 'completed', { result, cid: cidOf(result) })
    } catch (err) {
      broke(job, err as Error)
    }
  }

  /** A step that runs here failed. */
  function broke(job: JobHandle, { message, stack }: Error): void {
    if (job.finished != null || signal.aborted) return
    end(job, 'failed', { failure: { name: 'threw', message, stack } })
  }

  /** A full or broken disk: what was accepted so far is there, but nothing more can be kept. */
  function cannotStore(job: JobHandle, { message }: Error): void {
    if (job.finished != null) return
    end(job, 'failed', {
      failure: {
        name: 'aborted',
        message: `this node cannot write results to ${init.directory} (${message}); make room there and submit the job again`
      }
    })
    outbox.flush()
  }

  function cancel(job: JobHandle, reason: string): void {
    if (job.finished != null) return
    job.cancelReason = reason
    end(job, 'cancelled', {})
    outbox.flush()
  }

  function end(
    job: JobHandle,
    state: 'completed' | 'failed' | 'cancelled' | 'expired',
    ended: { result?: Uint8Array; cid?: string; failure?: JobReport['failure'] }
  ): void {
    const now = Date.now()
    // failure costs the requester nothing
    if (state === 'failed') job.shares.clear()
    const { done, total, retries, verification } = job
    const shares = [...job.shares.values()]
    const write = (): void =>
      store.endJob(job.id, { state, finished: now, ...ended, done, total, retries, shares, verification })
    let isWritten = true
    try {
      write()
    } catch (err) {
      if (state === 'completed') {
        // a result that is not on disk cannot be fetched
        cannotStore(job, err as Error)
        return
      }
      isWritten = false
    }
    if (state === 'completed' && job.spec.memoize && job.init.type !== 'batch') memoise(job, ended)
    job.end(state, now, { cid: ended.cid, failure: ended.failure })
    for (const index of job.open) {
      coordinator.cancel(partId(job.id, index), now)
      parts.delete(partId(job.id, index))
    }
    job.open.clear()
    job.begun.clear()
    void settle(job, isWritten ? undefined : write)
  }

  /** `write`: writes its end, which must be on disk first: after a restart a job without an end goes on, and is paid for. */
  async function settle(job: JobHandle, write?: () => void): Promise<void> {
    const what = `the end of job ${job.id} is not written`
    if (write != null && !(await untilDone(what, write, { signal, log }))) return
    if (!(await settlement.settle(job))) return
    job.markSettled()
    jobs.delete(job.id)
  }

  function memoise(job: JobHandle, { cid, result }: { cid?: string; result?: Uint8Array }): void {
    try {
      const key = memoKey(job.spec, sandbox.class)
      memo.put(key, job.spec.verify, { job: job.id, cid: cid!, result: result! })
    } catch (err) {
      log.error('the result of job %s is not kept for others: %e', job.id, err)
    }
  }

  // ---- what the coordinator decides ----

  function onLease(lease: Lease): void {
    const { part, job, index } = parts.get(lease.job)!
    job.begun.add(index)
    if (job.state === 'queued') {
      job.state = 'running'
      begun.add(job)
    }
    outbox.lease(lease.worker, part, {
      id: lease.slice,
      program: part.load.program,
      inputs: part.inputs(lease.first, lease.count),
      expectedMs: lease.expectedMs,
      job: job.id,
      price: Number(lease.price),
      ...(part.keep && { keep: true })
    })
  }

  function onPartEnd(ended: Ended): void {
    const { job, index } = parts.get(ended.job)!
    if (job.finished != null) return
    if (ended.state === 'completed') void advance(job, index)
    else {
      const failure = ended.failure && (job.work!.explain?.(index, ended.failure) ?? ended.failure)
      end(job, ended.state, { failure: failure && { ...failure, unit: ended.first } })
    }
  }

  // ---- time ----

  function tick(): void {
    const now = Date.now()
    for (const job of begun) if (job.state === 'running') keep(job, () => store.running(job.id))
    begun.clear()
    coordinator.tick(now)
    progress(now)
    outbox.flush()
    if (coordinator.busy) return
    init.onBusy(false)
    clearInterval(ticker)
    ticker = undefined
  }

  function progress(now: number): void {
    for (const job of jobs.values()) {
      if (job.finished != null || !job.wantsProgress(now)) continue
      const each = [...job.begun].map(index => coordinator.progress(partId(job.id, index)))
      job.workers = Math.max(0, ...each.map(part => part?.workers ?? 0))
      job.retries = Math.max(
        job.retries,
        each.reduce((sum, part) => sum + (part?.retries ?? 0), 0)
      )
      job.progressed(now)
    }
  }

  return {
    coordinator,
    track,
    run,
    runHere,
    broke,
    cancel,
    settle,
    progress,

    get: (id: string): JobHandle | undefined => jobs.get(id),

    /** what the coordinator's job `id` is a part of */
    part: (id: string) => parts.get(id),

    /** what of a job is leased now */
    leases: (id: string) =>
      [...(jobs.get(id)?.open ?? [])].flatMap(part =>
        coordinator.leases(partId(id, part)).map(lease => ({ part, ...lease }))
      ),

    /** A job of an earlier time, only to be read. */
    trackEnded(stored: Omit<JobHandle['init'], 'load' | 'cancel'>): JobHandle {
      const job = track(stored)
      job.markSettled()
      jobs.delete(job.id)
      return job
    },

    /** A peer asked for a block that is gone: jobs that need it cannot end otherwise. */
    missing(digest: Uint8Array): void {
      for (const job of jobs.values()) {
        const isNeeded = job.init.data?.some(({ chunks }) =>
          chunks.some(chunk => Buffer.compare(chunk, digest) === 0)
        )
        if (!isNeeded || job.finished != null) continue
        const message = `block ${chunkCid(digest)} of its data is no longer in the block store; add the data again`
        end(job, 'failed', { failure: { name: 'aborted', message } })
      }
    },

    stop(): void {
      clearInterval(ticker)
      ticker = undefined
    }
  }
}

export type Runs = ReturnType<typeof createRuns>

const partId = (job: string, index: number): string => `${job}/${index}`

const cidOf = (bytes: Uint8Array): string =>
  CID.createV1(raw.code, createDigest(0x12, hash('sha256', bytes, 'buffer'))).toString()
