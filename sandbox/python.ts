import type { pythonShell } from './python-shell.ts'
import type { Module, pythonValues } from './python-values.ts'
import type { Realm } from './realm.ts'
import type { Runtime } from './runtime.ts'
import type { valueCodec } from './value.ts'

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
  makeShell: typeof pythonShell,
  makeValues: typeof pythonValues,
  prelude: string,
  { wasm: webAssembly, reseed, random }: Pick<Realm, 'wasm' | 'reseed' | 'random'>
): Runtime {
  const codec = makeCodec()
  const shell = makeShell()
  const MIB = 1 << 20
  const SAID_CHARS = 4096
  const HEAD_BYTES = 9
  const LEFT_MB = 64 // of the limit, for what the engine takes beside linear memory

  let interpreter: Module
  let failure: { error: unknown } | undefined
  let seed = ''
  let module: Module
  let values: ReturnType<typeof pythonValues>
  let printed = ''
  let printedChars = 0

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
          if (!isOpen(name === 'setattr' || name === 'write' ? node.parent : node))
            throw new FS.ErrnoError(69) // EROFS
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
  let stack: number
  let streams: Module[]
  let inode: number

  function remember() {
    const now = new Uint8Array(shell.memory().buffer)
    if (pristine?.length === now.length) pristine.set(now)
    else pristine = now.slice()
    stack = module._emscripten_stack_get_current()
    streams = module.FS.streams.slice()
    inode = module.FS.nextInode
  }

  function reset() {
    const { FS } = module
    const now: Uint8Array = new Uint8Array(shell.memory().buffer)
    now.set(pristine)
    if (now.length > pristine.length) now.fill(0, pristine.length)
    module.__emscripten_stack_restore(stack)
    FS.chdir(HOME)
    for (const folder of FOLDERS) emptyFolder(folder)
    FS.streams.length = 0
    for (const [fd, each] of streams.entries()) {
      if (each) each.fd = fd // one that was closed has none
      FS.streams.push(each)
    }
    FS.nextInode = inode
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
    const size = shell.toUtf8(`${seed} ${place}`, bytes, 0)
    reseed(() => bytes.subarray(0, size))
  }

  /** Where V8's own stack ends before Python's does, nothing is broken that a reset does not mend. */
  function call(helper: string, ...args: number[]): number {
    try {
      return values.call(helper, ...args)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      const [name, message] = /call stack/.test(error.message)
        ? ['RecursionError', 'the stack of the sandbox is full']
        : ['MemoryError', error.message]
      throw new values.Raised(name!, message!, '')
    }
  }

  function define() {
    defined = true
    chance('module')
    try {
      call('define')
    } catch (error) {
      if (!(error instanceof values.Raised)) throw error
      broken = { error }
    }
    remember()
  }

  function one(place: number, item: unknown, maxBytes: number): Uint8Array {
    reset()
    chance(`item ${place}`)
    const result = call('call', values.toPython(item))
    try {
      return codec.encode(values.fromPython(result), maxBytes)
    } catch (error) {
      if (error instanceof TypeError || error instanceof values.Raised)
        throw invalid((error as Error).message)
      throw error
    }
  }

  const invalid = (message: string) =>
    Object.assign(new values.Raised('TypeError', message, ''), { isInvalid: true })

  return {
    /** The scripts are functions; `about`: `info` of Pyodide's lock file, as JSON. */
    boot(
      wasm: SharedArrayBuffer,
      library: SharedArrayBuffer,
      snapshot: SharedArrayBuffer | undefined,
      createModule: unknown,
      makeLoader: () => (config: object) => Promise<unknown>,
      about: string
    ) {
      shell.install({ webAssembly, random, wasm, library })
      chance('start')
      const booting = makeLoader()({
        createPyodideModule: createModule,
        indexURL: '/',
        lockFileContents: { info: JSON.parse(about), packages: {} },
        env: { PYTHONHASHSEED: '0', HOME },
        jsglobals: Object.freeze(Object.create(null)),
        checkAPIVersion: false,
        _makeSnapshot: snapshot === undefined,
        _loadSnapshot: snapshot && new Uint8Array(snapshot).slice()
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
          const text = shell.fromUtf8(bytes, 0, bytes.length).slice(0, SAID_CHARS - printedChars)
          printedChars += text.length
          printed += text
        }
        return bytes.length
      }
      interpreter.setStdout({ write })
      interpreter.setStderr({ write })
      values = makeValues(module, shell, prelude)
    },
    load(source, context, { memoryMb, seed: given }) {
      seed = given
      const brought = (context && codec.decode(context, 0, context.length)) as
        | { context?: object; packages?: Uint8Array[] }
        | undefined
      const memory = shell.memory()
      const most = memory.buffer.byteLength + Math.max(LEFT_MB, memoryMb - LEFT_MB) * MIB
      const grow = memory.grow.bind(memory)
      Object.defineProperty(memory, 'grow', {
        value: (pages: number) => {
          if (memory.buffer.byteLength + 65536 * pages > most) throw new RangeError('no more memory')
          return grow(pages)
        }
      })
      try {
        call(
          'load',
          values.bytes(source),
          values.toPython(brought?.context),
          values.toPython(brought?.packages)
        )
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
