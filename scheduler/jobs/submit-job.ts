import { randomBytes } from 'node:crypto'
import type { Logger } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import type { Escrow, Ledger } from '../../ledger/index.ts'
import { encodeValue, type Sandbox } from '../../sandbox/index.ts'
import type { DataStream, Job, JobReport } from '../contract.ts'
import { type Blocks, chunkCid, chunksOf, type Data, openData, readCid } from '../data/chunked-data.ts'
import { findReferences, resolveInputs, withReferences } from '../data/references.ts'
import { SpecError, StorageError } from '../errors.ts'
import { boundOf, type Quote, quoteOf } from '../market/price.ts'
import type { Exchange } from '../market/workers-on-offer.ts'
import type { OfferMessage } from '../protocol/compute-messages.ts'
import { reportOf } from '../store/job-pages.ts'
import type { Store, StoredJob } from '../store/job-store.ts'
import { type Memo, type MemoStore, memoKey } from '../store/memo.ts'
import type { BlockExchange } from '../streams/block-exchange.ts'
import { batchWork, createWork } from '../tasks/job-parts.ts'
import { parseSpec } from '../tasks/parse-spec.ts'
import type { TaskSpec } from '../tasks/registry.ts'
import { isPlanned, STREAMED } from '../tasks/registry.ts'
import { expectedCost } from '../trust/credibility.ts'
import { calibrate, estimate } from './estimate.ts'
import type { JobHandle } from './job-handle.ts'
import type { Runs } from './running-jobs.ts'
import type { Settlement } from './settle-job.ts'

// Most tasks of one batch.
const MAX_BATCH = 1_000_000
// A CID that nobody has this long is missing; what comes from another node must be here by then too.
const DATA_TIMEOUT_MS = 30_000

