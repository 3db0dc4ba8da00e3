/**
 * What a program sees of Artel. Self-contained: no type of Node, libp2p or the rooms, but those of the services' operations, so that it can be used in any
 * TypeScript project, also for the browser. Credits are bigint micro-credits, 1 credit = 1,000,000n; times are ms since 1970.
 */

import type { Enumerated, Enumeration } from './enumeration.ts'
import type { ServiceClients } from './service-types.ts'
import type { ElementArrays, ElementType, Tensor } from './tensors.ts'
import type {
  Balance,
  DatasetView,
  Failure,
  Forecast,
  HistoryEntry,
  JobReport,
  JobState,
  Network,
  Peer,
  Progress,
  Quote,
  Receipt,
  Reputation,
  Worker
} from './told.ts'

export type * from './enumeration.ts'
export type * from './tensors.ts'
export type * from './told.ts'

export interface Artel extends AsyncDisposable {
  /** Operations of the node's services, as they declare them: `artel.services.files.list({})`. */
  readonly services: ServiceClients

  /** Starts a job; what the node acknowledged survives its kill −9. A second send of the same submission starts nothing. */
  submit<const S extends TaskSpec>(spec: S, options?: SubmitOptions): Job<ResultOf<S>>
  /** Many small independent tasks as one job and one escrow: an outcome per spec, in order. */
  submitMany<R = unknown>(
    specs: readonly TaskSpec[],
    options?: SubmitOptions & { notify?: Notify }
  ): Job<Outcome<R>[]>
  /** A job of this node by its id, also one that another program submitted. */
  job<R = unknown>(id: string): Job<R>
  /** All jobs that the node keeps, newest first; pages are fetched as they are needed. */
  jobs(filter?: JobFilter & Waiting): AsyncIterable<JobReport>
  /** What a spec will probably cost and what it can cost at most. Nothing is submitted. */
  quote(spec: TaskSpec, options?: Waiting): Promise<Quote>

  /** Reduces `map(x)`, or `partial(from, to)` of whole sub-ranges, over start…end, both inclusive. */
  rangeReduce(task: RangeReduce & { exact: true }, options?: SubmitOptions): Job<bigint>
  rangeReduce<T>(
    task: RangeReduce & { operation: 'custom'; reduce: Author<(a: T, b: T) => T> },
    options?: SubmitOptions
  ): Job<T>
  rangeReduce(task: RangeReduce, options?: SubmitOptions): Job<number>

  /** With `keep: true` the results stay at the workers: what comes here says where. Awaited it is made. */
  map<T, R>(
    items: readonly T[] | Dataset<T>,
    fn: (x: T, index: number) => R,
    options: TaskOptions & { keep: true }
  ): Promise<Dataset<Awaited<R>>>
  map<R = unknown>(
    items: readonly unknown[] | Dataset<unknown>,
    fn: string,
    options: TaskOptions & { keep: true }
  ): Promise<Dataset<R>>
  /** The results of the items of a dataset, all of them here. */
  map<T, R>(
    items: Dataset<T>,
    fn: (x: T, index: number) => R,
    options?: TaskOptions & { keep?: false }
  ): Job<Awaited<R>[]>
  /** Awaited: one job and its whole list. Iterated: a job per page, pages in order, at most `ahead` under way. */
  map<T, R>(
    items: Items<T>,
    fn: (x: T, index: number) => R,
    options?: TaskOptions & StreamOptions
  ): Stream<Awaited<R>>
  map<R = unknown>(items: Items<unknown>, fn: string, options?: TaskOptions & StreamOptions): Stream<R>
  filter<T>(
    items: readonly T[] | Dataset<T>,
    fn: Author<(x: T, index: number) => unknown>,
    options: TaskOptions & { keep: true }
  ): Promise<Dataset<T>>
  filter<T>(
    items: Dataset<T>,
    fn: Author<(x: T, index: number) => unknown>,
    options?: TaskOptions & { keep?: false }
  ): Job<T[]>
  /** The items that `fn` accepts, in their order; awaited or iterated as with `map`. */
  filter<T>(
    items: Items<T>,
    fn: Author<(x: T, index: number) => unknown>,
    options?: TaskOptions & StreamOptions
  ): Stream<T>

