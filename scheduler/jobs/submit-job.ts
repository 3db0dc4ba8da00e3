import { randomBytes } from 'node:crypto'
import type { Ledger } from '../../ledger/index.ts'
import { encodeValue, nameOf, SandboxUnavailableError, ValueError } from '../../sandbox/index.ts'
import type { Job, JobReport } from '../contract.ts'
import type { Data } from '../data/chunked-data.ts'
import { encodeInPieces, hasLarge, head } from '../data/value-bytes.ts'
import { SpecError, StepFailedError, StorageError } from '../errors.ts'
import { boundOf, reservation } from '../market/price.ts'
import { reportOf } from '../store/job-pages.ts'
import type { Store } from '../store/job-store.ts'
import { type Memo, type MemoStore, memoKey } from '../store/memo.ts'
import { lengthOf, type Value } from '../store/value-files.ts'
import { keepOf } from '../tasks/fields.ts'
import { batchWork, createWork, type Probe, probesOf } from '../tasks/job-parts.ts'
import { parseSpec } from '../tasks/parse-spec.ts'
import { isPlanned, type TaskSpec } from '../tasks/registry.ts'
import type { JobHandle } from './job-handle.ts'
import type { Bounds } from './reserve-bound.ts'
import type { DataAccess } from './resolve-data.ts'
import type { Runs } from './running-jobs.ts'
import type { Settlement } from './settle-job.ts'

// How long a program may take without any work: large models are read and changed into a faster form.
const PROBE_MS = 20_000
// Most tasks of one batch.
const MAX_BATCH = 1_000_000
// What the tasks of a batch have in common.
const sharedOf = ({ priority, verify, privacy, deadline, retries, requirements }: TaskSpec) => ({
  priority,
  verify,
  privacy,
  deadline,
  retries,
  'requirements.tags': requirements.tags
})

export interface SubmissionInit {
  /** of the store, for messages */
  directory: string
  tell(event: 'job:add' | 'job:end', report: JobReport): void
}

export interface SubmissionComponents {
  store: Store
  memo: MemoStore
  /** determinism class of this node */
  sandbox: { readonly class: string }
  ledger: Pick<Ledger, 'balance'>
  data: Pick<DataAccess, 'resolve'>
  runs: Pick<Runs, 'track' | 'run' | 'trackEnded' | 'runHere'>
  settlement: Pick<Settlement, 'hold' | 'forget'>
  bounds: Bounds
  /** A job will leave its results at workers. */
  datasets: { add(job: string): void }
}

/** From a spec to a running job: checks, memoised results, the escrow, the row on disk. */
export function createSubmission(
  { directory, tell }: SubmissionInit,
  { store, memo, sandbox, ledger, data, runs, settlement, bounds, datasets }: SubmissionComponents
) {
  async function begin(
    specs: TaskSpec[],
    batch: boolean,
    options: { signal?: AbortSignal } | undefined,
    inputs: { stored: TaskSpec[]; data?: Data[]; bytes: number; id?: string; submitted: number }
  ): Promise<Job> {
    options?.signal?.throwIfAborted()
    const id = inputs.id ?? newId()
    const { submitted } = inputs
    const type = batch ? 'batch' : specs[0]!.type
    // whatever is wrong with the specs shows before anything is reserved or written
    const encoded = encodeSpecs(inputs.stored, batch)
    await probe(specs, options?.signal)
    const specBytes = lengthOf(encoded) + inputs.bytes
    const work = batch ? batchWork(specs, specBytes) : createWork(specs[0]!, specBytes)
    const bound = batch ? boundOfAll(specs) : await bounds.boundOf(specs[0]!, specBytes, work)
    const name = batch ? undefined : specs[0]!.name
    // parts of one that is known already are none of their own
    if (!batch && keepOf(specs[0]!) === true) datasets.add(id)
    await settlement.hold(id, bound, options)
    const row: Parameters<Store['keepJob']>[0] = { id, type, name, submitted, bound }
    const written = store.keepJob(row, encoded)
    const job = runs.track({
      ...row,
      specs: inputs.stored,
      data: inputs.data,
      state: 'queued',
      total: work.total
    })
    tell('job:add', job.report())
    // its first slices leave before it is written: a worker's time for nothing where it cannot be
    runs.run(job, work)
    try {
      await written.catch(err => {
        settlement.forget(id)
        throw err
      })
      await store.safe(id)
    } catch (err) {
      await job.cancel('this node cannot write it to its disk')
      const { code, syscall, message } = err as NodeJS.ErrnoException
      throw code === 'ERR_SQLITE_ERROR' || syscall != null ? new StorageError(directory, message) : err
    }
    return job
  }

  /** Throws SpecError for a program that no worker could run. */
  async function probe(specs: TaskSpec[], ended?: AbortSignal): Promise<void> {
    const probed = new Set<string>()
    for (const { field, load, input } of probesOfAll(specs)) {
      if (probed.has(load.program)) continue
      probed.add(load.program)
      try {
        const step = { load: { ...load, timeoutMs: Math.min(load.timeoutMs, PROBE_MS) } }
        await runs.runHere(ended)(step)(input)
        // of a batch there may be a million
        ended?.throwIfAborted()
      } catch (err) {
        ended?.throwIfAborted()
        throw err instanceof StepFailedError ? ofProbe(field, err) : err
      }
    }
  }

  function boundOfAll(specs: TaskSpec[]): bigint {
    const prices = specs.flatMap(spec => spec.maxPrice ?? [])
    return prices.length === specs.length
      ? boundOf(prices.reduce((sum, price) => sum + price, 0))
      : reservation(ledger.balance())
  }

  /** A job that is complete at once, with the result of another. */
  async function recall(spec: TaskSpec, { job, cid, result }: Memo, id = newId()): Promise<Job> {
    const now = Date.now()
    const { type, name } = spec
    const encoded = encodeSpecs([spec])
    const counts = { done: 0, total: 0, retries: 0, shares: [], settled: true }
    await store.later(id, () => {
      store.addJob({ id, type, name, submitted: now, bound: 0n }, encoded)
      memo.hit(id, job)
      store.endJob(id, { state: 'completed', finished: now, cid, result: [result], ...counts })
    })
    await store.safe(id)
    const handle = load(id)!
    tell('job:add', handle.report())
    tell('job:end', handle.report())
    return handle
  }

  /** A job of this node that is not under way; without its spec where that is damaged. */
  function load(id: string): JobHandle | undefined {
    const stored = store.job(id)
    if (stored == null) return
    const { done, total, retries, shares, verification } = reportOf(stored)
    return runs.trackEnded({
      ...stored,
      specs: store.specsOrNone(id),
      memoOf: memo.source(id),
      shares,
      verification,
      done,
      total,
      retries
    })
  }

  return {
    load,

    async submit(input: unknown, options?: { signal?: AbortSignal }, id?: string): Promise<Job> {
      const submitted = Date.now()
      const { deadline } = Object(input)
      // one that is none is told by parseSpec
      const expires = Number.isSafeInteger(deadline) && deadline > 0 ? submitted + deadline : undefined
      const { spec, ...inputs } = await data.resolve(input, parseSpec, { ...options, expires })
      const key = spec.memoize ? travelling(() => memoKey(inputs.stored, sandbox.class)) : undefined
      const known = key === undefined ? undefined : memo.find(key, spec.verify)
      return known == null
        ? begin([spec], false, options, { ...inputs, stored: [inputs.stored], id, submitted })
        : recall(inputs.stored, known, id)
    },

    async submitMany(inputs: unknown[], options?: { signal?: AbortSignal }, id?: string): Promise<Job> {
      if (inputs.length === 0) throw new SpecError('specs', 'the batch is empty; give at least one task')
      if (inputs.length > MAX_BATCH)
        throw new SpecError('specs', `${inputs.length} tasks, at most ${MAX_BATCH} in a batch; split it`)
      const specs = inputs.map(inBatch)
      expectShared(specs)
      return begin(specs, true, options, { stored: specs, bytes: 0, id, submitted: Date.now() })
    }
  }
}

