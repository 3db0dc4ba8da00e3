import type { Context, Isolate, Reference, Script } from 'isolated-vm'
import type { Program } from './contract.ts'
import type { OPERATION } from './operation.ts'
import type { Guard } from './stateless.ts'

/** What the parent sends to load a program: JSON, then the bytes of the context and of the WebAssembly module, Python source or model. */
export interface LoadMessage {
  /** script that evaluates to the function of isolate-main.ts */
  prelude: string
  kind: Program['kind']
  /** the author's text, unless it is WebAssembly */
  task?: SourceText
  driver?: SourceText
  functions: Record<string, SourceText>
  /** evaluating these texts runs nothing of the author's, so it may be done ahead */
  eager: boolean
  /** how nothing is kept from one item to the next (stateless.ts): unless `apart`, a context serves again */
  guard: Guard
  /** names of typed arrays in the context that the program may write to; absent: all */
  touched?: string[]
  /** runtimes only: seeds chance, for the prelude was there before the program */
  seed: string
  /** name of the function that a WebAssembly module exports */
  export: string
  contextBytes: number
  memoryMb: number
  outputBytes: number
}

/** A script whose value is a function; `name` is what stack traces show. The first line is ours, then the author's. */
export interface SourceText {
  name: string
  text: string
}

/** Frames: 32-bit type, 32-bit length of the body, body; little endian. */
export const FRAME = {
  load: 1,
  run: 2,
  ready: 3,
  loaded: 4,
  refused: 5,
  results: 6,
  failed: 7,
  start: 8
} as const

/** What runs in a child in place of JavaScript, and the files that it reads. */
export type RuntimeFiles = { kind: 'python'; files: PythonFiles } | { kind: 'onnx'; files: OnnxFiles }

/** of onnxruntime-web */
export interface OnnxFiles {
  /** Emscripten's script */
  module: string
  wasm: string
}

/** of Pyodide */
export interface PythonFiles {
  /** Emscripten's script, and Pyodide's loader of it */
  module: string
  loader: string
  wasm: string
  /** the standard library */
  library: string
  /** the versions that fit each other; the packages that it names are not there */
  lock: string
}

/** The child writes frames here. V8 itself writes to standard output and error, and what lands there is for the author. */
export const FRAMES_FD = 5

/**
 * Runs in the child process, by its source text (self-contained). A plain loop of blocking reads and writes: nothing
 * here needs an event loop, and a blocking pipe is the fastest way there and back. It ends at the end of its input.
 *
 * - start, to a child for a runtime, before anything else: u32 length, prelude, snapshot of an interpreter if there is one
 *   → ready, with a snapshot if there was none and it makes one. Other children are ready at once.
 * - load: u32 length, LoadMessage as JSON, context, module → loaded | refused
 * - run: u32 careful, then count, lengths, values → results…, each f64 ms, u32 outcomes, u32 next chunk, outcomes
 *
 * Inputs are read into memory that the isolate shares and outputs are written from it; a `careful` run speaks after
 * every input, so that the parent knows which one was the last.
 */
