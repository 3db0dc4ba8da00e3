import type { valueCodec } from './value.ts'

/** What the child needs from a context: everything goes through shared memory and numbers, no object crosses. */
export interface IsolateSide {
  /** `input` and `output` are the shared buffers, `control` three 32-bit numbers (see CONTROL in child-main.ts). */
  buffers(input: SharedArrayBuffer, output: SharedArrayBuffer, control: SharedArrayBuffer): void
  load(
    task: unknown,
    driver: unknown,
    context: SharedArrayBuffer | undefined,
    seed: string,
    maxBytes: number
  ): void
  addFunction(name: string, fn: unknown): void
  /** Works on inputs `from` to `to`. Returns while an async one is pending; microtasks then carry on. */
  run(from: number, to: number): void
  /** The pending promise can never settle: nothing outside feeds this isolate. Fails that input and carries on. */
  unstick(): void
  /** Puts the outcome that did not fit into the enlarged output buffer and carries on. */
  resume(): void
}

/**
 * Runs inside the isolate as the first code of every context, by its source text (so it is self-contained), before
 * any code of the author's. Answers a function that the child calls; nothing here is reachable from the author's code.
 */
export function isolateMain(makeCodec: typeof valueCodec): IsolateSide {
  const codec = makeCodec()
  const { apply } = Reflect
  const { freeze, getOwnPropertyNames, defineProperty } = Object
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
  const HEAD_BYTES = 5 // status, length
  const STATUS = { ok: 0, threw: 1, invalid: 2 }

  let input: Uint8Array
  let lengths: Uint32Array
  let output: Uint8Array
  let outputView: DataView
  let outputBytes = 0
  let control: Uint32Array // done, bytes written, bytes wanted

  let functions: Record<string, unknown> = { __proto__: null } as never
  let call: (input: unknown) => unknown
  let broken: { error: unknown } | undefined
  let maxBytes = 0
  let item = 0
  let last = 0
  let offset = 0
  let turn = 0 // tells a late or repeated settlement of an older promise from the one we wait for
  let pending = false
  let waiting: { status: number; bytes: Uint8Array } | undefined

  function deepFreeze(value: unknown) {
    if (typeof value !== 'object' || value === null || isView(value)) return
    freeze(value)
    const names = getOwnPropertyNames(value)
    for (let i = 0; i < names.length; i++) {
      if (!isArray(value) || names[i] !== 'length') deepFreeze((value as Record<string, unknown>)[names[i]!])
    }
  }

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

  // Reads an error that may be anything: every step can run code of the author's and throw.
  function describe(error: unknown): [string, string, string] {
    let name = 'Error'
    let message = 'an error that cannot be shown'
    let stack = ''
    try {
      if (error instanceof ErrorType) {
        name = text(error.name)
        message = text(error.message)
        const found = error.stack
        if (typeof found === 'string') stack = found
      } else {
        name = ''
        message = text(error)
      }
    } catch {
      // the author's own getter threw: what was read so far is what there is
    }
    return [slice(name, 0, 100), slice(message, 0, MESSAGE_CHARS), slice(stack, 0, STACK_CHARS)]
  }

  function fail(status: number, error: unknown) {
    return put(status, codec.encode(describe(error), 4 * (MESSAGE_CHARS + STACK_CHARS)))
  }

  function loop() {
    while (item < last) {
      let value: unknown
      try {
        if (broken !== undefined) throw broken.error
        value = call(codec.decode(input, offset, offset + lengths[1 + item]!))
        if (typeof value === 'object' && value !== null && isThenable(value)) {
          wait(value)
          return
        }
      } catch (error) {
        if (!fail(STATUS.threw, error)) return
        continue
      }
      if (!succeed(value)) return
    }
  }

  function isThenable(value: object): value is PromiseLike<unknown> {
    return typeof (value as { then?: unknown }).then === 'function'
  }

  function wait(promise: PromiseLike<unknown>) {
    const mine = ++turn
    pending = true
    const settle = (ok: boolean) => (value: unknown) => {
      if (!pending || turn !== mine) return
      pending = false
      if (ok ? succeed(value) : fail(STATUS.threw, value)) loop()
    }
    try {
      // a real promise of ours around whatever it is: settles once, later, and never with a thenable
      then(new PromiseType(resolve => resolve(promise)), settle(true), settle(false))
    } catch (error) {
      settle(false)(error)
    }
  }

  return {
    buffers(inputBuffer, outputBuffer, controlBuffer) {
      input = new Bytes(inputBuffer)
      lengths = new Words(inputBuffer)
      output = new Bytes(outputBuffer)
      outputView = new View(outputBuffer)
      outputBytes = outputBuffer.byteLength
      control = new Words(controlBuffer)
    },
    addFunction(name, fn) {
      functions[name] = fn
    },
    load(task, driver, contextBuffer, _seed, outputLimit) {
      maxBytes = outputLimit
      try {
        const context =
          contextBuffer === undefined
            ? undefined
            : codec.decode(new Bytes(contextBuffer), 0, contextBuffer.byteLength)
        deepFreeze(context)
        defineProperty(globalThis, 'context', { value: context })
        const ready = freeze(functions)
        call = (
          driver === undefined ? task : apply(driver as never, undefined, [task, ready, context])
        ) as never
        if (typeof call !== 'function') throw new ErrorType('the program is not a function')
      } catch (error) {
        broken = { error }
      }
    },
    run(from, to) {
      if (from === 0) {
        offset = 4 * (1 + lengths[0]!)
        item = 0
        functions = undefined as never
      }
      last = to
      loop()
    },
    unstick() {
      if (!pending) return
      pending = false
      turn++
      if (
        fail(STATUS.invalid, new ErrorType('the promise never settles: nothing in the sandbox can settle it'))
      )
        loop()
    },
    resume() {
      const held = waiting
      if (held === undefined) return
      waiting = undefined
      control[2] = 0
      if (put(held.status, held.bytes)) loop()
    }
  }
}