function* probesOfAll(specs: readonly TaskSpec[]): Iterable<Probe> {
  for (const spec of specs) yield* probesOf(spec)
}

/** What came of a probe: only what the program did is a fault of the task. */
function ofProbe(field: string, { failure, message }: StepFailedError): Error {
  if (failure.name === 'aborted') return new SandboxUnavailableError(message)
  if (failure.name === 'timeout')
    return new DOMException(`${field}: not ready within ${PROBE_MS / 1000} s on this machine`, 'TimeoutError')
  return new SpecError(field, message)
}

export type Submission = ReturnType<typeof createSubmission>

const newId = (): string => randomBytes(8).toString('hex')

/** Large numbers are not copied: a spec with them takes as long as its copy. */
const encodeSpecs = (specs: TaskSpec[], isBatch = false): Value =>
  travelling(() => {
    const [spec] = specs
    if (isBatch || !hasLarge(spec!)) return encodeValue(specs)
    try {
      return [head(4, 1), ...encodeInPieces(spec, { lists: false })]
    } catch {
      // this says where
      return encodeValue(specs)
    }
  }, isBatch)

/** What `encode` gives of a list with specs in it; throws SpecError for a value that cannot travel. */
function travelling<R>(encode: () => R, isBatch = false): R {
  try {
    return encode()
  } catch (err) {
    if (!(err instanceof ValueError)) throw err
    const path = isBatch ? ['specs', ...err.path] : err.path.slice(1)
    throw new SpecError(nameOf(path) || 'spec', err.reason)
  }
}

function inBatch(input: unknown, index: number): TaskSpec {
  try {
    const spec = parseSpec(input)
    if (keepOf(spec))
      throw new SpecError('keep', 'is for a job of its own, not for one of a batch; use submit')
    if (isPlanned(spec)) return spec
    throw new SpecError('type', `${spec.type} is a job of its own, not one of a batch; use submit`)
  } catch (err) {
    if (err instanceof SpecError)
      throw new SpecError(`specs.${index}.${err.field}`, err.message.slice(err.field.length + 2))
    throw err
  }
}

/** Throws SpecError for what is of the job as a whole, and would be lost where a task says something else. */
function expectShared(specs: readonly TaskSpec[]): void {
  const first = sharedOf(specs[0]!)
  const fields = Object.keys(first) as (keyof typeof first)[]
  const texts = fields.map(field => JSON.stringify(first[field]))
  for (const [index, spec] of specs.entries()) {
    const shared = sharedOf(spec)
    const at = fields.findIndex(
      (field, i) => shared[field] !== first[field] && JSON.stringify(shared[field]) !== texts[i]
    )
    if (at >= 0)
      throw new SpecError(
        `specs.${index}.${fields[at]}`,
        'differs from the first task’s, and a batch is one job; give all its tasks the same, or submit two'
      )
  }
}
