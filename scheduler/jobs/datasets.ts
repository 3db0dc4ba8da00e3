import type { Logger } from '@libp2p/interface'
import type { DataStream, DatasetInfo, Datasets, Job } from '../contract.ts'
import { Dataset, DatasetItems, readManifest } from '../data/dataset.ts'
import { assemble, type BlockRange, inputOf } from '../data/pieced-input.ts'
import { head } from '../data/value-bytes.ts'
import { DatasetInUseError, DatasetMissingError, SpecError } from '../errors.ts'
import type { DatasetRows } from '../store/dataset-rows.ts'
import type { Store } from '../store/job-store.ts'
import type { BlockExchange } from '../streams/block-exchange.ts'
import type { Releases } from '../streams/release-kept.ts'
import { keepOf } from '../tasks/fields.ts'
import { asWritten } from '../tasks/written-spec.ts'
import { createRepairs, type RepairComponents } from './repair-datasets.ts'

/** After the last use. Workers keep a little longer (worker/kept-data.ts), so that what is here can be had. */
export const LIFETIME_MS = 60 * 60_000
const EXPIRE_MS = 60_000
// Chunks that are on their way while one is read.
const READ_AHEAD = 4
// A slice that is calculated again can be lost again.
const MAX_TRIES = 4
// Most items of a page, and about as many bytes: it is one answer. An item alone may be larger.
const MAX_PAGE_ITEMS = 100_000
const MAX_PAGE_BYTES = 32 * 1024 * 1024

export interface DatasetsInit {
  signal: AbortSignal
  /** Submits a job. */
  submit(spec: unknown): Promise<Pick<Job, 'id' | 'resultBytes'>>
  /** a job under way that takes items of this dataset */
  user(dataset: string): string | undefined
  /** Ends the jobs that take items of this dataset. */
  failUsers(dataset: string, message: string): void
}

export interface DatasetsComponents extends RepairComponents {
  store: Pick<Store, 'job' | 'result' | 'specs'>
  rows: DatasetRows
  blocks: Pick<BlockExchange, 'get'>
  releases: Pick<Releases, 'release'>
  log: Logger
}

