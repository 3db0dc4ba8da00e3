import type { FRAME, LoadMessage } from '../child-main.ts'
import type { OPERATION } from '../operation.ts'

/** What a Worker is told first, with the port on which it speaks from then on. */
export interface WebStart {
  /** addresses of scripts that give their value to `artelTake`: the prelude, then those of the program */
  scripts: string[]
  /** what each script after the prelude is: `task`, `driver`, or a function's name behind a colon */
  roles: string[]
  message: Pick<LoadMessage, 'kind' | 'export' | 'outputBytes' | 'guard' | 'touched'>
  context: Uint8Array | undefined
}

/**
 * Runs in a Worker of a browser, by its source text (self-contained), as the first script there. It takes everything out
 * of the global object that is not ECMAScript, and only then loads the program, as scripts: nothing here, nor the policy
 * of the page, makes code from strings. From then on it speaks as child-main.ts does, a frame a message.
 *
 * Where that one runs microtasks within a call, here they run when nothing else does: so it goes on in a later task.
 */
export function workerMain(frames: typeof FRAME, operation: typeof OPERATION, kept: readonly string[]) {
  const FLUSH_MS = 5
  const CHUNK_MAX = 1024
  const BUFFER_BYTES = 1 << 16
  const RESULT_BYTES = 16
  const WINDOW_CHARS = 524288 // as in value.ts
  const PIECE_CHARS = 8192 // arguments of one call

  const scope = globalThis as unknown as {
    importScripts(url: string): void
    onmessage: ((event: MessageEvent<WebStart>) => void) | null
    artelTake?: (value: unknown) => void
  }
  const { apply, deleteProperty, ownKeys } = Reflect
  const { fromCharCode } = String
  const { defineProperty, getPrototypeOf, prototype: root } = Object
  const load = scope.importScripts.bind(scope)
  const now = performance.now.bind(performance)
  const { min, max, ceil, floor } = Math
  const Bytes = Uint8Array
  const Words = Uint32Array
  const View = DataView
  const Room = ArrayBuffer
  const Refusal = EvalError

  // what was asked for while a promise of the author's was pending goes on in a task of its own
  const later = new MessageChannel()
  const goOn = later.port2.postMessage.bind(later.port2, 0)

  let post: (message: unknown) => void
  let call: (kind: number, ...args: unknown[]) => unknown
  let outputBytes = 0
  let input = new Room(0)
  let output = new Room(BUFFER_BYTES)
  const controlBuffer = new Room(20)
  const control = new Words(controlBuffer) // as in isolate-main.ts

  scope.onmessage = ({ data, ports }) => {
    const [port] = ports
    post = port!.postMessage.bind(port)
    later.port1.onmessage = () => run(true)
    port!.onmessage = ({ data }) => begin(data as Uint8Array)
    try {
      raiseWalls()
      fill(data)
      post({ type: frames.loaded, body: new Bytes(0) })
    } catch (error) {
      post({ type: frames.refused, problem: `${(error as Error).message}` })
    }
  }

  function raiseWalls() {
    const names = new Set<PropertyKey>(kept)
    for (
      let at: object | null = globalThis;
      at !== null && at !== root;
      at = getPrototypeOf(at) as object | null
    ) {
      for (const key of ownKeys(at)) if (at !== globalThis || !names.has(key)) deleteProperty(at, key)
    }
    // names of scripts are others every time; who reads them fails, which is no answer (create-web-sandbox.ts)
    defineProperty(Error, 'prepareStackTrace', {
      value() {
        throw new Refusal('a sandbox in a browser does not tell where an error is')
      },
      writable: true,
      configurable: true
    })
  }

  /** Loads the program. What its factories throw fails every input. */
  function fill({ scripts, roles, message, context }: WebStart) {
    const values: unknown[] = []
    defineProperty(globalThis, 'artelTake', {
      value(value: unknown) {
        values[values.length] = value
      },
      configurable: true
    })
    for (const script of scripts) load(script)
    deleteProperty(globalThis, 'artelTake')
    if (values.length !== scripts.length) throw new Error('a script of the program did not end as it began')
    call = values[0] as typeof call
    outputBytes = message.outputBytes
    attach()
    const value = (role: string) => {
      const at = roles.indexOf(role)
      return at < 0 ? undefined : values[1 + at]
    }
    for (const role of roles) if (role[0] === ':') call(operation.addFunction, role.slice(1), value(role))
    const bytes = context?.buffer.slice(context.byteOffset, context.byteOffset + context.byteLength)
    call(
      operation.load,
      message.kind,
      value('task'),
      value('driver'),
      bytes,
      undefined,
      message.export,
      outputBytes,
      message.guard,
      message.touched?.join()
    )
  }

  function attach() {
    call(operation.buffers, input, output, controlBuffer)
  }

  let careful = false
  let count = 0
  let done = 0 // inputs whose outcomes have left
  let to = 0 // the end of the chunk that is worked on; 0: none is
  let chunk = 1
  let clock = 0
  const waiting: Uint8Array[] = []

  /** A frame of inputs: those that come meanwhile wait for their turn. */
  function begin(frame: Uint8Array) {
    waiting[waiting.length] = frame
    if (waiting.length === 1) start()
  }

  function start() {
    const frame = waiting[0]!
    careful = new View(frame.buffer).getUint32(0, true) === 1
    const bytes = frame.byteLength - 4
    if (bytes > input.byteLength) input = new Room(ceil(bytes / BUFFER_BYTES) * BUFFER_BYTES)
    new Bytes(input).set(new Bytes(frame.buffer, 4))
    attach()
    control[0] = control[1] = control[2] = control[3] = control[4] = 0
    count = new Words(input, 0, 1)[0]!
    done = to = 0
    clock = now()
    run(false)
  }

  /** @param rested every microtask there was has run since the last call */
  function run(rested: boolean) {
    while (done < count) {
      if (to === 0) {
        to = min(count, done + (careful ? 1 : chunk))
        step(operation.run, done, to)
      }
      while (control[0]! < to) {
        if (control[2]! > 0) {
          flush()
          if (control[2]! > output.byteLength) {
            output = new Room(ceil(control[2]! / BUFFER_BYTES) * BUFFER_BYTES)
            attach()
          }
          step(operation.resume)
        } else if (control[4]! > 0) {
          step(operation.text, ...textOf(control[3]!, control[4]!))
        } else if (rested) {
          rested = false
          step(operation.unstick)
        } else {
          goOn()
          return
        }
      }
      flush()
      to = 0
    }
    for (let i = 1; i < waiting.length; i++) waiting[i - 1] = waiting[i]!
    waiting.length--
    if (waiting.length > 0) start()
  }

  /** Bytes of the input as characters, a character each. */
  function textOf(from: number, to: number) {
    const windows: string[] = []
    for (let at = from; at < to; ) {
      const end = min(to, at + WINDOW_CHARS)
      let text = ''
      for (; at < end; at += PIECE_CHARS)
        text += apply(fromCharCode, undefined, new Bytes(input, at, min(PIECE_CHARS, end - at)))
      at = end
      windows[windows.length] = text
    }
    return windows
  }

  function step(kind: number, ...args: unknown[]) {
    try {
      call(kind, ...args)
    } catch {
      // nothing is thrown here but what a program did to its own realm; its outcomes stand in the buffers
    }
  }

  function flush() {
    const time = now()
    const ms = time - clock
    clock = time
    const outcomes = control[0]! - done
    done = control[0]!
    if (!careful && outcomes > 0)
      chunk = max(1, min(2 * chunk, floor((outcomes * FLUSH_MS) / max(ms, 0.01)), CHUNK_MAX))
    const rest = to - done
    const size = control[1]!
    const body = new Bytes(RESULT_BYTES + size)
    const head = new View(body.buffer)
    head.setFloat64(0, ms, true)
    head.setUint32(8, outcomes, true)
    head.setUint32(12, careful ? 1 : rest > 0 ? rest : chunk, true)
    body.set(new Bytes(output, 0, size), RESULT_BYTES)
    post({ type: frames.results, body })
    control[1] = 0
  }
}

