import { asText } from '../../scheduler/tasks/authored.ts'
import type {
  Artel,
  Items,
  JobFilter,
  JobReport,
  StreamOptions,
  SubmitOptions,
  TaskOptions,
  TaskSpec,
  Uploadable,
  Waiting
} from './contract.ts'
import { createDataset, kept } from './dataset.ts'
import { ArtelError } from './errors.ts'
import { createGate } from './gate.ts'
import { createHttp, delay, encoded, type Place } from './http.ts'
import { createJob, type Submitted } from './job.ts'
import type { ServiceClients } from './service-types.ts'
import { createClients, createServiceCalls } from './services.ts'
import { createStream, createWhole, listOf } from './stream.ts'
import { createWatch } from './watch.ts'

// A small job answers within this, in one round trip; the others are acknowledged then.
const WAIT_MS = 300
const DEFAULT_PATIENCE_MS = 60_000
// A page of large items; its spec must fit into a request.
const PAGE_BYTES = 4 * 1024 * 1024
const JOBS_PER_REQUEST = 200
// Each is a connection of its own to the node.
const SUBMISSIONS = 128
// Credits that other jobs reserve are asked for again after this long.
const CREDITS_MS = 500

export interface ClientInit {
  locate: () => Promise<Place>
  /** ms that a node may be away, as for a restart, before what waits for it fails; default 60,000 */
  patienceMs?: number
  /** ends what belongs to this connection */
  onClose?: () => Promise<void>
}

