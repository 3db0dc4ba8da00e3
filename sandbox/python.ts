import type { valueCodec } from './value.ts'

/** What the isolate runs Python with. */
export interface Python {
  /** Begins to start the interpreter; its promises settle when the call that began it is over. */
  boot(parts: PythonParts): void
  /** The interpreter's memory after a start without one, from which another starts in a fifth of the time. */
  snapshot(): Uint8Array
  /** Makes it ready for a program, after `boot` and `snapshot`. Throws what kept it from starting. */
  ready(): void
  /** What is wrong with the author's text, as `message [task:line:column]`, or undefined. */
  load(
    source: Uint8Array,
    context: Uint8Array | undefined,
    options: { memoryMb: number; seed: string }
  ): string | undefined
  /** Canonical bytes of a slice `{ first, items }` or `{ first, start, step, count }` → of the list of results. */
  run(input: Uint8Array, maxBytes: number): Uint8Array
  /** what the program has printed since it was last asked, at most 4,096 characters in all */
  said(): string
}

export interface PythonParts {
  /** Pyodide's own scripts, as functions */
  createModule: unknown
  makeLoader: () => (config: object) => Promise<unknown>
  wasm: SharedArrayBuffer
  library: SharedArrayBuffer
  snapshot?: SharedArrayBuffer
  /** `info` of Pyodide's lock file, as JSON */
  about: string
  prelude: string
}

/**
 * CPython as Pyodide builds it, inside the isolate (self-contained, by its source text). Its whole state is linear
 * memory, which is put back to what it was after the author's text had run, before each call of `main`: 31 MB in some
 * milliseconds. So no item sees another one, whatever a program writes, patches or breaks.
 *
 * Python objects are made and read through the C API; the modules that lead from Python to JavaScript are taken away
 * (python-prelude.ts).
 */
