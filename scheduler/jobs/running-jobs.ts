import { randomInt } from 'node:crypto'
import type { Logger } from '@libp2p/interface'
import type { Sandbox } from '../../sandbox/index.ts'
import type { JobReport, SchedulerEvents } from '../contract.ts'
import { type Coordinator, createCoordinator } from '../coordinator/coordinator.ts'
import { chunkCid } from '../data/chunked-data.ts'
import { product } from '../market/price.ts'
import type { Exchange } from '../market/workers-on-offer.ts'
import type { OfferMessage } from '../protocol/compute-messages.ts'
import type { StoredSlice } from '../store/job-rows.ts'
import type { Store } from '../store/job-store.ts'
import type { MemoStore } from '../store/memo.ts'
import type { Outbox } from '../streams/lease-outbox.ts'
import type { Work } from '../tasks/contract.ts'
import { createEnding } from './end-job.ts'
import { JobHandle, type JobInit } from './job-handle.ts'
import { createAccepted } from './keep-answers.ts'
import { createRunHere } from './run-here.ts'
import { asksOf, createParts } from './run-parts.ts'
import { partId, type RunningJob } from './running-job.ts'
import type { Settlement } from './settle-job.ts'
import { barred, whyWaiting } from './why-waiting.ts'

// Silence and late slices are looked at this often while a job runs.
const TICK_MS = 250
// The largest range that randomInt draws from in one step.
const RANDOM_RANGE = 2 ** 47
// The longest that a timer of Node waits.
const MAX_TIMEOUT_MS = 2 ** 31 - 1
// Slice numbers start above those before a restart: no node leases more than this many per millisecond.
const SLICES_PER_MS = 1024

/** A job as it comes from a spec or from disk. */
export type Tracked = Omit<JobInit, 'load' | 'hurry' | 'cancel'>

export interface RunsInit {
  /** of the store, for messages */
  directory: string
  /** false where jobs may hold strangers' code, which never runs without walls */
  trustsOwn: boolean
  signal: AbortSignal
  tell(event: keyof SchedulerEvents, detail: unknown): void
  /** why a worker refused last */
  refusal(worker: string): string | undefined
  /** The first job runs, or the last one ended. */
  onBusy(isBusy: boolean): void
}

export interface RunsComponents {
  /** this node */
  requester: string
  store: Store
  memo: MemoStore
  sandbox: Sandbox
  exchange: Pick<Exchange, 'factors' | 'seen'>
  /** what linked workers offer */
  offers: ReadonlyMap<string, OfferMessage>
  outbox: Outbox
  settlement: Settlement
  log: Logger
}

