import type { libm } from './libm.ts'
import type { OPERATION } from './operation.ts'
import type { makeRealm as createRealm, Realm } from './realm.ts'
import type { Runtime } from './runtime.ts'
import type { Guard } from './stateless.ts'
import type { valueCodec } from './value.ts'
import type { makeWasm as createWasm } from './wasi.ts'

/** What evaluates to the author's function. `onItem` takes what sets the `globalThis` that the author's text sees. */
type Factory = (
  pow: Realm['pow'],
  powAssign: Realm['powAssign'],
  onItem: (set: (scope: object) => void) => void
) => unknown

/**
 * Runs inside the isolate as the first code of every context, by its source text (so it is self-contained), before
 * any code of the author's. Answers the function that the child calls; nothing here can be reached by the author.
 */
export function isolateMain(
  makeCodec: typeof valueCodec,
  makeRealm: typeof createRealm,
  makeMath: typeof libm,
  makeWasm: typeof createWasm,
  seed: string,
  operation: typeof OPERATION,
  makeRuntime?: (makeCodec: typeof valueCodec, realm: Realm) => Runtime
): (kind: number, ...args: never[]) => unknown {
  const codec = makeCodec()
  const realm = makeRealm(makeMath, seed)
  const runtime = makeRuntime?.(makeCodec, realm)
  const { apply } = Reflect
  const { create, freeze, getOwnPropertyNames, getPrototypeOf, defineProperty } = Object
  const { isArray } = Array
  const isView = ArrayBuffer.isView
  const Bytes = Uint8Array
  const Words = Uint32Array
  const View = DataView
  const ErrorType = Error
  const PromiseType = Promise
  const then = Function.prototype.call.bind(Promise.prototype.then) as (
    promise: Promise<unknown>,
    ok: (value: unknown) => void,
    bad: (error: unknown) => void
  ) => void
  const text = String
  const { stringify } = JSON
  const splitNames = (names: string) => apply(String.prototype.split as never, names, [',']) as string[]
  const slice = Function.prototype.call.bind(String.prototype.slice) as (
    s: string,
    a: number,
    b: number
  ) => string
  const setBytes = Function.prototype.call.bind(Uint8Array.prototype.set) as (
    to: Uint8Array,
    from: Uint8Array,
    at: number
  ) => void
  const setUint32 = Function.prototype.call.bind(DataView.prototype.setUint32) as (
    v: DataView,
    at: number,
    n: number,
    le: boolean
  ) => void

  const MESSAGE_CHARS = 4096
  const STACK_CHARS = 16384
  const HEAD_BYTES = 9 // status, length, and four more to put large arrays on 8 bytes (ALIGNED in value.ts)
  const FLUSH_BYTES = 1 << 20 // what is written leaves before it gets larger; the node bounds a frame by it
  const TEXT_BYTES = 16384 // inputs from here on are worth the way for their characters
  const STATUS = { ok: 0, threw: 1, invalid: 2 }

  let input: Uint8Array
  let inputBuffer: SharedArrayBuffer
  let lengths: Uint32Array
  let output: Uint8Array
  let outputView: DataView
  let outputBytes = 0
  let control: Uint32Array // done, bytes written, bytes wanted, first and end of the input wanted as characters
  let chars: readonly string[] | undefined

  const functions: Record<string, unknown> = { __proto__: null } as never
  let call: (input: unknown) => unknown
  let broken: { error: unknown } | undefined
  let maxBytes = 0
  let item = 0
  let last = 0
  let offset = 0
  let turn = 0 // tells a late or repeated settlement of an older promise from the one we wait for
  let pending = false
  let waiting: { status: number; bytes: Uint8Array } | undefined
  let guard: Guard = 'nothing'
  let resting: (() => void) | undefined // goes on when nothing of what was before has anything left to do
  let refused: { error: unknown } | undefined // what `copy` threw last

  // the author's text sees a `globalThis` of the item's own, through which it sees the real one and cannot change it
  const setters: ((scope: object) => void)[] = []
  let loaded = false
  const onItem = (set: (scope: object) => void) => {
    if (!loaded) setters[setters.length] = set
  }

  // the typed arrays of the context that the author's text may write to, and the bytes that they came with
  const written: { now: Uint8Array; before: Uint8Array }[] = []

  /** Before each item: what an earlier one left in globals and typed arrays is gone, and chance starts anew from where the item is. */
  function begin(position: number, level = 0, group = 0) {
    for (let i = 0; i < written.length; i++) setBytes(written[i]!.now, written[i]!.before, 0)
    for (let i = 0; i < setters.length; i++) setters[i]!(create(globalThis))
    realm.reseedAt(position, level, group)
  }

  function deepFreeze(value: unknown, found: (view: ArrayBufferView, name: string) => void, root?: string) {
    if (typeof value !== 'object' || value === null) return
    if (isView(value)) {
      found(value, root ?? '')
      return
    }
    freeze(value)
    const names = getOwnPropertyNames(value)
    for (let i = 0; i < names.length; i++) {
      const name = names[i]!
      if (isArray(value) && name === 'length') continue
      const child = (value as Record<string, unknown>)[name]
      // only what a name of the author's leads to at once is known by it
      deepFreeze(child, found, root === undefined && isView(child) ? name : '')
    }
  }

  /** Freezes the context. Of its typed arrays, which cannot be frozen, those that may be written to are put back before each item. */
  function keepContext(context: unknown, touched: string | undefined) {
    const views: ArrayBufferView[] = []
    const buffers: ArrayBufferLike[] = []
    const names = create(null) as Record<string, true>
    const list = touched === undefined ? [] : splitNames(touched)
    for (let i = 0; i < list.length; i++) names[list[i]!] = true
    deepFreeze(context, (view, name) => {
      if (guard === 'nothing' || guard === 'apart') return
      views[views.length] = view
      buffers[buffers.length] = view.buffer
      const now = new Bytes(view.buffer, view.byteOffset, view.byteLength)
      if (touched !== undefined && name !== '' && !names[name]) {
        // elements are all that the text takes of it; by a name that it makes, it gets a copy of the rest
        defineProperty(view, 'buffer', { get: () => copyOf(now).buffer })
        return
      }
      written[written.length] = { now, before: copyOf(now) }
    })
    if (views.length > 0) realm.seal(views, buffers)
  }

  /** What an accumulator is after it travelled: nothing of it is something else's as well. */
  function copy(value: unknown) {
    if (typeof value !== 'object' || value === null) return value
    try {
      return codec.copy(value, maxBytes)
    } catch (error) {
      refused = { error }
      throw error
    }
  }

  const piece = (value: unknown) => {
    const isData = typeof value !== 'object' || value === null || (isView(value) && written.length === 0)
    return isData ? value : codec.piece(value, maxBytes)
  }

  const rest = () =>
    new PromiseType<void>(resolve => {
      resting = resolve
    })

  function put(status: number, bytes: number | Uint8Array) {
    let at = control[1]!
    if (typeof bytes !== 'number') {
      const size = bytes.length
      if (at + HEAD_BYTES + size > outputBytes) {
        waiting = { status, bytes }
        control[2] = at + HEAD_BYTES + size
        return false
      }
      setBytes(output, bytes, at + HEAD_BYTES)
      bytes = size
    }
    output[at] = status
    setUint32(outputView, at + 1, bytes, true)
    at += HEAD_BYTES + bytes
    control[1] = at
    offset += lengths[1 + item]!
    item++
    control[0] = item
    return true
  }

  function succeed(value: unknown) {
    const at = control[1]!
    let bytes: number | Uint8Array
    try {
      bytes =
        at + HEAD_BYTES < outputBytes
          ? codec.encodeInto(value, output, at + HEAD_BYTES, maxBytes)
          : codec.encode(value, maxBytes)
    } catch (error) {
      return fail(STATUS.invalid, error)
    }
    return put(STATUS.ok, bytes)
  }

  /** What `read` gives; it may run code of the author's, and what that throws is no news. */
  function attempt(read: () => unknown): string | undefined {
    try {
      const found = read()
      return typeof found === 'string' ? found : undefined
    } catch {
      return undefined
    }
  }

  /** A value that was thrown, as people read it: `"no"`, `{"code":3}`, `Fault {"code":3}`, `null`. */
  function shown(value: unknown): string {
    if (typeof value === 'function') return 'a function'
    if (typeof value === 'string') return stringify(value)
    if (typeof value !== 'object' || value === null) return text(value)
    const kind = attempt(() => getPrototypeOf(value)!.constructor.name)
    if (isView(value)) return `a ${kind}`
    const json = attempt(() => stringify(value))
    const own = kind === undefined || kind === 'Object' ? '' : kind
    if (json === undefined) return `${own || 'an object'} that cannot be shown`
    return own && !isArray(value) ? `${own} ${json}` : json
  }

  /** Reads what was thrown, which may be anything. */
  function describe(error: unknown): [string, string, string] {
    const isError = attempt(() => text(error instanceof ErrorType)) === 'true'
    if (!isError)
      return ['', slice(`threw ${shown(error)}, and no Error, which would say where`, 0, MESSAGE_CHARS), '']
    const read = (key: 'name' | 'message' | 'stack') => attempt(() => (error as Error)[key])
    const name = read('name') ?? 'Error'
    const message = read('message') ?? 'an error whose message cannot be shown'
    return [
      slice(name, 0, 100),
      slice(message || shown(error), 0, MESSAGE_CHARS),
      slice(read('stack') ?? '', 0, STACK_CHARS)
    ]
  }

  function fail(status: number, error: unknown) {
    return put(status, codec.encode(describe(error), 4 * (MESSAGE_CHARS + STACK_CHARS)))
  }

  const inputBytes = () => new Bytes(inputBuffer, offset, lengths[1 + item])

  function loop() {
    while (item < last) {
      if (control[1]! > FLUSH_BYTES) {
        control[2] = FLUSH_BYTES
        return
      }
      let value: unknown
      if (runtime !== undefined) {
        if (!runIn(runtime)) return
        continue
      }
      try {
        if (broken !== undefined) throw broken.error
        begin(0)
        realm.reseed(inputBytes)
        value = call(decoded())
        if (typeof value === 'object' && value !== null && isThenable(value)) {
          wait(value)
          return
        }
      } catch (error) {
        if (error === codec.missing) return
        if (!fail(statusOf(error), error) || rests()) return
        continue
      }
      if (!succeed(value) || rests()) return
    }
  }

  /** The input at hand. Throws `missing` where its text has to be asked for. */
  function decoded() {
    const end = offset + lengths[1 + item]!
    try {
      const windows = chars ?? (end - offset < TEXT_BYTES ? undefined : codec.missing)
      return codec.decode(input, offset, end, end - offset, windows)
    } catch (error) {
      if (error === codec.missing) {
        control[3] = offset
        control[4] = end
      }
      throw error
    } finally {
      chars = undefined
    }
  }

  /** Throws on where the runtime is broken: then the child is, too. */
  function runIn({ run }: Runtime) {
    let bytes: Uint8Array
    try {
      bytes = run(inputBytes(), maxBytes)
    } catch (error) {
      const { isRaised, isInvalid } = error as { isRaised?: boolean; isInvalid?: boolean }
      if (isRaised !== true) throw error
      return fail(isInvalid === true ? STATUS.invalid : STATUS.threw, error)
    }
    return put(STATUS.ok, bytes)
  }

  /** true where the next item waits until nothing of this one has anything left to do */
  function rests() {
    if (guard === 'drained') resting = loop
    return guard === 'drained'
  }

  const statusOf = (error: unknown) =>
    refused !== undefined && refused.error === error ? STATUS.invalid : STATUS.threw

  function isThenable(value: object): value is PromiseLike<unknown> {
    return typeof (value as { then?: unknown }).then === 'function'
  }

  function wait(promise: PromiseLike<unknown>) {
    const mine = ++turn
    pending = true
    const settle = (ok: boolean) => (value: unknown) => {
      if (!pending || turn !== mine) return
      pending = false
      if ((ok ? succeed(value) : fail(statusOf(value), value)) && !rests()) loop()
    }
    try {
      // a real promise of ours around whatever it is: settles once, later, and never with a thenable
      then(new PromiseType(resolve => resolve(promise)), settle(true), settle(false))
    } catch (error) {
      settle(false)(error)
    }
  }

  const operations = {
    [operation.buffers](inputs: SharedArrayBuffer, outputs: SharedArrayBuffer, controls: SharedArrayBuffer) {
      inputBuffer = inputs
      input = new Bytes(inputs)
      lengths = new Words(inputs)
      output = new Bytes(outputs)
      outputView = new View(outputs)
      outputBytes = outputs.byteLength
      control = new Words(controls)
    },
    [operation.addFunction](name: string, factory: Factory) {
      functions[name] = apply(factory, undefined, [realm.pow, realm.powAssign, onItem])
    },
    [operation.load](
      kind: string,
      factory: Factory,
      driver: unknown,
      contextBytes: SharedArrayBuffer | undefined,
      moduleBytes: SharedArrayBuffer | undefined,
      exportName: string,
      most: number,
      guarded: Guard,
      touched: string | undefined
    ) {
      maxBytes = most
      guard = guarded
      try {
        const context = contextBytes && codec.decode(new Bytes(contextBytes), 0, contextBytes.byteLength)
        keepContext(context, touched)
        defineProperty(globalThis, 'context', { value: context })
        const task =
          kind === 'wasm'
            ? makeWasm(realm).callable(copyOf(moduleBytes!), exportName)
            : kind === 'wasi'
              ? makeWasm(realm).command(copyOf(moduleBytes!), most)
              : apply(factory, undefined, [realm.pow, realm.powAssign, onItem])
        const whole =
          driver === undefined
            ? task
            : apply(driver as never, undefined, [
                task,
                freeze(functions),
                context,
                freeze({ wasm: realm.wasm, begin, copy, piece, rest: guard === 'drained' ? rest : undefined })
              ])
        if (typeof task !== 'function' || typeof whole !== 'function')
          throw new ErrorType('the program is not a function')
        call = whole as never
        if (guard === 'frozen' || guard === 'drained') realm.freeze([task, functions], guard === 'drained')
        loaded = true
      } catch (error) {
        broken = { error }
      }
    },
    [operation.run](from: number, to: number) {
      if (from === 0 || item !== from) {
        offset = 4 * (1 + lengths[0]!)
        offset += offset % 8 === 0 ? 1 : 5 // as session.ts writes it: inputs begin one byte after a multiple of 8
        for (item = 0; item < from; item++) offset += lengths[1 + item]!
      }
      last = to
      resting = undefined
      loop()
    },
    [operation.unstick]() {
      const goOn = resting
      resting = undefined
      if (goOn !== undefined) {
        goOn()
        return
      }
      pending = false
      turn++
      if (
        fail(STATUS.invalid, new ErrorType('the promise never settles: nothing in the sandbox can settle it'))
      )
        loop()
    },
    [operation.resume]() {
      const held = waiting
      waiting = undefined
      control[2] = 0
      if (held === undefined || put(held.status, held.bytes)) loop()
    },
    [operation.problem](kind: string, moduleBytes: SharedArrayBuffer, exportName: string) {
      return makeWasm(realm).problem(kind, copyOf(moduleBytes), exportName)
    },
    [operation.boot]: (...files: never[]) => runtime!.boot(...files),
    [operation.snapshot]: () => runtime!.snapshot!().buffer,
    [operation.ready]: () => runtime!.ready(),
    [operation.loadInto](
      source: SharedArrayBuffer,
      contextBytes: SharedArrayBuffer | undefined,
      memoryMb: number,
      programSeed: string,
      most: number
    ) {
      maxBytes = most
      const context = contextBytes && copyOf(contextBytes)
      return runtime!.load(copyOf(source), context, { memoryMb, seed: programSeed })
    },
    [operation.said]: () => runtime!.said(),
    [operation.text](...windows: string[]) {
      chars = windows
      control[4] = 0
      loop()
    }
  } as unknown as Record<number, (...args: never[]) => unknown>

  function copyOf(bytes: SharedArrayBuffer | Uint8Array) {
    const copy = new Bytes(bytes.byteLength)
    setBytes(copy, isView(bytes) ? bytes : new Bytes(bytes), 0)
    return copy
  }

  return (kind, ...args) => apply(operations[kind]!, undefined, args)
}