  /**
   * The items in the order of `key(item)`, or of themselves; items of equal keys keep their order. One job, whose pages in
   * order are what iterating gives.
   */
  sort<T>(
    items: Items<T>,
    key?: Author<(x: T, index: number) => string | number | boolean | bigint | Promise<string | number>>,
    options?: TaskOptions & Pick<StreamOptions, 'page'> & { order?: 'ascending' | 'descending' }
  ): Stream<T>

  /**
   * `[key, value]` results are reduced per key, into pairs sorted by key. Anything else is one fold. `grouped` says which it
   * is: with true no items give [], without it what stands for nothing (0 for a sum); with false a pair is one value.
   */
  mapReduce<T, V>(
    items: readonly T[],
    map: Author<(x: T, index: number) => V>,
    reduce: Operation | Author<(a: V, b: V) => V>,
    options: TaskOptions & { initial?: V; grouped: false }
  ): Job<Widened<V>>
  mapReduce<T, K extends string | number, V>(
    items: readonly T[],
    map: (x: T, index: number) => readonly [K, V] | readonly (readonly [K, V])[],
    reduce: Operation | Author<(a: V, b: V) => V>,
    options?: TaskOptions & { initial?: V; grouped?: true }
  ): Job<[K, Widened<V>][]>
  mapReduce<T, V>(
    items: readonly T[],
    map: (x: T, index: number) => V,
    reduce: Operation | Author<(a: V, b: V) => V>,
    options?: TaskOptions & { initial?: V }
  ): Job<Widened<V>>
  mapReduce<R = unknown>(
    items: readonly unknown[],
    map: string,
    reduce: Operation | Author<(a: never, b: never) => unknown>,
    options?: TaskOptions & { initial?: unknown; grouped?: boolean }
  ): Job<R>

  /** Evaluates every item of a combinatorial space, in lexicographic order, and keeps the aggregates. */
  enumerate<const E extends Enumeration>(
    task: E & Context,
    options?: TaskOptions
  ): Job<Enumerated<E['aggregate']>>

  matrix<O extends MatrixOperation>(
    operation: O,
    a: Matrix,
    b?: Matrix,
    options?: TaskOptions
  ): Job<MatrixResult[O]>
  /** Runs an ONNX model; where its rows are independent, batches of them are spread over workers. The outputs by name. */
  mlInference(task: MlInference, options?: TaskOptions): Job<Record<string, Tensor>>
  /** Synchronous data-parallel training. `model` of the result can be trained on. */
  mlTrainStep(task: MlTrainStep, options?: TaskOptions): Job<Trained>
  /** Calls `export` with `args`, or once per item; without `export` the module is a WASI command, whose standard output is the result. */
  wasm<R = unknown>(task: Wasm & { items: readonly unknown[] }, options?: TaskOptions): Job<R[]>
  wasm<R = unknown>(task: Wasm, options?: TaskOptions): Job<R>
  /** `main(x)` of Python source for every item, or for one input. */
  python<R = unknown>(
    task: Python & ({ items: unknown } | { range: object }),
    options?: TaskOptions
  ): Job<R[]>
  python<R = unknown>(task: Python, options?: TaskOptions): Job<R>
  /** One run of a function, or of a module's text with `export default async input => output`. */
  script<I, R>(fn: (input: I) => R, input: I, options?: TaskOptions): Job<Awaited<R>>
  script<R>(fn: () => R, input?: undefined, options?: TaskOptions): Job<Awaited<R>>
  script<R = unknown>(source: string, input?: unknown, options?: TaskOptions): Job<R>
  /** Tasks that take outputs of others. The output of every node by its id. */
  pipeline<const N extends readonly PipelineNode[]>(
    nodes: N,
    options?: TaskOptions
  ): Job<{ [Node in N[number] as Node['id']]: ResultOf<Node['task']> }>

  /** A dataset by its id, which is that of the job that made it. */
  dataset<T = unknown>(id: string): Dataset<T>
  datasets(options?: Waiting): Promise<DatasetView[]>