/** The jobs under way: what the coordinator decides about them becomes messages, rows on disk and results. */
export function createRuns(init: RunsInit, components: RunsComponents) {
  const { signal, tell, directory, refusal } = init
  const { requester, store, sandbox, exchange, offers, outbox, settlement, log } = components
  const runHere = createRunHere({ requester, trusted: init.trustsOwn }, { sandbox })
  const jobs = new Map<string, JobHandle>()
  const running = new Map<string, RunningJob>()
  /** jobs that run and are not yet written down as running: most end before the next tick */
  const begun = new Set<RunningJob>()
  let ticker: NodeJS.Timeout | undefined
  let soon: { timer: NodeJS.Timeout; at: number } | undefined

  const ending = createEnding(
    {
      directory,
      signal,
      onEnd({ id }) {
        const job = running.get(id)
        if (job != null) parts.drop(job)
        running.delete(id)
        outbox.flush()
      },
      onSettled: ({ id }) => jobs.delete(id)
    },
    components
  )
  const parts = createParts(
    { signal, onBegin: job => begun.add(job) },
    { coordinator: () => coordinator, outbox, ending, settlement, runHere }
  )
  const { keep, ...kept } = createAccepted(
    { cannotStore: ending.cannotStore },
    { parts: parts.parts, store, log }
  )
  const coordinator: Coordinator = createCoordinator(
    {
      lease: parts.lease,
      revoke: ({ worker, slice }) => outbox.revoke(worker, slice),
      ...kept,
      evidence: evidence => settlement.accuse(parts.parts.get(evidence.job)!.job.handle.id, evidence),
      wake,
      end: parts.end
    },
    // unpredictable for the workers: they must not know what is compared
    {
      random: () => randomInt(RANDOM_RANGE) / RANDOM_RANGE,
      trust: store.trusts(),
      firstSlice: Date.now() * SLICES_PER_MS
    }
  )

  function track(stored: Tracked): JobHandle {
    const job = new JobHandle({
      ...stored,
      load: () => store.result(stored.id),
      hurry: settlement.hurry,
      cancel: reason => ending.completing(job) ?? ending.end(job, 'cancelled', { reason }),
      soFar: () => running.get(stored.id)?.work.soFar?.(),
      waiting: () => waiting(stored.id),
      barred: () => whoIsBarred(stored.id)
    })
    jobs.set(job.id, job)
    job.addEventListener('progress', ({ detail }) => tell('job:progress', detail))
    job.addEventListener('end', ({ detail }) => tell('job:end', detail))
    return job
  }

  const openParts = (id: string): string[] =>
    [...(running.get(id)?.open ?? [])].map(index => partId(id, index))

  function waiting(id: string): JobReport['waiting'] {
    const [first, ...others] = openParts(id)
    if (first == null) return
    const kept = coordinator.waits(first)
    if (kept == null || others.some(part => coordinator.waits(part) == null)) return
    return whyWaiting({ ...asksOf(parts.parts.get(first)!), kept, unlinked, linked: offers, refusal })
  }

  function whoIsBarred(id: string): JobReport['barred'] {
    const [first] = openParts(id)
    const out = first == null ? [] : barred(coordinator.kept(first), refusal)
    return out.length === 0 ? undefined : out
  }

  const usersOf = (dataset: string): JobHandle[] =>
    [...parts.parts.values()]
      .filter(({ part }) => part.source?.dataset === dataset)
      .map(({ job }) => job.handle)

  const unlinked = () => exchange.seen().filter(({ peer }) => !offers.has(peer))

  // ---- time ----

  /** Whatever a job waits for: a worker, an answer, a step that runs here. */
  function expireInTime(job: RunningJob): void {
    const { handle, ended } = job
    if (handle.expires == null) return
    const left = handle.expires - Date.now()
    const timer = setTimeout(
      () => {
        if (left > MAX_TIMEOUT_MS) expireInTime(job)
        else ending.end(handle, 'expired')
      },
      Math.min(left, MAX_TIMEOUT_MS)
    )
    ended.signal.addEventListener('abort', () => clearTimeout(timer))
  }

  function tick(): void {
    const now = Date.now()
    for (const { handle } of begun) if (!handle.hasEnded) keep(handle, () => store.running(handle.id))
    begun.clear()
    coordinator.tick(now)
    progress(now)
    outbox.flush()
    if (coordinator.busy) return
    init.onBusy(false)
    clearInterval(ticker)
    ticker = undefined
  }

  /** A tick before the next one. */
  function wake(inMs: number): void {
    if (signal.aborted) return
    const at = Date.now() + inMs
    if (soon != null && soon.at <= at) return
    clearTimeout(soon?.timer)
    const timer = setTimeout(() => {
      soon = undefined
      tick()
    }, inMs)
    soon = { timer, at }
  }

  function progress(now: number): void {
    for (const { handle, begun } of running.values()) {
      if (!handle.wantsProgress(now)) continue
      const each = [...begun].map(index => coordinator.progress(partId(handle.id, index)))
      handle.progressed(now, {
        workers: Math.max(0, ...each.map(part => part?.workers ?? 0)),
        retries: each.reduce((sum, part) => sum + (part?.retries ?? 0), 0)
      })
    }
  }

  return {
    coordinator,
    /** `ended`: whoever waits for it does no longer. */
    runHere: (ended: AbortSignal = signal) => runHere(AbortSignal.any([signal, ended])),
    track,
    progress,
    settle: ending.settle,
    broke: ending.broke,
    /** Its deadline was over before it could go on. */
    expire: (job: JobHandle) => ending.end(job, 'expired'),

    /** Lets a job run; `accepted`: its slices from before a restart. */
    run(handle: JobHandle, work: Work, accepted: readonly StoredSlice[] = []): void {
      // written while this node stopped: it goes on at the next start
      if (signal.aborted) return
      init.onBusy(true)
      const { multiplier: _, ...factors } = exchange.factors(handle.spec)
      const replay = Map.groupBy(accepted, ({ part }) => part)
      const job = {
        handle,
        work,
        open: new Set<number>(),
        begun: new Set<number>(),
        replay,
        factor: product(factors),
        ended: new AbortController()
      }
      running.set(handle.id, job)
      expireInTime(job)
      ticker ??= setInterval(tick, TICK_MS)
      void parts.advance(job)
    },

    get: (id: string): JobHandle | undefined => jobs.get(id),

    /** what the coordinator's job `id` is a part of */
    part: (id: string) => parts.parts.get(id),

    /** a job under way that takes items of this dataset */
    user: (dataset: string): string | undefined => usersOf(dataset)[0]?.id,

    /** Ends the jobs that take items of a dataset. */
    failUsers(dataset: string, message: string): void {
      for (const handle of usersOf(dataset))
        ending.end(handle, 'failed', { failure: { name: 'aborted', message } })
    },

    /** what of a job is leased now */
    leases: (id: string) =>
      [...(running.get(id)?.open ?? [])].flatMap(part =>
        coordinator.leases(partId(id, part)).map(lease => ({ part, ...lease }))
      ),

    /** A job of an earlier time, only to be read. */
    trackEnded(stored: Tracked): JobHandle {
      const job = track(stored)
      job.markSettled()
      jobs.delete(job.id)
      return job
    },

    /** A peer asked for a block that is gone: jobs that need it cannot end otherwise. */
    missing(digest: Uint8Array): void {
      for (const { handle } of [...running.values()]) {
        const isNeeded = handle.init.data?.some(({ chunks }) =>
          chunks.some(chunk => Buffer.compare(chunk, digest) === 0)
        )
        if (!isNeeded) continue
        const message = `block ${chunkCid(digest)} of its data is no longer in the block store; add the data again`
        ending.end(handle, 'failed', { failure: { name: 'aborted', message } })
      }
    },

    stop(): void {
      for (const { ended } of running.values()) ended.abort()
      clearInterval(ticker)
      ticker = undefined
      clearTimeout(soon?.timer)
      soon = undefined
    }
  }
}

export type Runs = ReturnType<typeof createRuns>
