import { createHash } from 'node:crypto'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createDigest } from 'multiformats/hashes/digest'
import { isProvenStateless } from '../../sandbox/index.ts'
import type { Effects } from '../coordinator/contract.ts'
import type { Coordinator } from '../coordinator/coordinator.ts'
import { inPieces, type ResultBytes } from '../data/result-bytes.ts'
import type { Needs } from '../market/match.ts'
import { programBytes } from '../protocol/compute-messages.ts'
import type { Outbox } from '../streams/lease-outbox.ts'
import type { Part, RunPart } from '../tasks/contract.ts'
import { kindOf } from '../tasks/registry.ts'
import type { Ending } from './end-job.ts'
import { partId, type RunningJob, type RunningPart } from './running-job.ts'
import type { Settlement } from './settle-job.ts'

// Made once: without a reason every end of a job makes an error with a stack.
const ENDED = new DOMException('the job has ended', 'AbortError')

type Lease = Parameters<Effects['lease']>[0]
type PartEnd = Parameters<Effects['end']>[0]

export interface PartsInit {
  signal: AbortSignal
  /** The first slice of a job is leased. */
  onBegin(job: RunningJob): void
}

export interface PartsComponents {
  coordinator: () => Coordinator
  outbox: Outbox
  ending: Ending
  settlement: Pick<Settlement, 'secure'>
  runHere: (signal: AbortSignal) => RunPart
}

/** The parts of jobs: which can run, what of them is leased, and what follows when one is complete. */
export function createParts(
  { signal, onBegin }: PartsInit,
  { coordinator, outbox, ending, settlement, runHere }: PartsComponents
) {
  /** by the coordinator's names */
  const parts = new Map<string, RunningPart>()

  /** Starts the parts that can run after part `completed`, or at once; after the last one the job is complete. */
  async function advance(job: RunningJob, completed?: number): Promise<void> {
    const { handle, work } = job
    try {
      const next = await work.next(completed, runHere(job.ended.signal))
      if (handle.hasEnded || signal.aborted) return
      handle.grows(work.total)
      for (const [number, part] of next) start(job, number, part)
      if (completed != null) {
        job.open.delete(completed)
        job.begun.delete(completed)
        parts.delete(partId(handle.id, completed))
      }
      outbox.flush()
      if (!handle.hasEnded && job.open.size === 0) await complete(job)
    } catch (err) {
      ending.broke(handle, err as Error)
    }
  }

  async function complete({ handle, work, ended }: RunningJob): Promise<void> {
    const made = work.lists?.()
    const result = made?.lists.map(({ list }) => list) ?? [await work.finish(runHere(ended.signal))]
    await ending.complete(handle, { result, cid: cidOf(result), made })
  }

  /** Hands a part to the coordinator, with what was accepted of it before a restart. */
  function start(job: RunningJob, index: number, part: Part): void {
    const { bound } = job.handle.init
    const { priority, retries, verify, privacy } = job.handle.spec
    const accepted = job.replay.get(index) ?? []
    job.replay.delete(index)
    job.open.add(index)
    const id = partId(job.handle.id, index)
    parts.set(id, { job, part, index })
    for (const { first, count, value, paid } of accepted)
      part.reducer.add(
        first,
        count,
        value,
        paid.map(({ worker }) => worker)
      )
    const [share, of] = part.share
    const { missing, load, source } = part
    const { needs } = asksOf({ job, part })
    let isBlamable: boolean | undefined
    coordinator().submit(
      {
        id,
        program: part.rateKey,
        units: part.units,
        mostUnits: part.mostUnits,
        unitBytes: part.unitBytes,
        onceBytes: part.onceBytes,
        load: { program: load.program, bytes: programBytes(load) },
        priority,
        retries,
        timeoutMs: load.timeoutMs,
        verification: verify,
        auditable: part.cut != null,
        isBlamable: () => (isBlamable ??= isProvenStateless(load)),
        kind: needs.type,
        allowed: privacy.workers && new Set(privacy.workers),
        bound: (bound * BigInt(share)) / BigInt(of),
        factor: job.factor,
        memoryMb: load.memoryMb,
        needs,
        homes: source?.homes,
        isWaiting: source?.isWaiting,
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

  return {
    parts: parts as ReadonlyMap<string, RunningPart>,
    advance,

    /** The job ended: nothing of it runs any more. */
    drop(job: RunningJob): void {
      job.ended.abort(ENDED)
      for (const index of job.open) {
        const id = partId(job.handle.id, index)
        coordinator().cancel(id, Date.now())
        parts.delete(id)
      }
      job.open.clear()
      job.begun.clear()
    },

    // ---- what the coordinator decides ----

    lease(lease: Lease): void {
      const { part, job, index } = parts.get(lease.job)!
      job.begun.add(index)
      if (job.handle.begins()) onBegin(job)
      job.handle.leased(lease.worker, lease.why)
      if (lease.price > 0n) settlement.secure(job.handle)
      outbox.lease(lease.worker, part, {
        id: lease.slice,
        program: part.load.program,
        inputs: part.inputs(lease.first, lease.count),
        expectedMs: lease.expectedMs,
        job: job.handle.id,
        price: Number(lease.price),
        ...(part.keep && { keep: true }),
        ...(part.stay && { stay: true })
      })
    },

    end(ended: PartEnd): void {
      const { job, index } = parts.get(ended.job)!
      if (job.handle.hasEnded) return
      if (ended.state === 'completed') void advance(job, index)
      else {
        const failure = ended.failure && (job.work.explain?.(index, ended.failure) ?? ended.failure)
        ending.end(job.handle, ended.state, { failure: failure && { ...failure, unit: ended.first } })
      }
    }
  }
}

/** What a part of a job asks of workers. */
export function asksOf({ job, part: { load } }: Pick<RunningPart, 'job' | 'part'>): {
  needs: Needs
  quorum?: number
} {
  const { type, requirements, verify } = job.handle.spec
  const kind = load.type ?? type
  const runtime = kindOf(kind)?.runtime?.()
  const needs = { type: kind, ramMb: load.memoryMb, tags: requirements.tags, runtime }
  return typeof verify === 'object' && 'quorum' in verify ? { needs, quorum: verify.quorum } : { needs }
}

function cidOf(result: ResultBytes): string {
  const sha256 = createHash('sha256')
  for (const piece of inPieces(result)) sha256.update(piece)
  return CID.createV1(raw.code, createDigest(0x12, sha256.digest())).toString()
}
