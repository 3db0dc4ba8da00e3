import type { Runtime } from './runtime.ts'
import type { valueCodec } from './value.ts'

/** Exports and helpers of onnxruntime's module (`_Ort…` are its C API: handles and 0 for failure, or codes and 0 for none); it has no types. */
// biome-ignore lint/suspicious/noExplicitAny: see above
type Module = any

/** Elements as onnxruntime-web names their types; floats of 16 bits travel as those of 32, and booleans as 0 and 1. */
interface Tensor {
  type: string
  dims: number[]
  data: ArrayBufferView | string[]
}

/** One run after the other, each as it would be alone. */
interface Input {
  batches: Record<string, Tensor>[]
  /** the rows of all batches one after the other */
  joined?: boolean
  /** of dimensions that the model names, to look at it with them */
  sizes?: Record<string, number>
}

/**
 * onnxruntime-web inside the isolate (self-contained, by its source text): WebAssembly on one thread. Its whole state is
 * linear memory, which is put back to what it was after the model was loaded, before each run: so no run sees another one,
 * also where an operator draws numbers or a run has failed.
 *
 * The model is loaded by the first run, under that run's limits, since it may calculate as long as it likes.
 */
export function makeOnnx(
  makeCodec: typeof valueCodec,
  { wasm: webAssembly, random }: { wasm: typeof WebAssembly; random: () => number }
): Runtime {
  const codec = makeCodec()
  const MIB = 1 << 20
  const PAGE_BYTES = 65_536
  const LEFT_MB = 64 // of the limit, for what the engine takes beside linear memory
  const SAID_CHARS = 4096
  const LOG_ERRORS = 3
  const OPTIMIZE_ALL = 99
  // TensorProto.DataType
  const TYPES: Record<number, string> = {
    1: 'float32',
    2: 'uint8',
    3: 'int8',
    4: 'uint16',
    5: 'int16',
    6: 'int32',
    7: 'int64',
    8: 'string',
    9: 'bool',
    10: 'float16',
    11: 'float64',
    12: 'uint32',
    13: 'uint64'
  }
  const ARRAYS: Record<string, new (buffer: ArrayBuffer) => ArrayBufferView> = {
    float32: Float32Array,
    uint8: Uint8Array,
    int8: Int8Array,
    uint16: Uint16Array,
    int16: Int16Array,
    int32: Int32Array,
    int64: BigInt64Array,
    bool: Uint8Array,
    float16: Uint16Array,
    float64: Float64Array,
    uint32: Uint32Array,
    uint64: BigUint64Array
  }

  let module: Module
  let failure: { error: unknown } | undefined
  let memory: WebAssembly.Memory
  let model: Uint8Array
  let external: Record<string, Uint8Array> = {}
  let printed = ''
  let printedChars = 0

  class Raised extends Error {
    readonly isRaised = true
    readonly isInvalid: boolean
    constructor(name: string, message: string, isInvalid = false) {
      super(message)
      this.name = name
      this.stack = ''
      this.isInvalid = isInvalid
    }
  }

  // ---- what Emscripten asks for and V8 alone does not have ----

  function install() {
    const say = (...words: unknown[]) => {
      const text = `${words.join(' ')}\n`.slice(0, SAID_CHARS - printedChars)
      printedChars += text.length
      printed += text
    }
    Object.assign(globalThis, {
      WebAssembly: webAssembly,
      console: { log: say, warn: say, error: say, info: say, debug: say },
      performance: { timeOrigin: 0, now: () => 0 },
      crypto: {
        getRandomValues(bytes: Uint8Array) {
          for (let i = 0; i < bytes.length; i++) bytes[i] = (random() * 256) | 0
          return bytes
        }
      },
      navigator: { hardwareConcurrency: 1 },
      setTimeout: () => 0,
      clearTimeout: () => {},
      // one thread: nobody waits for another
      Atomics: {}
    })
  }

  // ---- memory ----

  let pristine: { bytes: Uint8Array; stack: number }

  const remember = () => {
    pristine = { bytes: new Uint8Array(memory.buffer).slice(), stack: module.stackSave() }
  }

  function reset() {
    const now = new Uint8Array(memory.buffer)
    now.set(pristine.bytes)
    if (now.length > pristine.bytes.length) now.fill(0, pristine.bytes.length)
    module.stackRestore(pristine.stack)
  }

  function limit(memoryMb: number) {
    const most = memory.buffer.byteLength + Math.max(LEFT_MB, memoryMb - LEFT_MB) * MIB
    const grow = memory.grow.bind(memory)
    Object.defineProperty(memory, 'grow', {
      value: (pages: number) => {
        if (memory.buffer.byteLength + PAGE_BYTES * pages > most) throw new RangeError('no more memory')
        return grow(pages)
      }
    })
  }

  const pointer = (at: number): number => module.getValue(at, '*')
  const integer = (at: number): number => module.getValue(at, 'i32')

  function allocate(size: number): number {
    const at = module._malloc(Math.max(1, size))
    if (at === 0) throw new Raised('MemoryError', `${size} bytes more than there are`)
    return at
  }

  function textAt(value: string): number {
    const size = module.lengthBytesUTF8(value) + 1
    const at = allocate(size)
    module.stringToUTF8(value, at, size)
    return at
  }

  /** What the last call said was wrong. */
  function complaint(): Raised {
    const at = module.stackAlloc(8)
    module._OrtGetLastError(at, at + 4)
    const text = pointer(at + 4) === 0 ? 'onnxruntime gives no reason' : module.UTF8ToString(pointer(at + 4))
    // what C++ throws where memory grows no more
    return new Raised(
      /bad_alloc|allocate memory|bad allocation/.test(text) ? 'MemoryError' : 'ModelError',
      text
    )
  }

  /** A call that answers 0 where all is well. */
  function check(code: number) {
    if (code !== 0) throw complaint()
  }

  /** A call that answers a handle, or 0. */
  function made(handle: number): number {
    if (handle === 0) throw complaint()
    return handle
  }

  // ---- the model ----

  let session = 0
  let refused: { error: unknown } | undefined
  let names: { inputs: Map<string, number>; outputs: [string, number][] }

  /** Once: what is left in memory where it failed could make the next failure another one. */
  function open(sizes: Record<string, number> = {}) {
    if (refused !== undefined) throw refused.error
    if (session !== 0) return
    try {
      load(sizes)
      remember()
    } catch (error) {
      refused = { error }
      throw error
    }
  }

  function load(sizes: Record<string, number>) {
    const bytes = allocate(model.length)
    module.HEAPU8.set(model, bytes)
    for (const path in external) module.mountExternalData(path, external[path])
    const options = made(
      module._OrtCreateSessionOptions(OPTIMIZE_ALL, true, true, 0, false, 0, textAt(''), LOG_ERRORS, 0, 0)
    )
    for (const name in sizes) check(module._OrtAddFreeDimensionOverride(options, textAt(name), sizes[name]))
    session = made(module._OrtCreateSession(bytes, model.length, options))
    module.unmountExternalData()
    module._free(bytes)
    const at = module.stackAlloc(8)
    check(module._OrtGetInputOutputCount(session, at, at + 4))
    const [inputs, outputs] = [integer(at), integer(at + 4)]
    const nameOf = (index: number): [string, number] => {
      check(module._OrtGetInputOutputMetadata(session, index, at, at + 4))
      return [module.UTF8ToString(pointer(at)), pointer(at)]
    }
    names = { inputs: new Map(), outputs: [] }
    for (let i = 0; i < inputs; i++) names.inputs.set(...nameOf(i))
    for (let i = 0; i < outputs; i++) names.outputs.push(nameOf(inputs + i))
  }

  function toRuntime(name: string, { type, dims, data }: Tensor): number {
    const code = Object.keys(TYPES).find(each => TYPES[each as never] === type)
    if (code === undefined) throw new Raised('ModelError', `the input ${name} is of type ${type}`)
    let at: number
    let size: number
    if (!ArrayBuffer.isView(data)) {
      size = 4 * data.length
      at = allocate(size)
      data.forEach((text, i) => {
        module.setValue(at + 4 * i, textAt(text), '*')
      })
    } else {
      const view = type === 'float16' ? new Float16Array(data as Float32Array) : data
      size = view.byteLength
      at = allocate(size)
      module.HEAPU8.set(new Uint8Array(view.buffer, view.byteOffset, size), at)
    }
    const shape = module.stackAlloc(4 * dims.length)
    dims.forEach((dim, i) => {
      module.setValue(shape + 4 * i, dim, 'i32')
    })
    return made(module._OrtCreateTensor(Number(code), at, size, shape, dims.length, 1))
  }

  function fromRuntime(name: string, handle: number): Tensor {
    const at = module.stackAlloc(16)
    check(module._OrtGetTensorData(handle, at, at + 4, at + 8, at + 12))
    const type = TYPES[integer(at)]
    if (type === undefined)
      throw new Raised(
        'ModelError',
        `the output ${name} has elements of type ${integer(at)}; cast it within the model`
      )
    const from = pointer(at + 4)
    const dims = Array.from({ length: integer(at + 12) }, (_, i) => integer(pointer(at + 8) + 4 * i))
    const count = dims.reduce((product, dim) => product * dim, 1)
    if (type === 'string') {
      const data = Array.from({ length: count }, (_, i): string => {
        const start = pointer(from + 4 * i)
        return module.UTF8ToString(start, i + 1 < count ? pointer(from + 4 * i + 4) - start : undefined)
      })
      return { type, dims, data }
    }
    const Elements = ARRAYS[type] as unknown as Uint8ArrayConstructor
    const size = count * Elements.BYTES_PER_ELEMENT
    const bytes = new Uint8Array(size)
    bytes.set(new Uint8Array(memory.buffer, from, size))
    const data = new Elements(bytes.buffer)
    return { type, dims, data: type === 'float16' ? new Float32Array(new Float16Array(data.buffer)) : data }
  }

  function infer(feeds: Record<string, Tensor>): Record<string, Tensor> {
    reset()
    const given = Object.keys(feeds)
    const list = (values: number[]) => {
      const at = module.stackAlloc(4 * values.length)
      for (const [i, value] of values.entries()) module.setValue(at + 4 * i, value, '*')
      return at
    }
    const labels = given.map(name => {
      const label = names.inputs.get(name)
      if (label === undefined) throw new Raised('ModelError', `${name} is not an input of the model`)
      return label
    })
    const { outputs } = names
    const results = list(outputs.map(() => 0))
    check(
      module._OrtRun(
        session,
        list(labels),
        list(given.map(name => toRuntime(name, feeds[name]!))),
        given.length,
        list(outputs.map(([, label]) => label)),
        outputs.length,
        results,
        made(module._OrtCreateRunOptions(LOG_ERRORS, 0, false, textAt('')))
      )
    )
    return Object.fromEntries(outputs.map(([name], i) => [name, fromRuntime(name, pointer(results + 4 * i))]))
  }

  function join(batches: Record<string, Tensor>[]): Record<string, Tensor> {
    const [first] = batches
    if (batches.length === 1) return first!
    const joined: Record<string, Tensor> = {}
    for (const name in first) {
      const parts = batches.map(batch => batch[name]!)
      const { type, dims } = parts[0]!
      const rows = parts.reduce((sum, part) => sum + part.dims[0]!, 0)
      if (parts.some(part => `${part.dims.slice(1)}` !== `${dims.slice(1)}` || dims.length === 0))
        throw new Raised('ModelError', `the output ${name} has another shape in each batch`)
      const elements = parts.map(({ data }) => data)
      if (type === 'string') {
        joined[name] = { type, dims: [rows, ...dims.slice(1)], data: elements.flat() as string[] }
        continue
      }
      const views = elements as Uint8Array[]
      const data = new (views[0]!.constructor as Uint8ArrayConstructor)(
        views.reduce((sum, { length }) => sum + length, 0)
      )
      let at = 0
      for (const view of views) {
        data.set(view, at)
        at += view.length
      }
      joined[name] = { type, dims: [rows, ...dims.slice(1)], data }
    }
    return joined
  }

  /** What the model is to blame for: what onnxruntime throws, where its stack ends, where it traps. All of it is undone by a reset. */
  function blamed(error: unknown): unknown {
    if (error instanceof Raised) return error
    const { name, message } = Object(error) as Error
    if (error instanceof RangeError)
      return /call stack/.test(message)
        ? new Raised('ModelError', 'it is nested deeper than the stack of the sandbox')
        : new Raised('MemoryError', message)
    // Emscripten throws numbers for what C++ does not catch
    if (typeof error === 'number') return new Raised('ModelError', 'onnxruntime gave up on it')
    return error instanceof webAssembly.RuntimeError ? new Raised('ModelError', `${name}: ${message}`) : error
  }

  return {
    boot(wasm: SharedArrayBuffer, createModule: (settings: object) => Promise<Module>) {
      install()
      const settings = {
        numThreads: 1,
        instantiateWasm(imports: { a: { a: WebAssembly.Memory } }, done: (...parts: unknown[]) => void) {
          memory = imports.a.a
          const compiled = new webAssembly.Module(new Uint8Array(wasm).slice())
          done(new webAssembly.Instance(compiled, imports as never), compiled)
        }
      }
      createModule(settings).then(
        it => {
          module = it
        },
        error => {
          failure = { error }
        }
      )
    },
    ready() {
      if (failure !== undefined) throw failure.error
      if (module === undefined) throw new Error('onnxruntime did not start')
      check(module._OrtInit(1, LOG_ERRORS))
    },
    load(source, context, { memoryMb }) {
      model = source
      if (context !== undefined) external = codec.decode(context, 0, context.length) as typeof external
      limit(memoryMb)
      return undefined
    },
    run(input, maxBytes) {
      const { batches, joined, sizes } = codec.decode(input, 0, input.length) as Input
      let results: unknown
      try {
        open(sizes)
        const each = batches.map(infer)
        results = joined ? join(each) : each
      } catch (error) {
        throw blamed(error)
      }
      try {
        return codec.encode(results, maxBytes)
      } catch (error) {
        throw error instanceof TypeError ? new Raised(error.name, error.message, true) : error
      }
    },
    said() {
      const text = printed
      printed = ''
      return text
    }
  }
}