  /** The price level of the network now, in one hour and in six. */
  forecast(options?: Waiting): Promise<Forecast>
  balance(options?: Waiting): Promise<Balance>
  history(options?: Waiting & { limit?: number }): Promise<HistoryEntry[]>
  /** `amount` in micro-credits. Sent once: when the answer is lost, look at `history` before trying again. */
  transfer(to: string, amount: bigint, options?: Waiting & { memo?: string }): Promise<void>
  /** of one account, by default the node's own */
  reputation(account?: string, options?: Waiting): Promise<Reputation>
  /** Signed proofs of the work that a job paid for; anybody can check them offline. */
  receipts(job: string, options?: Waiting): Promise<Receipt[]>
  network(options?: Waiting): Promise<Network>
  peers(options?: Waiting): Promise<Peer[]>
  offers(options?: Waiting): Promise<Worker[]>
  /** Puts data into the node's block store, for `{ cid, as?, size? }` in place of data in a spec. */
  addData(data: Uploadable, options?: Waiting): Promise<{ cid: string; size: number }>
  /** Reads data of the block store as it arrives. */
  data(cid: string, options?: Waiting): Promise<ReadableStream<Uint8Array>>

  /** Ends the waiting for all jobs, not the jobs; an embedded node is stopped. Idempotent. */
  close(): Promise<void>
}

/** What reducing makes of literals: a sum of ones is a number. */
type Widened<V> = V extends number ? number : V extends bigint ? bigint : V extends string ? string : V

export interface Waiting {
  /** ends the waiting */
  signal?: AbortSignal
}

export interface SubmitOptions {
  /** cancels the job */
  signal?: AbortSignal
}

/** Awaited like a promise. */
export interface Thenable<R> extends PromiseLike<R>, Pick<Promise<R>, 'catch' | 'finally'> {}

/**
 * A job on a node. Awaited it gives the result, or throws JobFailedError, JobCancelledError, JobExpiredError, or why it
 * was not accepted: SpecError, InsufficientCreditsError, … (ArtelError, told apart by `name`).
 */
export interface Job<R> extends Thenable<R> {
  /** known as soon as the node acknowledged the job */
  readonly id: Promise<string>
  /** Who listens for the end after it is told it at once. */
  on<E extends keyof JobEvents>(event: E, listener: (detail: JobEvents[E]) => void): this
  off<E extends keyof JobEvents>(event: E, listener: (detail: JobEvents[E]) => void): this
  result(options?: Waiting): Promise<R>
  report(options?: Waiting): Promise<JobReport>
  /** Reaches the workers at once; what was accepted is paid. */
  cancel(options?: Waiting): Promise<JobReport>
}

export interface JobEvents {
  progress: Progress
  end: JobReport
}

/**
 * Results that stayed at the workers that made them; `{ dataset: id }` in place of items in any spec. It is let go of an
 * hour after its last use, or when `await using` leaves. What workers lose is calculated again.
 */
export interface Dataset<T> extends AsyncDisposable {
  readonly id: string
  readonly dataset: string
  /** The results stay as well. */
  map<R>(fn: (x: T, index: number) => R, options?: TaskOptions): Promise<Dataset<Awaited<R>>>
  map<R = unknown>(fn: string, options?: TaskOptions): Promise<Dataset<R>>
  filter(fn: Author<(x: T, index: number) => unknown>, options?: TaskOptions): Promise<Dataset<T>>
  /** As `artel.mapReduce`; the value comes here. */
  mapReduce<K extends string | number, V>(
    map: (x: T, index: number) => readonly [K, V] | readonly (readonly [K, V])[],
    reduce: Operation | Author<(a: V, b: V) => V>,
    options?: TaskOptions & { initial?: V; grouped?: true }
  ): Job<[K, Widened<V>][]>
  mapReduce<V>(
    map: (x: T, index: number) => V,
    reduce: Operation | Author<(a: V, b: V) => V>,
    options?: TaskOptions & { initial?: V }
  ): Job<Widened<V>>
  show(options?: Waiting): Promise<DatasetView>
  /** moves nothing */
  count(options?: Waiting): Promise<number>
  page(first: number, limit: number, options?: Waiting): Promise<T[]>
  /** all items */
  collect(options?: Waiting): Promise<T[]>
  release(options?: Waiting): Promise<void>
  /** item by item, by pages of 1000 */
  [Symbol.asyncIterator](): AsyncIterator<T>
}

/** Starts when it is awaited (one job) or iterated (a job per page; leaving the loop cancels what is under way). */
export interface Stream<R> extends Thenable<R[]>, AsyncIterable<R[]> {}