/** The datasets of this node: what jobs with `keep` made, known by their jobs. */
export function createDatasets(
  { signal, submit, user, failUsers }: DatasetsInit,
  components: DatasetsComponents
): Datasets & {
  /** A job will make one. */
  add(job: string): void
  /** What stands for the items of a dataset in a spec that says `{ dataset }`. Throws SpecError, DatasetMissingError. */
  items(reference: unknown, spec: object): DatasetItems
  /** The list of all items, for tasks that take it whole. */
  whole(items: DatasetItems, options: { signal: AbortSignal }): Promise<Uint8Array>
  start(): void
  stop(): void
} {
  const { store, rows, blocks, releases, log } = components
  const live = new Map<string, Dataset>()
  let timer: NodeJS.Timeout | undefined

  const repairs = createRepairs(
    {
      signal,
      again: ({ id }, slices) => {
        const { deadline: _, ...spec } = asWritten(store.specs(id)[0]!)
        return submit({ ...spec, keep: { slices }, name: `parts of ${id} once more` })
      },
      onMoved(dataset) {
        if (live.get(dataset.id) === dataset) rows.moved(dataset.id, dataset.manifest)
      },
      onBroken: ({ id }, { message }) =>
        failUsers(id, `parts of dataset ${id} are lost and cannot be calculated again: ${message}`)
    },
    components
  )

  /** `asLineage`: also what was released, for a part of another that it is needed for. */
  function open(id: string, asLineage = false): Dataset {
    const known = live.get(id)
    if (known != null) return known
    if (!rows.has(id) && !asLineage) throw new DatasetMissingError(id)
    const state = store.job(id)?.state
    if (state !== 'completed')
      throw new DatasetMissingError(
        id,
        state == null ? undefined : `is not there: the job that makes it is ${state}`
      )
    const manifest = rows.manifest(id) ?? store.result(id)
    if (manifest == null)
      throw new DatasetMissingError(id, 'is lost: its list of parts is not on disk any more')
    const dataset = new Dataset(id, readManifest(manifest))
    dataset.onLost = (place, block) => void repairs.missed(dataset, place, block)
    if (rows.has(id)) live.set(id, dataset)
    return dataset
  }

  function use(id: string): Dataset {
    const dataset = open(id)
    rows.used(id, Date.now())
    return dataset
  }

  function info(id: string, used: number): DatasetInfo | undefined {
    const job = store.job(id)
    if (job == null) return
    const { type, name, state, submitted } = job
    const about = {
      id,
      type: type as string,
      name,
      state,
      made: job.finished ?? submitted,
      expires: used + LIFETIME_MS
    }
    if (state !== 'completed') return { ...about, items: 0, bytes: 0, slices: 0, holders: [] }
    const { slices, length, bytes } = open(id)
    const shares = new Map<string, number>()
    for (const { holders, chunks } of slices)
      for (const holder of holders)
        shares.set(holder, (shares.get(holder) ?? 0) + chunks.reduce((sum, [, size]) => sum + size, 0))
    const holders = [...shares].map(([peer, bytes]) => ({ peer, bytes }))
    return { ...about, items: length, bytes, slices: slices.length, holders }
  }

  /** The canonical list of items [first, end), from whoever has them. Throws what a repair throws. */
  async function read(
    dataset: Dataset,
    first: number,
    end: number,
    signal: AbortSignal
  ): Promise<Uint8Array> {
    const items = new DatasetItems(dataset)
    for (let tries = 1; ; tries++) {
      const part = items.slice(first, end)
      if (Array.isArray(part)) return head(4, 0)
      const missing: Uint8Array[] = []
      try {
        return await assemble(inputOf(part), async (range, holders) => {
          const block = await fetch(range, holders ?? [], signal)
          if (block == null) missing.push(range.block)
          return block ?? new Uint8Array(range.to)
        }).then(bytes => (missing.length === 0 ? bytes : Promise.reject(new Error('some parts are missing'))))
      } catch (err) {
        signal.throwIfAborted()
        if (missing.length === 0 || tries === MAX_TRIES) throw err
        await Promise.all(missing.map(block => repairs.missed(dataset, dataset.placeOf(block)!, block)))
      }
    }
  }

  async function fetch(
    { block, to }: BlockRange,
    holders: readonly string[],
    signal: AbortSignal
  ): Promise<Uint8Array | undefined> {
    for (const holder of holders)
      try {
        const found = await blocks.get(holder, block, { signal })
        if (found.length >= to) return found
      } catch (err) {
        signal.throwIfAborted()
        log('no block of %s: %s', holder, (err as Error).message)
      }
    return
  }

  async function* chunksOf(dataset: Dataset, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    yield head(4, dataset.length)
    const coming: { list: Promise<Uint8Array>; items: number }[] = []
    const next = async (): Promise<Uint8Array> => {
      const { list, items } = coming.shift()!
      return (await list).subarray(head(4, items).length)
    }
    for (const { start, chunk } of dataset.chunksOf(0, dataset.length)) {
      const [items] = chunk
      const list = read(dataset, start, start + items, signal)
      list.catch(() => {}) // whoever takes it sees it
      coming.push({ list, items })
      if (coming.length >= READ_AHEAD) yield await next()
    }
    while (coming.length > 0) yield await next()
  }

  /** undefined for a dataset whose list of parts is lost: the others are there, and it can be let go of. */
  function unlessLost<T>(look: () => T): T | undefined {
    try {
      return look()
    } catch (err) {
      if (!(err instanceof DatasetMissingError)) throw err
      log.error('%s', err.message)
      return
    }
  }

  async function letGo(id: string): Promise<void> {
    const { holders = [], jobs = [] } = live.get(id) ?? {}
    live.delete(id)
    rows.remove(id)
    await Promise.all(
      [...holders].map(holder =>
        releases
          .release(holder, [...jobs])
          .catch(err => log('%s is not told that dataset %s is released: %s', holder, id, err.message))
      )
    )
  }

  function expire(): void {
    for (const { job, used } of rows.all()) {
      const state = store.job(job)?.state
      if (state === 'queued' || state === 'running') continue
      const isOver = state !== 'completed' || Date.now() - used > LIFETIME_MS
      if (isOver && user(job) == null) void letGo(job)
    }
  }

  const withStop = (own?: AbortSignal): AbortSignal => (own == null ? signal : AbortSignal.any([signal, own]))

  return {
    add: job => rows.add(job, Date.now()),

    items(reference, spec) {
      const { dataset: id, ...rest } = reference as { dataset: unknown }
      const [unknown] = Object.keys(rest)
      if (unknown != null) throw new SpecError('items', `\`${unknown}\` is not part of { dataset }`)
      if (typeof id !== 'string')
        throw new SpecError('items.dataset', 'expected the id of the job that made it')
      const isRepair = typeof keepOf(spec) === 'object'
      return new DatasetItems(isRepair ? open(id, true) : use(id))
    },

    whole: ({ dataset }, { signal }) => read(dataset, 0, dataset.length, withStop(signal)),

    list: () =>
      rows
        .all()
        .flatMap(({ job, used }) => unlessLost(() => info(job, used)) ?? [])
        .sort((a, b) => b.made - a.made),

    show(id) {
      const row = rows.all().find(({ job }) => job === id)
      const found = row && info(id, row.used)
      if (found == null) throw new DatasetMissingError(id)
      return found
    },

    async page(id, { first, count }, options) {
      const dataset = use(id)
      const most = Math.min(dataset.length, first + Math.min(count, MAX_PAGE_ITEMS))
      const end = dataset.within(first, Math.max(first, most), MAX_PAGE_BYTES)
      return read(dataset, first, end, withStop(options?.signal))
    },

    async collect(id, options): Promise<DataStream> {
      const dataset = use(id)
      const size = head(4, dataset.length).length + dataset.bytes
      return { size, chunks: chunksOf(dataset, withStop(options?.signal)) }
    },

    async release(id) {
      if (!rows.has(id)) throw new DatasetMissingError(id)
      const state = store.job(id)?.state
      const job = state === 'queued' || state === 'running' ? id : user(id)
      if (job != null) throw new DatasetInUseError(id, job)
      if (state === 'completed') unlessLost(() => open(id))
      await letGo(id)
    },

    start() {
      timer = setInterval(expire, EXPIRE_MS)
      timer.unref()
    },

    stop() {
      clearInterval(timer)
    }
  }
}