/** From a spec to a running job: checks, data by CID, quote, memoised results, the escrow; also after a restart. */
export function createSubmission(
  {
    directory,
    signal: stopping,
    tell
  }: {
    /** of the store, for messages */
    directory: string
    signal: AbortSignal
    tell(event: 'job:add' | 'job:end', report: JobReport): void
  },
  {
    requester,
    store,
    memo,
    sandbox,
    ledger,
    blocks,
    exchange,
    offers,
    runs,
    settlement,
    ...components
  }: {
    /** this node */
    requester: string
    store: Store
    memo: MemoStore
    sandbox: Sandbox
    ledger: Pick<Ledger, 'escrow'>
    /** blocks of this node and of others */
    blocks: BlockExchange
    blockstore?: Blocks
    exchange: Exchange
    /** what linked workers said last */
    offers: ReadonlyMap<string, OfferMessage>
    runs: Runs
    settlement: Pick<Settlement, 'free'>
    log: Logger
  }
) {
  const { log } = components

  function blockstore(): Blocks {
    if (components.blockstore == null)
      throw new SpecError('cid', 'this node has no block store; give the data inline')
    return components.blockstore
  }

  /** A spec with the data that it names by CID, and as it is stored. `parse`: what checks it once the data is there. */
  async function resolve<T extends object>(
    input: unknown,
    parse: (input: unknown) => T,
    options?: { signal?: AbortSignal }
  ): Promise<{ spec: T; stored: T; data?: Data[]; bytes: number }> {
    const found = findReferences(input)
    if (found.length === 0) {
      const spec = parse(input)
      return { spec, stored: spec, bytes: 0 }
    }
    const late = AbortSignal.timeout(DATA_TIMEOUT_MS)
    const signal = AbortSignal.any([stopping, late, ...(options?.signal ? [options.signal] : [])])
    const { spec, data, bytes } = await resolveInputs(input as object, found, blockstore(), {
      signal,
      streamed: STREAMED
    })
    const parsed = parse(spec)
    return { spec: parsed, stored: withReferences(parsed, found), data, bytes }
  }

  async function begin(
    specs: TaskSpec[],
    batch: boolean,
    options: { signal?: AbortSignal } | undefined,
    inputs: { stored: TaskSpec[]; data?: Data[]; bytes: number; id?: string }
  ): Promise<Job> {
    options?.signal?.throwIfAborted()
    const id = inputs.id ?? newId()
    const submitted = Date.now()
    const type = batch ? 'batch' : specs[0]!.type
    const bound = boundOf(batch ? sumOfBounds(specs) : specs[0]!.maxPrice)
    // whatever is wrong with the specs shows before anything is reserved or written
    const encoded = encodeSpecs(inputs.stored)
    const specBytes = encoded.length + inputs.bytes
    const work = batch ? batchWork(specs, specBytes) : createWork(specs[0]!, specBytes)
    const name = batch ? undefined : specs[0]!.name
    const escrow = await reserve({ id, type, name, submitted, bound }, encoded, options)
    const job = runs.track(
      {
        id,
        type,
        name,
        specs: inputs.stored,
        data: inputs.data,
        bound,
        submitted,
        state: 'queued',
        total: work.total
      },
      work
    )
    tell('job:add', job.report())
    escrow.certified.catch(err => {
      if (!stopping.aborted) runs.cancel(job, `the witnesses refused its escrow: ${err.message}`)
    })
    runs.run(job)
    return job
  }

  /** Reserves the bound and writes the job; nothing stays reserved for a job that is not on disk. */
  async function reserve(
    job: Parameters<Store['addJob']>[0],
    specs: Uint8Array,
    options?: { signal?: AbortSignal }
  ): Promise<Escrow> {
    let escrow: Escrow | undefined
    try {
      escrow = await ledger.escrow(job.id, job.bound, options)
      store.addJob(job, specs)
      return escrow
    } catch (err) {
      escrow?.certified.catch(() => {}) // given back all the same
      if (escrow != null) settlement.free(job.id)
      const { code, syscall, message } = err as NodeJS.ErrnoException
      throw code === 'ERR_SQLITE_ERROR' || syscall != null ? new StorageError(directory, message) : err
    }
  }

  /** A job that is complete at once, with the result of another. */
  function recall(spec: TaskSpec, { job, cid, result }: Memo, id = newId()): Job {
    const now = Date.now()
    const { type, name } = spec
    store.addJob({ id, type, name, submitted: now, bound: 0n }, encodeSpecs([spec]))
    memo.hit(id, job)
    const counts = { done: 0, total: 0, retries: 0, shares: [] }
    store.endJob(id, { state: 'completed', finished: now, cid, result, ...counts })
    store.settled(id)
    const handle = load(id)!
    tell('job:add', handle.report())
    tell('job:end', handle.report())
    return handle
  }

  /** A job of this node that is not under way. */
  function load(id: string): JobHandle | undefined {
    const stored = store.job(id)
    if (stored == null) return
    const { done, total, retries, shares, verification } = reportOf(stored)
    return runs.trackEnded({
      ...stored,
      specs: store.specs(id),
      memoOf: memo.source(id),
      shares,
      verification,
      done,
      total,
      retries
    })
  }

  async function resumeJob(stored: StoredJob): Promise<void> {
    const specs = store.specs(stored.id)
    const slices = store.slices(stored.id)
    const shares = store.shares(stored.id)
    const verification = stored.end?.verification ?? store.verification(stored.id)
    const done = slices.reduce((sum, slice) => sum + slice.count, 0)
    // failure costs the requester nothing, also when it comes to paying only now
    const owed = stored.state === 'failed' ? [] : shares
    const track = (total: number, work?: JobHandle['work'], data?: Data[]) =>
      runs.track({ ...stored, specs, data, shares: owed, verification, done, total }, work)
    if (stored.finished != null) {
      void runs.settle(track(done))
      return
    }
    if (specs.length === 0) {
      const lost = `what job ${stored.id} was to do was lost from ${directory}; submit it again`
      runs.broke(track(done), new Error(lost))
      return
    }
    const isSingle = stored.type !== 'batch'
    let resolved = { spec: specs[0]!, bytes: 0 } as { spec: TaskSpec; data?: Data[]; bytes: number }
    // nothing is awaited for a job whose data is inline: it is there when the scheduler has started
    if (isSingle && findReferences(specs[0]).length > 0)
      try {
        resolved = await resolve(specs[0], spec => spec as TaskSpec)
      } catch (err) {
        runs.broke(track(done), err as Error)
        return
      }
    const specBytes = encodeValue(specs).length + resolved.bytes
    const work = isSingle ? createWork(resolved.spec, specBytes) : batchWork(specs, specBytes)
    const job = track(work.total, work, resolved.data)
    log('job %s goes on: %d of %d units are done', job.id, done, job.total)
    for (const slice of slices) job.replay.set(slice.part, [...(job.replay.get(slice.part) ?? []), slice])
    runs.run(job)
  }

  return {
    load,
    blockstore,

    async data(cid: string, options?: { signal?: AbortSignal }): Promise<DataStream> {
      const own = blockstore()
      const soon = (): AbortSignal =>
        AbortSignal.any([
          stopping,
          AbortSignal.timeout(DATA_TIMEOUT_MS),
          ...(options?.signal ? [options.signal] : [])
        ])
      const data = await openData(own, cid, { signal: soon() })
      return { size: data.size, chunks: chunksOf(own, data, soon) }
    },

    async submit(input: unknown, options?: { signal?: AbortSignal }, id?: string): Promise<Job> {
      const { spec, ...inputs } = await resolve(input, parseSpec, options)
      const known = spec.memoize ? memo.find(memoKey(inputs.stored, sandbox.class), spec.verify) : undefined
      return known == null
        ? begin([spec], false, options, { ...inputs, stored: [inputs.stored], id })
        : recall(inputs.stored, known, id)
    },

    async submitMany(inputs: unknown[], options?: { signal?: AbortSignal }, id?: string): Promise<Job> {
      if (inputs.length === 0) throw new SpecError('specs', 'the batch is empty; give at least one task')
      if (inputs.length > MAX_BATCH)
        throw new SpecError('specs', `${inputs.length} tasks, at most ${MAX_BATCH} in a batch; split it`)
      const specs = inputs.map(inBatch)
      return begin(specs, true, options, { stored: specs, bytes: 0, id })
    },

    async quote(input: unknown, options?: { signal?: AbortSignal }): Promise<Quote> {
      const { spec, bytes, stored } = await resolve(input, parseSpec, options)
      const signal = AbortSignal.any([stopping, ...(options?.signal ? [options.signal] : [])])
      const work = createWork(spec, encodeValue(stored).length + bytes)
      const parts = (await work.next(undefined, runs.runHere)).map(([, part]) => part)
      const { items, ...estimated } = await estimate(work, parts, {
        measured: program => runs.coordinator.rate(program),
        calibrate: async part => {
          try {
            return await calibrate(part, sandbox, {
              requester,
              block: digest => blocks.get(requester, digest, { signal }),
              signal
            })
          } catch (err) {
            signal.throwIfAborted()
            log('no calibration: %s', (err as Error).message)
          }
        }
      })
      // what is known of the linked workers in tasks of this kind
      const trusts = store
        .trusts()
        .filter(([key]) => key.endsWith(` ${spec.type}`) && offers.has(key.slice(0, key.indexOf(' '))))
        .map(([, trust]) => trust)
      return quoteOf({
        ...estimated,
        memoryMb: parts[0]?.load.memoryMb ?? 0,
        priority: spec.priority,
        factors: { ...exchange.factors(spec), verification: expectedCost(spec.verify, trusts, { items }) },
        maxPrice: spec.maxPrice
      })
    },

    /** After a restart: unfinished jobs go on with what was accepted, ended ones are settled. */
    resume(): void {
      for (const stored of store.openJobs()) void resumeJob(stored)
    },

    /** Puts the data that a spec names by CID into this node's block store, from a peer. */
    async copyData(spec: unknown, from: string, { signal }: { signal: AbortSignal }): Promise<void> {
      for (const [, { cid }] of findReferences(spec)) {
        const own = blockstore()
        const copy = async (part: CID): Promise<void> => {
          if (await own.has(part)) return
          await own.put(part, await blocks.get(from, part.multihash.digest, { signal }))
        }
        const root = readCid(cid)!
        await copy(root)
        const { chunks } = await openData(own, cid, { signal })
        for (const chunk of chunks) await copy(chunkCid(chunk))
      }
    }
  }
}

export type Submission = ReturnType<typeof createSubmission>

const newId = (): string => randomBytes(8).toString('hex')

/** Throws SpecError when a value in the specs cannot travel. */
function encodeSpecs(specs: TaskSpec[]): Uint8Array {
  try {
    return encodeValue(specs)
  } catch (err) {
    throw new SpecError('spec', `holds a value that cannot travel: ${(err as Error).message}`)
  }
}

function inBatch(input: unknown, index: number): TaskSpec {
  try {
    const spec = parseSpec(input)
    if (isPlanned(spec)) return spec
    throw new SpecError('type', `${spec.type} is a job of its own, not one of a batch; use submit`)
  } catch (err) {
    if (err instanceof SpecError)
      throw new SpecError(`specs.${index}.${err.field}`, err.message.slice(err.field.length + 2))
    throw err
  }
}

function sumOfBounds(specs: TaskSpec[]): number | undefined {
  const prices = specs.flatMap(spec => spec.maxPrice ?? [])
  return prices.length === specs.length ? prices.reduce((sum, price) => sum + price, 0) : undefined
}