export interface StreamOptions {
  /** items of a page, default 1000; fewer where they are large, or where the source is slow */
  page?: number
  /** pages that are computed or wait to be read, default 4 */
  ahead?: number
}

// ——— tasks

/** A function of yours, or its source text. It runs elsewhere: what it uses must be in it, or in `context`. */
export type Author<F extends (...args: never[]) => unknown> = F | string
export type Items<T> = Iterable<T> | AsyncIterable<T>
export type Operation = 'sum' | 'product' | 'min' | 'max' | 'average' | 'count'
/** What an earlier job left at its workers, in place of items. */
export interface DatasetReference {
  dataset: string
}
/** Data of the block store in place of data in a spec. */
export interface Reference {
  cid: string
  as?: string
  size?: number
}
type Bytes = Uint8Array | Reference

/** A webhook that is told how the job ended; `url` is one of those that the node's owner lists. */
export interface Notify {
  url: string
  /** default: all */
  events?: ('job.completed' | 'job.failed' | 'job.cancelled' | 'job.expired')[]
}

/** What every task may say. */
export interface TaskSettings {
  name?: string
  priority?: 'low' | 'normal' | 'high' | 'critical'
  requirements?: { ramMb?: number; tags?: string[]; timeoutMs?: number }
  /** the only peers that may see the job */
  privacy?: { workers?: string[] }
  /** how sure the result must be; default `{ confidence: 0.99 }` */
  verify?: { confidence: number } | 'none' | `quorum:${number}`
  /** in credits; the charge never exceeds it */
  maxPrice?: number
  /** ms from submit to the end */
  deadline?: number
  retries?: number
  /** take the result of an equal job, and keep this one's for later */
  memoize?: boolean
  notify?: Notify
}
export interface TaskOptions extends TaskSettings, SubmitOptions {
  /** its keys are variables for your functions */
  context?: Record<string, unknown>
}

export interface RangeReduce extends TaskSettings {
  start: number | bigint
  end: number | bigint
  step?: number
  map?: Author<(x: number) => unknown>
  partial?: Author<(from: number, to: number) => unknown>
  operation?: Operation | 'custom'
  // biome-ignore lint/suspicious/noExplicitAny: whatever `map` gives
  reduce?: Author<(a: any, b: any) => unknown>
  initial?: unknown
  /** calculates in bigint; numbers from 2^53 on are refused, for they are rounded: `x => BigInt(x) ** 3n` */
  exact?: boolean
  context?: Record<string, unknown>
}
export interface Matrix {
  rows: number
  cols: number
  data: Float64Array | Float32Array | number[]
}
export interface ResultMatrix {
  rows: number
  cols: number
  data: Float64Array | Float32Array
}
export interface MatrixResult {
  multiply: ResultMatrix
  add: ResultMatrix
  subtract: ResultMatrix
  transpose: ResultMatrix
  inverse: ResultMatrix
  solve: ResultMatrix
  determinant: number
  lu: { l: ResultMatrix; u: ResultMatrix; p: ResultMatrix }
  qr: { q: ResultMatrix; r: ResultMatrix }
  svd: { u: ResultMatrix; s: Float64Array; v: ResultMatrix }
  eigenvalues: { real: Float64Array; imaginary: Float64Array }
}
export type MatrixOperation = keyof MatrixResult
/** `type` only where the model does not say it */
type TensorInput = {
  dims: number[]
  data: ElementArrays[ElementType] | readonly (number | bigint | boolean)[] | Reference
  type?: ElementType
}
export interface MlInference {
  model: Bytes
  /** what the model keeps outside, by the locations that it names */
  externalData?: Record<string, Bytes>
  /** a tensor, or one per input of the model by name */
  input: TensorInput | Record<string, TensorInput>
  /** rows that the model sees at once, where they are independent; default: up to 32 */
  batchSize?: number
}
type Numbers = Float64Array | Float32Array | Int32Array | Uint8Array | number[]
export interface Layer {
  units: number
  activation?: 'linear' | 'relu' | 'sigmoid' | 'tanh' | 'softmax'
  weights?: Numbers
  bias?: Numbers
}
export interface MlTrainStep {
  model: { layers: Layer[] }
  data: { x: Matrix; y: Matrix | Numbers }
  loss: 'mse' | 'cross-entropy'
  optimizer?: 'sgd' | 'adam'
  learningRate: number
  batchSize?: number
  epochs?: number
  shardSize?: number
}
export interface Trained {
  model: { layers: (Layer & { weights: Float64Array; bias: Float64Array })[] }
  epochs: { loss: number; accuracy?: number }[]
}
export interface Wasm {
  module: Bytes
  export?: string
  args?: readonly unknown[]
  items?: readonly unknown[]
  stdin?: string | Uint8Array
}
export interface Python {
  /** defines `main(x)` */
  source: string
  items?: readonly unknown[] | Reference | DatasetReference
  range?: Range
  /** in place of items: one call, whose result is the result */
  input?: unknown
  /** global names of the source */
  context?: Record<string, unknown>
  /** wheels without native code */
  packages?: readonly Bytes[]
}
export interface PipelineNode {
  id: string
  task: TaskSpec | (Omit<Record<string, unknown>, 'type'> & { type: TaskType })
  dependsOn?: readonly string[]
  /** field of the task → the parent whose output it takes, `parent` or `parent.path.in.it` */
  input?: Record<string, string>
}