export function childMain(
  require: (name: string) => unknown,
  addonPath: string,
  frames: typeof FRAME,
  framesFd: number,
  operation: typeof OPERATION,
  runtime?: RuntimeFiles
) {
  const fs = require('node:fs') as typeof import('node:fs')
  const { ivm } = require(addonPath) as { ivm: typeof import('isolated-vm') }
  process.env.TZ = 'UTC'

  const FLUSH_MS = 5 // an outcome waits at most about this long for others to travel with
  const CHUNK_MAX = 1024
  const BUFFER_BYTES = 1 << 16 // shared buffers come in multiples of it
  const HEAD_BYTES = 8
  const RESULT_BYTES = HEAD_BYTES + 16
  const RUNTIME_HEAP_MB = 1024 // of V8: linear memory is not in it
  const WINDOW_CHARS = 524288 // as in value.ts; from a million on, Node keeps strings outside its heap until they are collected
  const SMALL_BYTES = 16384 // up to here one write with a copy is cheaper than two

  let input = new SharedArrayBuffer(BUFFER_BYTES)
  let inputBytes = Buffer.from(input)
  let output = new SharedArrayBuffer(BUFFER_BYTES)
  const controlBuffer = new SharedArrayBuffer(20)
  const control = new Uint32Array(controlBuffer) // as in isolate-main.ts
  const head = Buffer.alloc(HEAD_BYTES)

  function readFully(target: Uint8Array, bytes: number): boolean {
    for (let at = 0; at < bytes; ) {
      const got = fs.readSync(0, target, at, bytes - at, null)
      if (got === 0) return false
      at += got
    }
    return true
  }

  /** The engine's own conversion; strings within it are slices that cost nothing. */
  function textOf(from: number, to: number) {
    const windows: string[] = []
    for (let at = from; at < to; at += WINDOW_CHARS)
      windows.push(inputBytes.toString('latin1', at, Math.min(to, at + WINDOW_CHARS)))
    return windows
  }

  function writeFully(bytes: Uint8Array, length: number) {
    for (let at = 0; at < length; ) at += fs.writeSync(framesFd, bytes, at, length - at)
  }

  function send(type: number, body: string | Uint8Array) {
    const frame = Buffer.concat([Buffer.alloc(HEAD_BYTES), Buffer.from(body as string)])
    frame.writeUInt32LE(type, 0)
    frame.writeUInt32LE(frame.length - HEAD_BYTES, 4)
    writeFully(frame, frame.length)
  }

  function room(bytes: number) {
    return new SharedArrayBuffer(Math.ceil(bytes / BUFFER_BYTES) * BUFFER_BYTES)
  }

  function shared(bytes: Buffer) {
    if (bytes.length === 0) return undefined
    const buffer = new SharedArrayBuffer(bytes.length)
    Buffer.from(buffer).set(bytes)
    return buffer
  }

  const share = (buffer: SharedArrayBuffer) => new ivm.ExternalCopy(buffer).copyInto({ release: true })

  let isolate: Isolate
  let message: LoadMessage
  let prelude: Script
  let task: Script | undefined
  let driver: Script | undefined
  let functions: [string, Script][]
  let contextBytes: SharedArrayBuffer | undefined
  let moduleBytes: SharedArrayBuffer | undefined

  /** A context with the prelude in it, and the program once it is `filled`. */
  interface Room {
    context: Context
    call: Reference
    input: SharedArrayBuffer
    output: SharedArrayBuffer
    filled: boolean
  }
  let next: Room | undefined

  function compile(source: SourceText) {
    return isolate.compileScriptSync(source.text, { filename: source.name, lineOffset: -1 })
  }

  function load(body: Buffer) {
    const size = 4 + body.readUInt32LE(0)
    message = JSON.parse(body.toString('utf8', 4, size))
    contextBytes = shared(body.subarray(size, size + message.contextBytes))
    moduleBytes = shared(body.subarray(size + message.contextBytes))
    if (runtime !== undefined) {
      const { memoryMb, seed, outputBytes } = message
      const context = contextBytes && share(contextBytes)
      const problem = call(
        next!,
        operation.loadInto,
        share(moduleBytes ?? new SharedArrayBuffer(0)),
        context,
        memoryMb,
        seed,
        outputBytes
      )
      send(problem === undefined ? frames.loaded : frames.refused, String(problem ?? ''))
      return
    }
    isolate = new ivm.Isolate({ memoryLimit: message.memoryMb, onCatastrophicError: outOfMemory })
    try {
      prelude = isolate.compileScriptSync(message.prelude, { filename: 'artel:prelude' })
      task = message.task && compile(message.task)
      driver = message.driver && compile(message.driver)
      functions = Object.entries(message.functions).map(([name, source]) => [name, compile(source)])
      if (moduleBytes !== undefined) {
        const made = makeRoom()
        const problem = call(made, operation.problem, message.kind, share(moduleBytes), message.export)
        drop(made)
        if (problem !== undefined) throw new Error(String(problem))
      }
      next = prepare()
    } catch (error) {
      send(frames.refused, String((error as Error).message))
      return
    }
    send(frames.loaded, '')
  }

  const read = (path: string) => fs.readFileSync(path)

  /** The text of a script → its value, inside the isolate. */
  function evaluate(made: Room, text: string) {
    const script = isolate.compileScriptSync(text, { filename: 'artel:runtime' })
    const reference = script.runSync(made.context, { reference: true }) as unknown as Reference
    return reference.derefInto({ release: true })
  }

  /** Both scripts are modules of ECMAScript, with one export that counts. */
  function bootPython(made: Room, files: PythonFiles, snapshot?: SharedArrayBuffer) {
    const module = `${read(files.module)}`.replaceAll('import.meta.url', '""')
    const loader = `${read(files.loader)}`.replace(/export\{(\w+) as loadPyodide,[\s\S]*$/, 'return $1')
    call(
      made,
      operation.boot,
      share(shared(read(files.wasm))!),
      share(shared(read(files.library))!),
      snapshot && share(snapshot),
      evaluate(made, module.replace(/export default (\w+);\s*$/, ';$1')),
      evaluate(made, `(() => {${loader}})`),
      JSON.stringify(JSON.parse(`${read(files.lock)}`).info)
    )
    if (snapshot !== undefined) return undefined
    return made.call.applySync(undefined, [operation.snapshot], { result: { copy: true } }) as ArrayBuffer
  }

  /** What follows its export is for threads, of which there is one. */
  function bootOnnx(made: Room, files: OnnxFiles) {
    const module = `${read(files.module)}`.replaceAll('import.meta.url', '""')
    const wasm = share(shared(read(files.wasm))!)
    call(made, operation.boot, wasm, evaluate(made, module.replace(/export default (\w+);[\s\S]*$/, ';$1')))
    return undefined
  }

  /** What it writes about itself is in the way of nobody. */
  function startRuntime({ kind, files }: RuntimeFiles, body: Buffer) {
    const size = 4 + body.readUInt32LE(0)
    const snapshot = shared(body.subarray(size))
    isolate = new ivm.Isolate({ memoryLimit: RUNTIME_HEAP_MB, onCatastrophicError: outOfMemory })
    prelude = isolate.compileScriptSync(body.toString('utf8', 4, size), { filename: 'artel:prelude' })
    const made = makeRoom()
    const pristine = kind === 'python' ? bootPython(made, files, snapshot) : bootOnnx(made, files)
    call(made, operation.ready)
    next = made
    send(frames.ready, pristine ? new Uint8Array(pristine) : '')
  }

  function makeRoom(): Room {
    const context = isolate.createContextSync()
    const call = prelude.runSync(context, { reference: true }) as unknown as Reference
    const made = { context, call, input, output, filled: runtime !== undefined }
    attach(made)
    return made
  }

  function call(made: Room, kind: number, ...args: unknown[]): unknown {
    return made.call.applySync(undefined, [kind, ...args])
  }

  function attach(made: Room) {
    made.input = input
    made.output = output
    call(made, operation.buffers, share(input), share(output), share(controlBuffer))
  }

  /** Evaluates the program. What it throws fails every input, inside the isolate. */
  function fill(made: Room) {
    made.filled = true
    const refer = (script: Script) =>
      (script.runSync(made.context, { reference: true }) as unknown as Reference).derefInto({ release: true })
    for (const [name, script] of functions) call(made, operation.addFunction, name, refer(script))
    call(
      made,
      operation.load,
      message.kind,
      task && refer(task),
      driver && refer(driver),
      contextBytes && share(contextBytes),
      moduleBytes && share(moduleBytes),
      message.export,
      message.outputBytes,
      message.guard,
      message.touched?.join()
    )
  }

  /** A context for the next run, as far as it can be made before that run is there. */
  function prepare() {
    const made = makeRoom()
    if (message.eager) fill(made)
    return made
  }

  function drop(made: Room) {
    made.call.release()
    made.context.release()
  }

  let chunk = 1

  function run(careful: boolean) {
    const count = new Uint32Array(input, 0, 1)[0]!
    const apart = message.guard === 'apart'
    let made = next ?? makeRoom()
    next = undefined
    if (made.input !== input || made.output !== output) attach(made)
    control.fill(0)
    let clock = performance.now()
    for (let done = 0; done < count; ) {
      if (apart && done > 0) {
        drop(made)
        made = makeRoom()
      }
      if (!made.filled) step(() => fill(made))
      const to = Math.min(count, done + (careful || apart ? 1 : chunk))
      step(() => call(made, operation.run, done, to))
      while (control[0]! < to) {
        if (control[2]! > 0) {
          flush(done, to)
          done = control[0]!
          if (control[2]! > output.byteLength) {
            output = room(control[2]!)
            attach(made)
          }
          step(() => call(made, operation.resume))
        } else if (control[4]! > 0) {
          step(() => call(made, operation.text, ...textOf(control[3]!, control[4]!)))
        } else {
          step(() => call(made, operation.unstick))
        }
      }
      flush(done, to)
      done = to
    }
    if (apart) {
      drop(made)
      next = prepare()
    } else next = made

    function flush(from: number, to: number) {
      // before the outcome, so that who reads that has this
      const said = runtime === undefined ? '' : call(made, operation.said)
      if (said !== '') fs.writeSync(1, String(said))
      const now = performance.now()
      const ms = now - clock
      clock = now
      const outcomes = control[0]! - from
      if (!careful && outcomes > 0) {
        const fits = Math.floor((outcomes * FLUSH_MS) / Math.max(ms, 0.01))
        chunk = Math.max(1, Math.min(2 * chunk, fits, CHUNK_MAX))
      }
      const size = control[1]!
      const small = size <= SMALL_BYTES
      const values = Buffer.from(output, 0, size)
      const results = Buffer.alloc(RESULT_BYTES + (small ? size : 0))
      results.writeUInt32LE(frames.results, 0)
      results.writeUInt32LE(RESULT_BYTES - HEAD_BYTES + size, 4)
      results.writeDoubleLE(ms, 8)
      results.writeUInt32LE(outcomes, 16)
      const rest = to - control[0]! // of this chunk, where it was only making room
      results.writeUInt32LE(careful ? 1 : rest > 0 ? rest : chunk, 20)
      if (small) values.copy(results, RESULT_BYTES)
      writeFully(results, results.length)
      if (!small) writeFully(values, size)
      control[1] = 0
    }
  }

  /**
   * What is thrown here is an unhandled rejection of the author's; the outcomes stand in the shared memory. From a runtime
   * nothing is, unless it is broken.
   */
  function step(work: () => unknown) {
    try {
      work()
    } catch (error) {
      if (isolate.isDisposed) outOfMemory()
      if (runtime === undefined) return
      fs.writeSync(2, `the runtime is broken: ${error}\n`)
      process.exit(1)
    }
  }

  function outOfMemory(): never {
    send(frames.failed, '')
    process.exit(1)
  }

  if (runtime === undefined) send(frames.ready, '')
  try {
    while (readFully(head, HEAD_BYTES)) {
      const type = head.readUInt32LE(0)
      const bytes = head.readUInt32LE(4)
      if (type !== frames.run) {
        const body = Buffer.allocUnsafe(bytes)
        if (!readFully(body, bytes)) break
        if (type === frames.start) startRuntime(runtime!, body)
        else load(body)
      } else {
        if (bytes > input.byteLength) {
          input = room(bytes)
          inputBytes = Buffer.from(input)
        }
        if (!readFully(head, 4) || !readFully(inputBytes, bytes - 4)) break
        run(head.readUInt32LE(0) === 1)
      }
    }
  } catch {
    outOfMemory() // what can fail out here is to get room for a frame
  }
}
