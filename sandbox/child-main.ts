import type { Context, Isolate, Reference, Script } from 'isolated-vm'

/** What the parent sends to load a program: JSON, the context follows as bytes. */
export interface LoadMessage {
  /** source text of a function that answers an IsolateSide */
  prelude: string
  task: SourceText
  driver?: SourceText
  functions: Record<string, SourceText>
  seed: string
  memoryMb: number
  outputBytes: number
}

/** A script whose value is a function; `name` is what stack traces show. The first line is ours, the author's follow. */
export interface SourceText {
  name: string
  text: string
}

/** Frames: 32-bit type, 32-bit length of the body, body; little endian. */
export const FRAME = { load: 1, run: 2, ready: 3, loaded: 4, refused: 5, results: 6, failed: 7 } as const

/**
 * Runs in the child process, by its source text (self-contained). A plain loop of blocking reads and writes: nothing
 * here needs an event loop, and a blocking pipe is the fastest way there and back. It ends at the end of its input.
 *
 * - load: LoadMessage → loaded | refused
 * - run: u32 careful, then count, lengths, values → results…, each f64 ms, u32 outcomes, u32 next chunk, outcomes
 */
export function childMain(require: (name: string) => unknown, addonPath: string, frames: typeof FRAME) {
  const fs = require('node:fs') as typeof import('node:fs')
  const { ivm } = require(addonPath) as { ivm: typeof import('isolated-vm') }
  process.env.TZ = 'UTC'

  const FLUSH_MS = 5 // an outcome waits at most about this long for others to travel with
  const CHUNK_MAX = 1024
  const BUFFER_BYTES = 1 << 16
  const HEAD_BYTES = 8

  let input = new SharedArrayBuffer(BUFFER_BYTES)
  let output = new SharedArrayBuffer(BUFFER_BYTES)
  const controlBuffer = new SharedArrayBuffer(12)
  const control = new Uint32Array(controlBuffer)
  let inputBytes = Buffer.from(input)
  const head = Buffer.alloc(HEAD_BYTES)

  function readFully(target: Uint8Array, bytes: number): boolean {
    for (let at = 0; at < bytes; ) {
      const got = fs.readSync(0, target, at, bytes - at, null)
      if (got === 0) return false
      at += got
    }
    return true
  }

  function writeFully(bytes: Uint8Array, length: number) {
    for (let at = 0; at < length; ) at += fs.writeSync(1, bytes, at, length - at)
  }

  function send(type: number, body: Buffer) {
    const frame = Buffer.alloc(HEAD_BYTES + body.length)
    frame.writeUInt32LE(type, 0)
    frame.writeUInt32LE(body.length, 4)
    body.copy(frame, HEAD_BYTES)
    writeFully(frame, frame.length)
  }

  function room(bytes: number) {
    let size = BUFFER_BYTES
    while (size < bytes) size *= 2
    return new SharedArrayBuffer(size)
  }

  const share = (buffer: SharedArrayBuffer) => new ivm.ExternalCopy(buffer).copyInto({ release: true })

  let isolate: Isolate
  let message: LoadMessage
  let prelude: Script
  let task: Script
  let driver: Script | undefined
  let functions: [string, Script][]
  let contextValue: SharedArrayBuffer | undefined

  interface Room {
    context: Context
    // biome-ignore lint/suspicious/noExplicitAny: references into the isolate are untyped
    call: Record<string, Reference<any>>
    input: SharedArrayBuffer
    output: SharedArrayBuffer
    failed?: string
  }
  let next: Room | undefined

  function compile(source: SourceText) {
    return isolate.compileScriptSync(source.text, { filename: source.name, lineOffset: -1 })
  }

  function load(body: Buffer) {
    const size = body.readUInt32LE(0)
    message = JSON.parse(body.toString('utf8', 4, 4 + size))
    if (body.length > 4 + size) {
      contextValue = new SharedArrayBuffer(body.length - 4 - size)
      Buffer.from(contextValue).set(body.subarray(4 + size))
    }
    isolate = new ivm.Isolate({
      memoryLimit: message.memoryMb,
      onCatastrophicError: () => {
        send(frames.failed, Buffer.from('out-of-memory'))
        process.abort()
      }
    })
    prelude = isolate.compileScriptSync(message.prelude, { filename: 'artel:prelude' })
    try {
      task = compile(message.task)
      driver = message.driver && compile(message.driver)
      functions = Object.entries(message.functions).map(([name, source]) => [name, compile(source)])
    } catch (error) {
      send(frames.refused, Buffer.from(String((error as Error).message)))
      return
    }
    send(frames.loaded, Buffer.alloc(0))
  }

  /** A fresh context with the program in it. */
  function makeRoom(): Room {
    const context = isolate.createContextSync()
    const side = prelude.runSync(context, { reference: true }) as unknown as Reference
    const call: Room['call'] = {}
    for (const name of ['buffers', 'load', 'addFunction', 'run', 'unstick', 'resume']) {
      call[name] = side.getSync(name as never, { reference: true }) as never
    }
    const made = { context, call, input, output }
    call.buffers!.applySync(undefined, [share(input), share(output), share(controlBuffer)])
    return made
  }

  function fill(made: Room) {
    try {
      const refer = (script: Script) =>
        (script.runSync(made.context, { reference: true }) as unknown as Reference).derefInto({
          release: true
        })
      for (const [name, script] of functions)
        made.call.addFunction!.applySync(undefined, [name, refer(script)])
      made.call.load!.applySync(undefined, [
        refer(task),
        driver && refer(driver),
        contextValue && share(contextValue),
        message.seed,
        message.outputBytes
      ])
    } catch (error) {
      made.failed = (error as Error).message
    }
  }

  function drop(made: Room) {
    for (const name in made.call) made.call[name]!.release()
    made.context.release()
  }

  let chunk = 1

  function run(careful: boolean) {
    const count = new Uint32Array(input, 0, 1)[0]!
    const made = next ?? makeRoom()
    next = undefined
    if (made.input !== input || made.output !== output) {
      made.call.buffers!.applySync(undefined, [share(input), share(output), share(controlBuffer)])
      made.input = input
      made.output = output
    }
    control.fill(0)
    let clock = performance.now()
    fill(made)
    let done = 0
    while (done < count) {
      const to = Math.min(count, done + (careful ? 1 : chunk))
      step(made.call.run!, [done, to])
      while (control[0]! < to) {
        if (control[2]! > 0) {
          flush(done)
          done = control[0]!
          output = room(control[2]!)
          made.output = output
          made.call.buffers!.applySync(undefined, [share(input), share(output), share(controlBuffer)])
          step(made.call.resume!, [])
        } else {
          step(made.call.unstick!, [])
        }
      }
      flush(done)
      done = to
    }
    drop(made)

    function flush(from: number) {
      const now = performance.now()
      const ms = now - clock
      clock = now
      const outcomes = control[0]! - from
      if (!careful && outcomes > 0) {
        const fits = Math.floor((chunk * FLUSH_MS) / Math.max(ms, 0.01))
        chunk = Math.max(1, Math.min(2 * chunk, fits, CHUNK_MAX))
      }
      const size = control[1]!
      const results = Buffer.alloc(HEAD_BYTES + 16)
      results.writeUInt32LE(frames.results, 0)
      results.writeUInt32LE(16 + size, 4)
      results.writeDoubleLE(ms, 8)
      results.writeUInt32LE(outcomes, 16)
      results.writeUInt32LE(careful ? 1 : chunk, 20)
      writeFully(results, results.length)
      writeFully(Buffer.from(output, 0, size), size)
      control[1] = 0
    }
  }

  function step(reference: Reference, args: number[]) {
    try {
      reference.applySync(undefined, args)
    } catch (error) {
      if (isolate.isDisposed) {
        send(frames.failed, Buffer.from('out-of-memory'))
        process.exit(1)
      }
      // an unhandled rejection of the author's: the outcome stands in the control words
      void error
    }
  }

  send(frames.ready, Buffer.alloc(0))
  while (readFully(head, HEAD_BYTES)) {
    const type = head.readUInt32LE(0)
    const bytes = head.readUInt32LE(4)
    if (type === frames.load) {
      const body = Buffer.allocUnsafe(bytes)
      if (!readFully(body, bytes)) break
      load(body)
    } else {
      if (bytes > input.byteLength) {
        input = room(bytes)
        inputBytes = Buffer.from(input)
      }
      if (!readFully(head, 4) || !readFully(inputBytes, bytes - 4)) break
      run(head.readUInt32LE(0) === 1)
      next = makeRoom()
    }
  }
}
