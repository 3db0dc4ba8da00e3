import type { Startable } from '@libp2p/interface'

/** What a task author handed in, and how it is to be called. */
export interface Program {
  /**
   * - `function`: JavaScript source of one function, sync or async
   * - `module`: ES module source; its default export is called
   * - `expression`: an expression over `x` (and `index`)
   * - `wasm`: a WebAssembly module without imports; `export` names the function
   * - `wasi`: a WASI preview 1 command, stdin (bytes) → stdout (bytes)
   * - `python`: source that defines `main(x)`, called for each item of an input `{ first, items }` or
   *   `{ first, start, step, count }` (items `start + place * step`); the output is the list of what it gives.
   *   Memory is as after the source was run before every call; a place has its own chance. `context` is
   *   `{ context?, packages? }`: global names, and wheels (bytes) without native code
   * - `onnx`: a model; input `{ batches, joined?, sizes? }`: tensors `{ type, dims, data }` by name; the output is the list of
   *   what the model gives for each batch, or with `joined` all their rows as one. `sizes` of dimensions that it names: it is
   *   looked at with them. `context`: its external data, bytes by location
   */
  kind: 'function' | 'module' | 'expression' | 'wasm' | 'wasi' | 'python' | 'onnx'
  source: string | Uint8Array
  export?: string
  /** Further author functions by name (`reduce`, …), each the source text of a function or expression. */
  functions?: Record<string, { kind: 'function' | 'expression'; source: string }>
  /**
   * Source text of a function `(task, functions, context, { wasm }) => input => output`, run in the same isolate
   * (`wasm`: WebAssembly, where V8 has a compiler):
   * it drives the author's code over one input (a slice), so that a million items cost one call.
   * Default: `task => input => task(input)`.
   */
  driver?: string
  /** Canonical value (see value.ts) that the code sees as the global `context`, frozen. */
  context?: Uint8Array
  /** Seeds `Math.random`; the same seed and input give the same numbers on every worker. */
  seed?: string
}

export interface Limits {
  /** per input, wall clock */
  timeoutMs: number
  /** resident memory of the whole child above its idle size */
  memoryMb: number
  /** encoded size of one output */
  outputBytes: number
}

export type FailureName =
  | 'threw'
  | 'timeout'
  | 'out-of-memory'
  | 'invalid-result'
  | 'aborted'
  | 'wall-missing'

/** A failure is data, not an exception in the node. `message` is for the author; `stack` holds only frames of the author's code. */
export interface Failure {
  name: FailureName
  message: string
  stack?: string
  /** What the process had printed (Session.said). Whoever runs a session adds it, beside what is signed or compared. */
  said?: string
}

/** `value` is the canonical encoding of the output (value.ts), measured and bounded but not decoded. */
export type Outcome =
  | { ok: true; value: Uint8Array; ms: number }
  | { ok: false; failure: Failure; ms: number }

export interface OpenOptions {
  limits: Limits
  /** Whose code it is. Two requesters never share a process. */
  requester: string
  /** true only for the owner's own jobs and peers on the allow-list: may run where a wall is missing. */
  trusted?: boolean
  signal?: AbortSignal
}

/** One program of one requester in a process of its own. */
export interface Session {
  /** Determinism class of every result: V8 version and architecture, e.g. `v8-13.6/x64`; of runtimes theirs: `pyodide-314.0.7`. */
  readonly class: string
  /**
   * What the engine wrote to standard output and error while the program ran (notes on "use asm", its last words), for
   * the author; at most 4,096 characters. It is no part of any outcome: another machine may say something else.
   */
  readonly said: string
  /**
   * Runs the inputs (canonical values) in order in a fresh context and answers one outcome each, in order.
   * Never rejects because of what the program does: a killed process fails the input that it was working on,
   * and the rest goes on in a new one.
   */
  run(inputs: Uint8Array[], options?: { signal?: AbortSignal }): Promise<Outcome[]>
  /** Ends the process. Idempotent. */
  close(): Promise<void>
}

/** One layer of the walls, as `artel doctor`, offers and metrics show it. */
export interface Wall {
  name: 'isolate' | 'process' | 'limits' | 'namespaces' | 'seccomp' | 'permission' | 'watchdog'
  present: boolean
  /** what is missing and how to get it, or what was found */
  detail: string
}

export interface Sandbox extends Startable {
  readonly class: string
  /** true when every wall stands: strangers' code may run. */
  readonly walled: boolean
  readonly walls: readonly Wall[]
  /**
   * Takes a warm child and loads the program. A program that does not compile is reported by a
   * ProgramError; a stranger's program where a wall is missing by a WallMissingError.
   */
  open(program: Program, options: OpenOptions): Promise<Session>
}

export interface SandboxInit {
  /** warm children kept ready; default: number of cores */
  warm?: number
  /** No child is kept warm before a session is opened, nor long after the last one was: for who may never open one. */
  lazy?: boolean
  /** most children at the same time */
  maxProcesses?: number
  /** no machine code is generated at run time: much slower, no WebAssembly, and the largest part of V8's attacks gone */
  jitless?: boolean
  /** folders with bwrap, prlimit and setpriv, separated as in PATH; default: PATH and /usr/bin */
  toolPath?: string
}
