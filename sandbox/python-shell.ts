/** What Emscripten is given in place of a shell. */
export interface ShellParts {
  webAssembly: typeof WebAssembly
  /** from 0 to 1 */
  random: () => number
  wasm: SharedArrayBuffer
  library: SharedArrayBuffer
}

/**
 * Around an interpreter (self-contained, by its source text): what V8 alone does not have and Pyodide asks for. It takes
 * the isolate for the shell of an engine, which reads files and has neither timers nor network.
 */
export function pythonShell() {
  class Utf8Decoder {
    readonly encoding: string
    constructor(label = 'utf-8') {
      this.encoding = label
    }
    decode(data?: ArrayBuffer | ArrayBufferView) {
      if (data === undefined) return ''
      const bytes = ArrayBuffer.isView(data)
        ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
        : new Uint8Array(data)
      let text = ''
      if (this.encoding === 'utf-16le') {
        for (let i = 0; i + 1 < bytes.length; i += 2)
          text += String.fromCharCode(bytes[i]! | (bytes[i + 1]! << 8))
      } else if (this.encoding === 'latin1') {
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
      text +=
        (i + 1 < bytes.length ? DIGITS[(three >> 6) & 63]! : '=') +
        (i + 2 < bytes.length ? DIGITS[three & 63]! : '=')
    }
    return text
  }

  let memory: WebAssembly.Memory

  function install({ webAssembly, random, wasm, library }: ShellParts) {
    const scope = globalThis as unknown as Record<string, unknown>
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

  return { fromUtf8, toUtf8, utf16: new Utf8Decoder('utf-16le'), install, memory: () => memory }
}
