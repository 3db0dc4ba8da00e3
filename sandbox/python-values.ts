import type { pythonShell } from './python-shell.ts'

// biome-ignore lint/suspicious/noExplicitAny: Emscripten's Module, which has no types
export type Module = any

/**
 * Python objects made of values and read as such (self-contained, by its source text), through the C API: numbers,
 * strings, lists, dicts with strings as keys, bytes and array.array. A float without fraction is read as the whole
 * number that it is. `prelude`: python-prelude.ts, which is run first.
 */
export function pythonValues(
  module: Module,
  { fromUtf8, toUtf8, utf16 }: Pick<ReturnType<typeof pythonShell>, 'fromUtf8' | 'toUtf8' | 'utf16'>,
  prelude: string
) {
  type Pointer = number
  const FILE_INPUT = 257 // Py_file_input
  const MAX_DEPTH = 256 // as the codec's
  const MAX_SAFE = 9007199254740991

  const HELPERS = ['load', 'define', 'call', 'describe', 'plain', 'numbers', 'key', 'big', 'unbig', 'units']
  const helpers: Record<string, Pointer> = {}
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
      throw new Raised(
        isMemory ? 'MemoryError' : 'Error',
        isMemory ? '' : 'an error that cannot be described',
        ''
      )
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
      return utf16.decode(bytesOf(call('units', object)))
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
    return new (globalThis as unknown as Record<string, Float64ArrayConstructor>)[kind]!(
      raw.buffer as ArrayBuffer
    )
  }

  /** Runs the prelude and finds what it defines. */
  function begin() {
    const globals = module._PyDict_New()
    const named = (dict: Pointer, key: string): Pointer =>
      withText(key, at => module._PyDict_GetItemString(dict, at))
    if (withText(prelude, at => module._PyRun_String(at, FILE_INPUT, globals, globals)) === 0) {
      module._PyErr_Print()
      throw new Error('the prelude of Python failed')
    }
    const found = named(globals, 'helpers')
    for (const name of HELPERS) helpers[name] = named(found, name)
    types = textOf(named(found, 'types')).split(' ').map(Number)
  }
  begin()

  return {
    Raised,
    bytes: pythonBytes,
    toPython,
    fromPython: (object: Pointer) => fromPython(object, 0),
    /** Calls one of the helpers. Throws what Python raised, as a Raised. */
    call: callAll
  }
}