/** Artel as a program sees it, over the HTTP API of a node. Nothing of Node in it. */
export function createClient({
  locate,
  patienceMs = DEFAULT_PATIENCE_MS,
  onClose = async () => {}
}: ClientInit): Artel {
  const closing = new AbortController()
  const http = createHttp({ locate, patienceMs, closed: closing.signal })
  const submissions = createGate(SUBMISSIONS)
  const components = { http, watch: createWatch(http, closing.signal) }
  let closed: Promise<void> | undefined
  /** when the node took the last submission */
  let takenAt = Number.NEGATIVE_INFINITY
  /** submissions that it has never answered */
  let fresh = 0

  const services = createClients<ServiceClients>(createServiceCalls(http))
  const { compute, credits, data, network } = services

  /** One key for all tries of a submission: the node starts it once. */
  async function send(path: string, value: unknown, signal?: AbortSignal): Promise<Submitted> {
    signal?.throwIfAborted()
    const key = crypto.randomUUID()
    return submissions(async () => {
      const begunAt = Date.now()
      fresh++
      for (let isFirst = true; ; isFirst = false) {
        try {
          signal?.throwIfAborted()
          const taken = await http.call<Submitted>(`/api/v1${path}`, {
            method: 'POST',
            value,
            key,
            waitMs: WAIT_MS
          })
          takenAt = Date.now()
          return taken
        } catch (error) {
          // what jobs of this program reserve is there again when they end; one of those asked for now may have been taken
          const since = fresh > Number(isFirst) ? Math.max(takenAt, begunAt) : takenAt
          const isPassing = Date.now() - since < patienceMs && !Object.hasOwn(Object(value), 'maxPrice')
          if ((error as Error).name !== 'InsufficientCreditsError' || !isPassing) throw error
        } finally {
          if (isFirst) fresh--
        }
        await delay(CREDITS_MS, closing.signal)
      }
    })
  }

  const submit = (spec: unknown, { signal }: SubmitOptions = {}) =>
    createJob<never>(send('/tasks', asText(spec), signal), components, signal)

  /** Options are fields of the spec, beside the signal. */
  const run = (spec: { type: TaskSpec['type'] }, { signal, ...settings }: TaskOptions = {}) =>
    submit({ ...spec, ...settings }, { signal })

  const datasets = { data, run }

  function list<T>(
    type: 'map' | 'filter',
    items: Items<T> | { dataset: string },
    fn: unknown,
    { page, ahead, keep, ...options }: TaskOptions & StreamOptions & { keep?: boolean } = {}
  ): never {
    const isDataset = 'dataset' in Object(items)
    if (keep || isDataset) {
      const source = isDataset ? { dataset: (items as { dataset: string }).dataset } : items
      const job = run({ type, items: source, fn, ...(keep && { keep }) } as never, options)
      return (keep ? kept(job, datasets, options) : job) as never
    }
    const stream = createStream<T, never>({
      items: items as Items<T>,
      page,
      ahead,
      sizeOf: (item, index) => encoded(item, ['items', String(index)]).byteLength,
      pageBytes: PAGE_BYTES,
      signal: options.signal,
      submit: (page, signal, firstIndex) =>
        run({ type, items: page, fn, ...(firstIndex > 0 ? { firstIndex } : {}) } as never, {
          ...options,
          signal
        }).result()
    })
    // what it is the overloads of `map` and `filter` say
    return stream as never
  }

  async function* jobs({ signal, ...filter }: Waiting & JobFilter = {}): AsyncGenerator<JobReport> {
    let cursor: string | undefined
    do {
      const page = await compute.jobs({ ...filter, cursor, limit: JOBS_PER_REQUEST }, { signal })
      yield* page.items
      cursor = page.next
    } while (cursor != null)
  }

  function close(): Promise<void> {
    if (closed == null) {
      closing.abort(new ArtelError('AbortError', 'the connection to the node was closed; its jobs go on'))
      closed = onClose()
    }
    return closed
  }

  return {
    submit,
    submitMany: (specs, { notify, signal } = {}) => {
      const batch = { specs: specs.map(spec => asText(spec)), ...(notify == null ? {} : { notify }) }
      return createJob(send('/tasks/batch', batch, signal), components, signal)
    },
    job: id => createJob(id, components),
    jobs,
    quote: async (spec, options) => (await compute.quote({ spec: asText(spec) }, options)).quote,

    rangeReduce: (task: object, options?: TaskOptions) => run({ type: 'range_reduce', ...task }, options),
    map: (items: Items<unknown>, fn: unknown, options?: TaskOptions) => list('map', items, fn, options),
    filter: (items: Items<unknown>, fn: unknown, options?: TaskOptions) => list('filter', items, fn, options),
    sort: (items, key, { page, ...options } = {}) =>
      createWhole<never>(
        async () => {
          const list = await listOf(items)
          return run(
            { type: 'sort', items: list, ...(key == null ? {} : { key }) } as never,
            options
          ).result()
        },
        { page }
      ),
    mapReduce: (items: unknown, map: unknown, reduce: unknown, options?: TaskOptions) =>
      run({ type: 'map_reduce', items, map, reduce } as never, options),
    enumerate: (task: object, options?: TaskOptions) => run({ type: 'enumerate', ...task }, options),
    matrix: (operation, a, b, options) =>
      run({ type: 'matrix', operation, a, ...(b == null ? {} : { b }) } as never, options),
    mlInference: (task, options) => run({ type: 'ml_inference', ...task } as never, options),
    mlTrainStep: (task, options) => run({ type: 'ml_train_step', ...task } as never, options),
    wasm: (task: object, options?: TaskOptions) => run({ type: 'wasm', ...task }, options),
    python: (task: object, options?: TaskOptions) => run({ type: 'python', ...task }, options),
    script: (source: unknown, input?: unknown, options?: TaskOptions) =>
      run(
        { type: 'script', source: moduleOf(source), ...(input === undefined ? {} : { input }) } as never,
        options
      ),
    pipeline: (nodes, options) => run({ type: 'pipeline', nodes } as never, options),

    dataset: id => createDataset(id, datasets),
    datasets: async options => (await data.list({}, options)).items,
    forecast: options => compute.forecast({}, options),
    balance: options => credits.balance({}, options),
    history: async ({ limit, signal } = {}) => (await credits.history({ limit }, { signal })).items,
    async transfer(to, amount, { memo, signal } = {}) {
      await credits.transfer({ to, amount, ...(memo == null ? {} : { memo }) }, { signal, again: false })
    },
    async reputation(account, options) {
      const of = account ?? (await credits.balance({}, options)).account
      return credits.reputation({ account: of }, options)
    },
    receipts: async (job, options) => (await compute.receipts({ id: job }, options)).items,
    network: options => network.network({}, options),
    peers: async options => (await network.peers({}, options)).items,
    offers: async options => (await network.offers({}, options)).items,
    addData: (data, options) => compute.addData({}, { body: bodyOf(data), ...options }),
    data: (cid, options) => http.stream(`/api/v1/data/${encodeURIComponent(cid)}`, options),

    services,

    close,
    [Symbol.asyncDispose]: close
  }
}

/** A function as the module that a script is. */
function moduleOf(source: unknown): unknown {
  return typeof source === 'function' ? `export default ${source}` : source
}

function bodyOf(data: Uploadable): BodyInit {
  if (data instanceof Blob || data instanceof ReadableStream || data instanceof Uint8Array)
    return data as BodyInit
  const source = data[Symbol.asyncIterator]()
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await source.next()
      if (done === true) controller.close()
      else controller.enqueue(value)
    },
    async cancel() {
      await source.return?.()
    }
  })
}