export function makePython(
  makeCodec: typeof valueCodec,
  webAssembly: typeof WebAssembly,
  reseed: (bytes: () => Uint8Array) => void,
  random: () => number
): Python {
  const codec = makeCodec()
  const scope = globalThis as unknown as Record<string, unknown>
  const MIB = 1 << 20
  const FILE_INPUT = 257 // Py_file_input
  const MAX_DEPTH = 256 // as the codec's
  const SAID_CHARS = 4096
  const MAX_SAFE = 9007199254740991
  const HEAD_BYTES = 9

  // biome-ignore lint/suspicious/noExplicitAny: Emscripten's Module, which has no types
  type Module = any
  type Pointer = number

  let interpreter: Module
  let failure: { error: unknown } | undefined
  let prelude: string
  let seed = ''
  let module: Module
  let memory: WebAssembly.Memory
  let printed = ''
  let printedChars = 0

  // ---- what Emscripten takes to be a shell, and what V8 alone does not have ----

  class Utf8Decoder {
    #label: string
    constructor(label = 'utf-8') {
      this.#label = label
    }
    decode(data?: ArrayBuffer | ArrayBufferView) {
      if (data === undefined) return ''
      const bytes = ArrayBuffer.isView(data)
        ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
        : new Uint8Array(data)
      let text = ''
      if (this.#label === 'utf-16le') {
        for (let i = 0; i + 1 < bytes.length; i += 2)
          text += String.fromCharCode(bytes[i]! | (bytes[i + 1]! << 8))
      } else if (this.#label === 'latin1') {
        for (let i = 0; i < bytes.length; i++) text += String.fromCharCode(bytes[i]!)
      } else return fromUtf8(bytes, 0, bytes.length)
      return text
    }
  }

  class Utf8Encoder {
    encode(text: string) {
      const bytes = new Uint8Array(3 * text.length)
      return bytes.slice(0, toUtf8(text, bytes, 0))
    }
    encodeInto(text: string, target: Uint8Array) {
      return { read: text.length, written: toUtf8(text, target, 0) }
    }
  }

  function fromUtf8(bytes: Uint8Array, from: number, to: number) {
    const parts: string[] = []
    let codes: number[] = []
    for (let i = from; i < to; ) {
      let c = bytes[i++]!
      if (c >= 0x80) {
        const more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1
        c &= 0x3f >> more
        for (let k = 0; k < more; k++) c = (c << 6) | (bytes[i++]! & 63)
        if (c >= 0x10000) {
          codes.push(0xd800 + ((c - 0x10000) >> 10))
          c = 0xdc00 + ((c - 0x10000) & 0x3ff)
        }
      }
      codes.push(c)
      if (codes.length > 4000) {
        parts.push(String.fromCharCode(...codes))
        codes = []
      }
    }
    parts.push(String.fromCharCode(...codes))
    return parts.join('')
  }

  /** Half of a pair that stands alone is written as what it is. Answers the place behind it. */
  function toUtf8(text: string, to: Uint8Array, at: number) {
    for (let i = 0; i < text.length; i++) {
      let c = text.charCodeAt(i)
      if (c < 0x80) {
        to[at++] = c
        continue
      }
      if (c < 0x800) {
        to[at++] = 0xc0 | (c >> 6)
      } else {
        const next = c >= 0xd800 && c < 0xdc00 ? text.charCodeAt(i + 1) : 0
        if (next >= 0xdc00 && next <= 0xdfff) {
          i++
          c = 0x10000 + ((c - 0xd800) << 10) + (next - 0xdc00)
          to[at++] = 0xf0 | (c >> 18)
          to[at++] = 0x80 | ((c >> 12) & 63)
        } else {
          to[at++] = 0xe0 | (c >> 12)
        }
        to[at++] = 0x80 | ((c >> 6) & 63)
      }
      to[at++] = 0x80 | (c & 63)
    }
    return at
  }

  const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
  function base64(bytes: number[]) {
    let text = ''
    for (let i = 0; i < bytes.length; i += 3) {
      const three = (bytes[i]! << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0)
      text += DIGITS[three >> 18]! + DIGITS[(three >> 12) & 63]!
      text += (i + 1 < bytes.length ? DIGITS[(three >> 6) & 63]! : '=') + (i + 2 < bytes.length ? DIGITS[three & 63]! : '=')
    }
    return text
  }

  function shell(wasm: SharedArrayBuffer, library: SharedArrayBuffer) {
    const silent = () => {}
    const copy = (from: SharedArrayBuffer) => new Uint8Array(from).slice().buffer
    const { Module: Compiled, Instance } = webAssembly
    const instantiate = async (code: BufferSource | WebAssembly.Module, imports: WebAssembly.Imports) => {
      const compiled = code instanceof Compiled ? code : new Compiled(code)
      const instance = new Instance(compiled, imports)
      memory = (instance.exports.memory as WebAssembly.Memory) ?? memory
      return code instanceof Compiled ? instance : { module: compiled, instance }
    }
    const compile = async (code: BufferSource) => new Compiled(code)
    // inside an isolate the asynchronous ones never settle
    Object.assign(scope, {
      WebAssembly: new Proxy(webAssembly, {
        get: (of, name) =>
          name === 'instantiate' ? instantiate : name === 'compile' ? compile : Reflect.get(of, name)
      }),
      console: { log: silent, warn: silent, error: silent, info: silent, debug: silent },
      TextDecoder: Utf8Decoder,
      TextEncoder: Utf8Encoder,
      FinalizationRegistry: class {
        register() {}
        unregister() {}
      },
      performance: { now: () => 0 },
      setTimeout: silent,
      clearTimeout: silent,
      read: silent,
      load: silent,
      print: silent,
      readbuffer: (name: string) => copy(name.endsWith('.zip') ? library : wasm),
      // the only thing it is asked for is `head -cN /dev/urandom`
      os: {
        system(_: string, [, command]: string[]) {
          const bytes: number[] = []
          for (let n = Number(/-c(\d+)/.exec(command!)![1]); n > 0; n--) bytes.push((random() * 256) | 0)
          return base64(bytes)
        }
      }
    })
  }

  // ---- files: all but two folders can only be read, and these are emptied ----

  const HOME = '/home/pyodide'
  const FOLDERS = ['/tmp', HOME]

  function guardFiles() {
    const { FS } = module
    const { dir, file, link } = FS.filesystems.MEMFS.ops_table
    const roots = FOLDERS.map(path => FS.lookupPath(path).node)
    const isOpen = (node: Module) => {
      while (node !== node.parent && !roots.includes(node)) node = node.parent
      return roots.includes(node)
    }
    const guard = (table: Module, name: string, ...places: number[]) => {
      const before = table[name]
      table[name] = (...args: Module[]) => {
        for (const place of places) {
          const node = args[place].node ?? args[place]
          if (!isOpen(name === 'setattr' || name === 'write' ? node.parent : node)) throw new FS.ErrnoError(69) // EROFS
        }
        return before(...args)
      }
    }
    for (const name of ['mknod', 'unlink', 'rmdir', 'symlink']) guard(dir.node, name, 0)
    guard(dir.node, 'rename', 1)
    for (const kind of [dir, file, link]) if (kind?.node) guard(kind.node, 'setattr', 0)
    guard(file.stream, 'write', 0)
  }

  function emptyFolder(path: string) {
    const { FS } = module
    for (const name of FS.readdir(path)) {
      const inside = `${path}/${name}`
      if (name === '.' || name === '..' || inside === PACKAGES) continue
      const { mode } = FS.lstat(inside)
      if (!FS.isDir(mode)) FS.unlink(inside)
      else {
        emptyFolder(inside)
        FS.rmdir(inside)
      }
    }
  }
  const PACKAGES = `${HOME}/packages`

  // ---- memory ----

  let pristine: Uint8Array
  let stack: Pointer
  let streams: Module[]
  let inode: number

  function remember() {
    const now = new Uint8Array(memory.buffer)
    if (pristine?.length === now.length) pristine.set(now)
    else pristine = now.slice()
    stack = module._emscripten_stack_get_current()
    streams = module.FS.streams.slice()
    inode = module.FS.nextInode
  }

  function reset() {
    const { FS } = module
    const now: Uint8Array = new Uint8Array(memory.buffer)
    now.set(pristine)
    if (now.length > pristine.length) now.fill(0, pristine.length)
    module.__emscripten_stack_restore(stack)
    FS.chdir(HOME)
    for (const folder of FOLDERS) emptyFolder(folder)
    FS.streams.length = 0
    for (const each of streams) FS.streams.push(each)
    FS.nextInode = inode
  }

  // ---- Python objects, through the C API ----

  const HELPERS = ['load', 'define', 'call', 'describe', 'plain', 'numbers', 'key', 'big', 'unbig', 'units']
  let helpers: Record<string, Pointer>
  let types: Pointer[]

  const typeOf = (object: Pointer): Pointer => module.HEAPU32[(object >>> 2) + 1]

  /** What Python raised. Anything else that is thrown leaves an interpreter that is broken. */
  class Raised extends Error {
    isRaised = true
    constructor(name: string, message: string, stack: string) {
      super(message)
      this.name = name
      this.stack = stack
    }
  }

  function checked(object: Pointer): Pointer {
    if (object !== 0) return object
    const error = module._PyErr_GetRaisedException()
    const told = module._PyObject_CallOneArg(helpers.describe, error)
    if (told === 0) {
      module._PyErr_Clear()
      const isMemory = typeOf(error) === types[10]
      throw new Raised(isMemory ? 'MemoryError' : 'Error', isMemory ? '' : 'an error that cannot be described', '')
    }
    const [name, message, frames, place] = [0, 1, 2, 3].map(i => textOf(module._PyTuple_GetItem(told, i)))
    throw new Raised(name!, place === '' ? message! : `${message} [task:${place}]`, frames!)
  }

  const call = (helper: string, argument: Pointer): Pointer =>
    checked(module._PyObject_CallOneArg(helpers[helper], argument))

  function callAll(helper: string, ...args: Pointer[]): Pointer {
    const tuple = module._PyTuple_New(args.length)
    for (let i = 0; i < args.length; i++) module._PyTuple_SetItem(tuple, i, args[i])
    return checked(module._PyObject_CallObject(helpers[helper], tuple))
  }

  function withBytes<T>(size: number, use: (at: Pointer) => T): T {
    const at = module._malloc(size + 1)
    if (at === 0) throw new Raised('MemoryError', 'an input larger than the memory', '')
    const result = use(at)
    module._free(at)
    return result
  }

  const withText = <T>(text: string, use: (at: Pointer) => T): T =>
    withBytes(3 * text.length, at => {
      module.HEAPU8[toUtf8(text, module.HEAPU8, at)] = 0
      return use(at)
    })

  const pythonBytes = (bytes: Uint8Array): Pointer =>
    withBytes(bytes.length, at => {
      module.HEAPU8.set(bytes, at)
      return checked(module._PyBytes_FromStringAndSize(at, bytes.length))
    })

  const pythonText = (text: string): Pointer =>
    withBytes(3 * text.length, at => {
      const size = toUtf8(text, module.HEAPU8, at) - at
      return withText('surrogatepass', how => checked(module._PyUnicode_DecodeUTF8(at, size, how)))
    })

  const CODES: Record<string, string> = {
    Int8Array: 'b',
    Uint8ClampedArray: 'B',
    Int16Array: 'h',
    Uint16Array: 'H',
    Int32Array: 'i',
    Uint32Array: 'I',
    BigInt64Array: 'q',
    BigUint64Array: 'Q',
    Float32Array: 'f',
    Float64Array: 'd'
  }

  function toPython(value: unknown): Pointer {
    switch (typeof value) {
      case 'number':
        return checked(
          Number.isSafeInteger(value) && !Object.is(value, -0)
            ? module._PyLong_FromDouble(value)
            : module._PyFloat_FromDouble(value)
        )
      case 'string':
        return pythonText(value)
      case 'boolean':
        return module._PyBool_FromLong(value ? 1 : 0)
      case 'bigint':
        return call('unbig', pythonText(value.toString(16)))
    }
    if (value === null || value === undefined) {
      module._Py_IncRef(types[0])
      return types[0]!
    }
    if (Array.isArray(value)) {
      const list = checked(module._PyList_New(value.length))
      for (let i = 0; i < value.length; i++) module._PyList_SetItem(list, i, toPython(value[i]))
      return list
    }
    if (value instanceof Uint8Array && !(value instanceof Uint8ClampedArray)) return pythonBytes(value)
    if (ArrayBuffer.isView(value)) {
      const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
      return callAll('numbers', pythonText(CODES[value.constructor.name]!), pythonBytes(bytes))
    }
    const dict = checked(module._PyDict_New())
    for (const name of Object.keys(value as object)) {
      const key = pythonText(name)
      const item = toPython((value as Record<string, unknown>)[name])
      if (module._PyDict_SetItem(dict, key, item) !== 0) checked(0)
      module._Py_DecRef(key)
      module._Py_DecRef(item)
    }
    return dict
  }

  /** A str that is no valid UTF-8 has a half of a pair in it. */
  function textOf(object: Pointer): string {
    return withBytes(8, size => {
      const at = module._PyUnicode_AsUTF8AndSize(object, size)
      if (at !== 0) return fromUtf8(module.HEAPU8, at, at + module.HEAPU32[size >>> 2])
      module._PyErr_Clear()
      return new Utf8Decoder('utf-16le').decode(bytesOf(call('units', object)))
    })
  }

  function bytesOf(object: Pointer): Uint8Array {
    const at = module._PyBytes_AsString(object)
    return module.HEAPU8.slice(at, at + module._PyBytes_Size(object))
  }

  function fromPython(object: Pointer, depth: number): unknown {
    const [none, yes, no, int, float, str, list, tuple, dict, bytes] = types
    if (object === none) return null
    if (object === yes || object === no) return object === yes
    const type = typeOf(object)
    if (type === float) return module._PyFloat_AsDouble(object)
    if (type === str) return textOf(object)
    if (type === bytes) return bytesOf(object)
    if (type === int) {
      const number = module._PyLong_AsDouble(object)
      if (module._PyErr_Occurred() !== 0) module._PyErr_Clear()
      else if (number >= -MAX_SAFE && number <= MAX_SAFE) return number
      const hex = textOf(call('big', object))
      return hex[0] === '-' ? -BigInt(`0x${hex.slice(1)}`) : BigInt(`0x${hex}`)
    }
    if (depth === MAX_DEPTH) throw new TypeError(`the value is cyclic or deeper than ${MAX_DEPTH} levels`)
    if (type === list || type === tuple) {
      const at = type === list ? module._PyList_GetItem : module._PyTuple_GetItem
      const values = new Array(type === list ? module._PyList_Size(object) : module._PyTuple_Size(object))
      for (let i = 0; i < values.length; i++) values[i] = fromPython(at(object, i), depth + 1)
      return values
    }
    if (type === dict) {
      const value: Record<string, unknown> = {}
      withBytes(16, at => {
        module.HEAPU32[at >>> 2] = 0
        while (module._PyDict_Next(object, at, at + 4, at + 8) !== 0) {
          const key = module.HEAPU32[(at + 4) >>> 2]
          const item = fromPython(module.HEAPU32[(at + 8) >>> 2], depth + 1)
          if (typeOf(key) !== str) call('key', key)
          Object.defineProperty(value, textOf(key), {
            value: item,
            writable: true,
            enumerable: true,
            configurable: true
          })
        }
      })
      return value
    }
    const pair = call('plain', object)
    const kind = textOf(module._PyTuple_GetItem(pair, 0))
    const made = module._PyTuple_GetItem(pair, 1)
    if (kind === 'plain') return fromPython(made, depth)
    const raw = bytesOf(made)
    if (kind === 'Uint8Array') return raw
    return new (scope[kind] as Float64ArrayConstructor)(raw.buffer as ArrayBuffer)
  }

  function started(): Module {
    if (failure !== undefined) throw failure.error
    if (interpreter === undefined) throw new Error('the interpreter did not start')
    return interpreter
  }

  // ---- the program ----

  let loaded = false
  let defined = false
  let broken: { error: unknown } | undefined

  /** Chance of a place: the program's own text and seed, and which item it is. */
  function chance(place: string) {
    const bytes = new Uint8Array(3 * (seed.length + place.length) + 3)
    const size = toUtf8(`${seed} ${place}`, bytes, 0)
    reseed(() => bytes.subarray(0, size))
  }

  /** Where V8's own stack ends before Python's does, nothing is broken that a reset does not mend. */
  function guarded(run: () => Pointer): Pointer {
    try {
      return run()
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      throw new Raised('RecursionError', 'the stack of the sandbox is full', '')
    }
  }

  function define() {
    defined = true
    chance('module')
    try {
      guarded(() => checked(module._PyObject_CallNoArgs(helpers.define)))
    } catch (error) {
      if (!(error instanceof Raised)) throw error
      broken = { error }
    }
    remember()
  }

  function one(place: number, item: unknown, maxBytes: number): Uint8Array {
    reset()
    chance(`item ${place}`)
    const result = guarded(() => call('call', toPython(item)))
    try {
      return codec.encode(fromPython(result, 0), maxBytes)
    } catch (error) {
      if (error instanceof TypeError || error instanceof Raised) throw invalid((error as Error).message)
      throw error
    }
  }

  const invalid = (message: string) =>
    Object.assign(new Raised('TypeError', message, ''), { isInvalid: true })

  return {
    boot(parts) {
      prelude = parts.prelude
      shell(parts.wasm, parts.library)
      chance('start')
      const booting = parts.makeLoader()({
        createPyodideModule: parts.createModule,
        indexURL: '/',
        lockFileContents: { info: JSON.parse(parts.about), packages: {} },
        env: { PYTHONHASHSEED: '0', HOME },
        jsglobals: Object.freeze(Object.create(null)),
        checkAPIVersion: false,
        _makeSnapshot: parts.snapshot === undefined,
        _loadSnapshot: parts.snapshot && new Uint8Array(parts.snapshot).slice()
      })
      booting.then(
        it => {
          interpreter = it
          module = interpreter._module
        },
        error => {
          failure = { error }
        }
      )
    },
    snapshot: () => started().makeMemorySnapshot(),
    ready() {
      started()
      const write = (bytes: Uint8Array) => {
        if (printedChars < SAID_CHARS) {
          const text = fromUtf8(bytes, 0, bytes.length).slice(0, SAID_CHARS - printedChars)
          printedChars += text.length
          printed += text
        }
        return bytes.length
      }
      interpreter.setStdout({ write })
      interpreter.setStderr({ write })
      const globals = checked(module._PyDict_New())
      const named = (dict: Pointer, key: string): Pointer =>
        withText(key, at => module._PyDict_GetItemString(dict, at))
      if (withText(prelude, at => module._PyRun_String(at, FILE_INPUT, globals, globals)) === 0) {
        module._PyErr_Print()
        throw new Error(`the prelude failed: ${printed}`)
      }
      const found = named(globals, 'helpers')
      helpers = {}
      for (const name of HELPERS) helpers[name] = named(found, name)
      types = textOf(named(found, 'types')).split(' ').map(Number)
    },
    load(source, context, { memoryMb, seed: given }) {
      seed = given
      const brought = (context && codec.decode(context, 0, context.length)) as
        | { context?: object; packages?: Uint8Array[] }
        | undefined
      const most = memory.buffer.byteLength + memoryMb * MIB
      const grow = memory.grow.bind(memory)
      Object.defineProperty(memory, 'grow', {
        value: (pages: number) => {
          if (memory.buffer.byteLength + 65536 * pages > most) throw new RangeError('no more memory')
          return grow(pages)
        }
      })
      try {
        callAll('load', pythonBytes(source), toPython(brought?.context), toPython(brought?.packages))
      } catch (error) {
        const { name, message } = error as Error
        return `${name}: ${message}`
      }
      guardFiles()
      loaded = true
      return undefined
    },
    run(input, maxBytes) {
      if (!loaded) throw new Error('no program')
      if (!defined) define()
      if (broken !== undefined) throw broken.error
      const {
        first,
        items,
        start = 0,
        step = 1,
        count = 0
      } = codec.decode(input, 0, input.length) as {
        first: number
        items?: unknown[]
        start?: number
        step?: number
        count?: number
      }
      const results: Uint8Array[] = []
      const n = items?.length ?? count
      let size = HEAD_BYTES
      for (let i = 0; i < n; i++) {
        const place = first + i
        const result = one(place, items === undefined ? start + place * step : items[i], maxBytes)
        size += result.length
        if (size > maxBytes) throw invalid(`the results are larger than ${maxBytes} bytes`)
        results.push(result)
      }
      // the head of a list of n values, and the values
      const head = codec.encode(new Array(n).fill(0), 2 * n + HEAD_BYTES)
      const headBytes = head.length - n
      const list = new Uint8Array(size - HEAD_BYTES + headBytes)
      list.set(head.subarray(0, headBytes))
      let at = headBytes
      for (const result of results) {
        list.set(result, at)
        at += result.length
      }
      return list
    },
    said() {
      const text = printed
      printed = ''
      return text
    }
  }
}