/** The global names that stay: those of ECMAScript, of which the prelude takes some more (realm.ts). */
export const KEPT_GLOBALS: readonly string[] = [
  ...['Infinity', 'NaN', 'undefined', 'globalThis', 'parseFloat', 'parseInt', 'isFinite', 'isNaN', 'escape'],
  ...['unescape', 'decodeURI', 'decodeURIComponent', 'encodeURI', 'encodeURIComponent', 'eval', 'Object'],
  ...['Function', 'Array', 'Number', 'Boolean', 'String', 'Symbol', 'Date', 'Promise', 'RegExp', 'Error'],
  ...['AggregateError', 'EvalError', 'RangeError', 'ReferenceError', 'SyntaxError', 'TypeError', 'URIError'],
  ...[
    'JSON',
    'Math',
    'Intl',
    'ArrayBuffer',
    'Atomics',
    'Uint8Array',
    'Int8Array',
    'Uint16Array',
    'Int16Array'
  ],
  ...['Uint32Array', 'Int32Array', 'BigUint64Array', 'BigInt64Array', 'Uint8ClampedArray', 'Float16Array'],
  ...['Float32Array', 'Float64Array', 'DataView', 'Map', 'BigInt', 'Set', 'Iterator', 'WeakMap', 'WeakSet'],
  ...['WeakRef', 'Proxy', 'Reflect', 'FinalizationRegistry', 'WebAssembly', 'SharedArrayBuffer'],
  ...['DisposableStack', 'AsyncDisposableStack', 'SuppressedError']
]
