import type { Realm } from './realm.ts'

/**
 * Runs WebAssembly programs inside the isolate (self-contained, by its source text):
 * - a module without imports, whose export is called with the input (an array is the list of arguments)
 * - a WASI preview 1 command: input bytes (or a string, or `{ args, stdin }`) → bytes written to stdout.
 *   No file system, no environment, a frozen clock, seeded random numbers. A new instance per input.
 *
 * Interface: github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md.
 */
export function makeWasm({ wasm, random }: Pick<Realm, 'wasm' | 'random'>) {
  const { Module, Instance } = wasm
  const importsOf = Module.imports
  const exportsOf = Module.exports
  const memoryBuffer = Function.prototype.call.bind(
    Object.getOwnPropertyDescriptor(wasm.Memory.prototype, 'buffer')!.get!
  ) as unknown as (memory: WebAssembly.Memory) => ArrayBuffer
  const { isArray } = Array
  const { apply } = Reflect

  const SUCCESS = 0
  const BADF = 8
  const INVAL = 28
  const NOSYS = 52
  const SPIPE = 70
  const CHARACTER_DEVICE = 2
  const NOW_NS = 946684800000000000n // as realm.ts
  const STDERR_BYTES = 4096

  function compile(bytes: Uint8Array) {
    return new Module(bytes as Uint8Array<ArrayBuffer>)
  }

  /** What is wrong with a module of that kind, or undefined. */
  function problem(kind: string, bytes: Uint8Array, name: string): string | undefined {
    let module: WebAssembly.Module
    try {
      module = compile(bytes)
    } catch (error) {
      return (error as Error).message
    }
    const imports = importsOf(module)
    for (let i = 0; i < imports.length; i++) {
      const { module: from, name: what } = imports[i]!
      if (kind === 'wasm' || from !== 'wasi_snapshot_preview1')
        return `it imports ${from}.${what}, which does not exist here`
    }
    const exports = exportsOf(module)
    for (let i = 0; i < exports.length; i++) {
      if (exports[i]!.name === name && exports[i]!.kind === 'function') return undefined
    }
    return `it exports no function ${name}`
  }

  /** True if it has no table, memory, global or start: sections 4, 5, 6 and 8 of its binary form. */
  function keepsNothing(bytes: Uint8Array) {
    for (let at = 8; at < bytes.length; ) {
      const id = bytes[at++]!
      if (id === 4 || id === 5 || id === 6 || id === 8) return false
      let size = 0
      for (let shift = 1; ; shift *= 128) {
        const byte = bytes[at++]!
        size += (byte & 127) * shift
        if (byte < 128) break
      }
      at += size
    }
    return true
  }

  function callable(bytes: Uint8Array, name: string) {
    const module = compile(bytes)
    const start = () => new Instance(module, {}).exports[name] as () => unknown
    const kept = keepsNothing(bytes) ? start() : undefined
    // else a new instance each time, so that memory, globals and tables keep nothing from one input to the next
    return (input: unknown) => apply(kept ?? start(), undefined, isArray(input) ? input : [input])
  }

  function utf8(text: string) {
    const bytes: number[] = []
    const encoded = unescape(encodeURIComponent(text))
    for (let i = 0; i < encoded.length; i++) bytes[i] = encoded.charCodeAt(i)
    return new Uint8Array(bytes)
  }

  function command(bytes: Uint8Array, maxBytes: number) {
    const module = compile(bytes)
    const imports = importsOf(module)
    return (input: unknown) => {
      const given = input as { stdin?: unknown; args?: string[] } | null | undefined
      const plain = typeof input === 'object' && input !== null && !(input instanceof Uint8Array)
      const raw = plain ? given!.stdin : input
      const stdin = raw instanceof Uint8Array ? raw : utf8(raw === undefined || raw === null ? '' : `${raw}`)
      const args = ['program.wasm', ...((plain && given!.args) || [])].map(arg => utf8(`${arg}\0`))
      return run(module, imports, stdin, args, maxBytes)
    }
  }

  function run(
    module: WebAssembly.Module,
    imports: WebAssembly.ModuleImportDescriptor[],
    stdin: Uint8Array,
    args: Uint8Array[],
    maxBytes: number
  ): Uint8Array {
    const EXIT = {} // thrown through the program's frames by proc_exit
    let exitCode = 0
    let read = 0
    const output = new Bytes(maxBytes)
    const errors = new Bytes(STDERR_BYTES, true)
    let memory: WebAssembly.Memory
    const data = () => new DataView(memoryBuffer(memory))
    const bytesAt = (at: number, size: number) => new Uint8Array(memoryBuffer(memory), at >>> 0, size >>> 0)
    const set32 = (at: number, value: number) => data().setUint32(at >>> 0, value, true)
    const set64 = (at: number, value: bigint) => data().setBigUint64(at >>> 0, value, true)

    /** the buffers of an iovec list, one after the other */
    function gather(list: number, count: number, each: (part: Uint8Array) => number, result: number) {
      let total = 0
      for (let i = 0; i < count >>> 0; i++) {
        const view = data()
        const at = (list >>> 0) + 8 * i
        const part = bytesAt(view.getUint32(at, true), view.getUint32(at + 4, true))
        const n = each(part)
        total += n
        if (n < part.length) break
      }
      set32(result, total)
      return SUCCESS
    }

    function vector(items: Uint8Array[], pointers: number, buffer: number) {
      let at = buffer >>> 0
      for (let i = 0; i < items.length; i++) {
        set32((pointers >>> 0) + 4 * i, at)
        bytesAt(at, items[i]!.length).set(items[i]!)
        at += items[i]!.length
      }
      return SUCCESS
    }

    function sizes(items: Uint8Array[], count: number, size: number) {
      set32(count, items.length)
      set32(
        size,
        items.reduce((sum, item) => sum + item.length, 0)
      )
      return SUCCESS
    }

    const system: Record<string, (...args: never[]) => number> = {
      args_get: (pointers: number, buffer: number) => vector(args, pointers, buffer),
      args_sizes_get: (count: number, size: number) => sizes(args, count, size),
      environ_get: () => SUCCESS,
      environ_sizes_get: (count: number, size: number) => sizes([], count, size),
      clock_res_get(_id: number, result: number) {
        set64(result, 1000000n)
        return SUCCESS
      },
      clock_time_get(_id: number, _precision: bigint, result: number) {
        set64(result, NOW_NS)
        return SUCCESS
      },
      fd_read(fd: number, list: number, count: number, result: number) {
        if (fd !== 0) return BADF
        return gather(
          list,
          count,
          part => {
            const n = Math.min(part.length, stdin.length - read)
            part.set(stdin.subarray(read, read + n))
            read += n
            return n
          },
          result
        )
      },
      fd_write(fd: number, list: number, count: number, result: number) {
        if (fd !== 1 && fd !== 2) return BADF
        const sink = fd === 1 ? output : errors
        return gather(
          list,
          count,
          part => {
            sink.push(part)
            return part.length
          },
          result
        )
      },
      fd_fdstat_get(fd: number, result: number) {
        if (fd < 0 || fd > 2) return BADF
        bytesAt(result, 24).fill(0)
        data().setUint8(result >>> 0, CHARACTER_DEVICE)
        set64(result + 8, fd === 0 ? 2n : 64n) // right to read, right to write
        return SUCCESS
      },
      fd_filestat_get(fd: number, result: number) {
        if (fd < 0 || fd > 2) return BADF
        bytesAt(result, 64).fill(0)
        data().setUint8((result >>> 0) + 16, CHARACTER_DEVICE)
        return SUCCESS
      },
      fd_seek: (fd: number) => (fd < 0 || fd > 2 ? BADF : SPIPE),
      fd_tell: (fd: number) => (fd < 0 || fd > 2 ? BADF : SPIPE),
      fd_close: (fd: number) => (fd < 0 || fd > 2 ? BADF : SUCCESS),
      fd_fdstat_set_flags: () => SUCCESS,
      fd_prestat_get: () => BADF,
      fd_prestat_dir_name: () => BADF,
      sched_yield: () => SUCCESS,
      random_get(at: number, size: number) {
        const target = bytesAt(at, size)
        for (let i = 0; i < target.length; i++) target[i] = random() * 256
        return SUCCESS
      },
      proc_raise: () => INVAL,
      proc_exit(code: number) {
        exitCode = code
        throw EXIT
      }
    }
    const provided: Record<string, unknown> = {}
    for (let i = 0; i < imports.length; i++) {
      const name = imports[i]!.name
      provided[name] = system[name] ?? (() => NOSYS)
    }
    const instance = new Instance(module, { wasi_snapshot_preview1: provided as never })
    memory = instance.exports.memory as WebAssembly.Memory
    try {
      ;(instance.exports._start as () => void)()
    } catch (error) {
      if (error !== EXIT) {
        // what it said before a trap is why
        const said = errors.text()
        if (said !== '') (error as Error).message += `: ${said}`
        throw error
      }
    }
    if (exitCode !== 0) throw new Error(`exit code ${exitCode}: ${errors.text()}`)
    return output.bytes()
  }

  /** Grows up to a limit; what is beyond it ends the program, or is dropped where it `isCut`. */
  class Bytes {
    #data = new Uint8Array(1024)
    #size = 0
    #limit: number
    #isCut: boolean
    constructor(limit: number, isCut = false) {
      this.#limit = limit
      this.#isCut = isCut
    }
    push(part: Uint8Array) {
      if (this.#size + part.length > this.#limit) {
        if (!this.#isCut) throw new RangeError(`more than ${this.#limit} bytes of output`)
        part = part.subarray(0, this.#limit - this.#size)
      }
      if (this.#size + part.length > this.#data.length) {
        const larger = new Uint8Array(Math.max(2 * this.#data.length, this.#size + part.length))
        larger.set(this.#data)
        this.#data = larger
      }
      this.#data.set(part, this.#size)
      this.#size += part.length
    }
    bytes() {
      return this.#data.slice(0, this.#size)
    }
    /** As UTF-8; a byte that is none of a character is U+FFFD. */
    text() {
      let text = ''
      for (let at = 0; at < this.#size; ) {
        const first = this.#data[at]!
        const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
        let percent = ''
        for (let i = at; i < at + length && i < this.#size; i++)
          percent += `%${(this.#data[i]! + 256).toString(16).slice(1)}`
        try {
          text += decodeURIComponent(percent)
          at += length
        } catch {
          text += '\ufffd'
          at++
        }
      }
      return text
    }
  }

  return { problem, callable, command }
}