/** the results stay at the workers: the job is a dataset, by its id */
type Kept = { keep?: boolean }
type Context = { context?: Record<string, unknown> }
// biome-ignore lint/suspicious/noExplicitAny: any function of one item
type AnyMap = Author<(x: any, index: number) => unknown>
interface Range {
  start: number | bigint
  end: number | bigint
  step?: number
}
interface Specs {
  range_reduce: RangeReduce
  map: TaskSettings &
    Context & { items?: readonly unknown[] | Reference | DatasetReference; range?: Range; fn: AnyMap } & Kept
  filter: TaskSettings & Context & { items: readonly unknown[] | DatasetReference; fn: AnyMap } & Kept
  sort: TaskSettings &
    Context & {
      items: readonly unknown[] | Reference | DatasetReference
      key?: AnyMap
      order?: 'ascending' | 'descending'
    }
  map_reduce: TaskSettings &
    Context & {
      items: readonly unknown[] | Reference | DatasetReference
      map: AnyMap
      // biome-ignore lint/suspicious/noExplicitAny: whatever `map` gives
      reduce?: Operation | Author<(a: any, b: any) => unknown>
      initial?: unknown
      grouped?: boolean
    }
  enumerate: TaskSettings & Context & Enumeration
  matrix: TaskSettings & { operation: MatrixOperation; a: Matrix; b?: Matrix }
  ml_inference: TaskSettings & MlInference
  ml_train_step: TaskSettings & MlTrainStep
  wasm: TaskSettings & Wasm
  python: TaskSettings & Python & Kept
  script: TaskSettings & { source: string; input?: unknown }
  pipeline: TaskSettings & { nodes: readonly PipelineNode[] }
}
export type TaskType = keyof Specs
/** A task as the node takes it. */
export type TaskSpec = { [T in TaskType]: { type: T } & Specs[T] }[TaskType]

/** What a spec will give, as far as its type says. */
export type ResultOf<S> = S extends { type: 'map'; fn: (...args: never[]) => infer R }
  ? Awaited<R>[]
  : S extends { type: 'map' }
    ? unknown[]
    : S extends { type: 'filter' | 'sort'; items: readonly (infer T)[] }
      ? T[]
      : S extends { type: 'range_reduce'; exact: true }
        ? bigint
        : S extends { type: 'range_reduce'; operation: 'custom' }
          ? unknown
          : S extends { type: 'range_reduce' }
            ? number
            : S extends { type: 'enumerate'; aggregate: infer A }
              ? Enumerated<A>
              : S extends { type: 'matrix'; operation: infer O extends MatrixOperation }
                ? MatrixResult[O]
                : S extends { type: 'ml_inference' }
                  ? Record<string, Tensor>
                  : S extends { type: 'ml_train_step' }
                    ? Trained
                    : unknown

export type Outcome<R> = { ok: true; value: R } | { ok: false; failure: Failure }

export interface JobFilter {
  state?: JobState
  type?: TaskType | 'batch'
}
export type Uploadable = Uint8Array | Blob | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>
