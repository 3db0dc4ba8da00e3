import type { libm } from './libm.ts'

/** What the isolate keeps of the realm that it made deterministic. */
export interface Realm {
  /** `**` of the author's code, see program.ts */
  pow(a: unknown, b: unknown): unknown
  /** `object[key] **= value`: reads first, then takes the right side */
  powAssign(object: Record<string, unknown>, key: string): (value: unknown) => unknown
  /** Math.random starts anew from what `bytes` says, when it is next asked. */
  reseed(bytes: () => Uint8Array): void
  /** The same from a place: an item's position, or of a node in a tree of items its level and index; and a group in it. */
  reseedAt(position: number, level: number, group: number): void
  /**
   * Makes everything that a program can reach and `roots` unchangeable, so that it can keep nothing in it.
   * @param promises leave them there, for something waits until they have nothing more to do
   */
  freeze(roots: unknown[], promises: boolean): void
  /** Ties the bytes of the author's typed arrays to them for good, with nothing beside: what is written there is all that changes. */
  seal(views: ArrayBufferView[], buffers: ArrayBufferLike[]): void
  random(): number
  wasm: typeof WebAssembly
}

/**
 * Takes everything out of the global object that could tell one worker from another: the clock, chance, locale, time
 * zone (UTC, set in the child), garbage collection, shared memory, code from strings, and the functions of Math that engines round
 * differently. WebAssembly is kept for the programs that are WebAssembly and is not visible to JavaScript.
 *
 * Self-contained: runs inside the isolate by its source text, before the author's code.
 */
export function makeRealm(makeMath: typeof libm, seed: string): Realm {
  const NOW_MS = 946684800000 // the clock stands at 2000-01-01T00:00:00Z
  const HASHED_BYTES = 4096 // of the start and of the end of an input, so that large inputs do not cost twice

  const scope = globalThis as unknown as Record<string, unknown>
  const {
    defineProperty,
    freeze: freezeObject,
    getOwnPropertyDescriptor,
    getOwnPropertyNames,
    getPrototypeOf,
    preventExtensions
  } = Object
  const isView = ArrayBuffer.isView
  const Refusal = EvalError
  const { apply, construct, ownKeys } = Reflect
  const { floor, imul } = Math
  const numberOf = Number
  const charCodeAt = Function.prototype.call.bind(String.prototype.charCodeAt) as (
    s: string,
    i: number
  ) => number
  const wasm = scope.WebAssembly as typeof WebAssembly // undefined without a compiler (--jitless)

  function define(target: object, name: string, value: unknown) {
    defineProperty(target, name, { value, writable: true, enumerable: false, configurable: true })
  }

  // ---- numbers ----
  const ours = makeMath()
  const names = getOwnPropertyNames(ours) as (keyof typeof ours)[]
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!
    const call = ours[name] as (...values: number[]) => number
    if (name === 'hypot') {
      define(
        Math,
        name,
        {
          hypot(...values: unknown[]) {
            const numbers: number[] = []
            for (let k = 0; k < values.length; k++) define(numbers, `${k}`, numberOf(values[k]))
            return ours.hypot(numbers)
          }
        }.hypot
      )
    } else if (name === 'pow' || name === 'atan2') {
      const two = { [name]: (a: unknown, b: unknown) => call(+(a as number), +(b as number)) }[name]
      define(Math, name, two)
    } else {
      define(Math, name, { [name]: (x: unknown) => call(+(x as number)) }[name])
    }
  }

  function pow(a: unknown, b: unknown): unknown {
    if (typeof a === 'number' && typeof b === 'number') return ours.pow(a, b)
    // unary minus, twice: to a number or a bigint, as `**` converts
    const left = -(-(a as number)) as unknown
    const right = -(-(b as number)) as unknown
    if (typeof left === 'number' && typeof right === 'number') return ours.pow(left, right)
    return (left as number) ** (right as number)
  }

  function powAssign(object: Record<string, unknown>, key: string) {
    const before = object[key]
    return (value: unknown) => {
      const after = pow(before, value)
      object[key] = after
      return after
    }
  }

  // ---- chance: xoshiro128** (Blackman, Vigna 2018), seeded by a multiplicative hash of seed and input ----
  let a = 0
  let b = 0
  let c = 0
  let d = 0
  let material: (() => Uint8Array) | undefined
  let position: number | undefined
  let level = 0
  let group = 0
  function stir(word: number) {
    a = imul(a ^ word, 0x9e3779b1)
    b = imul(b ^ a ^ (a >>> 15), 0x85ebca77)
    c = imul(c ^ b ^ (b >>> 13), 0xc2b2ae3d)
    d = imul(d ^ c ^ (c >>> 16), 0x27d4eb2f)
  }
  function sow() {
    a = 0x243f6a88
    b = 0x85a308d3
    c = 0x13198a2e
    d = 0x03707344
    for (let i = 0; i < seed.length; i++) stir(charCodeAt(seed, i))
  }
  sow()
  const [seedA, seedB, seedC, seedD] = [a, b, c, d]
  function plant() {
    a = seedA
    b = seedB
    c = seedC
    d = seedD
    if (position !== undefined) {
      stir(position | 0)
      stir(floor(position / 4294967296) | 0)
      stir(level)
      stir(group)
    } else if (material !== undefined) {
      const bytes = material()
      const length = bytes.length
      stir(length)
      for (let i = 0; i < length && i < HASHED_BYTES; i++) stir(bytes[i]!)
      for (let i = length - HASHED_BYTES; i < length; i++) if (i >= HASHED_BYTES) stir(bytes[i]!)
    }
    position = undefined
    material = undefined
    for (let i = 0; i < 16; i++) stir(i)
    if ((a | b | c | d) === 0) a = 1
  }
  function next() {
    const x = imul(b, 5)
    const result = imul((x << 7) | (x >>> 25), 9)
    const t = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= t
    d = (d << 11) | (d >>> 21)
    return result >>> 0
  }
  function random() {
    if (position !== undefined || material !== undefined) plant()
    return ((next() >>> 5) * 67108864 + (next() >>> 6)) / 9007199254740992
  }
  plant()
  define(Math, 'random', { random: () => random() }.random)

  // ---- clock ----
  const RealDate = Date
  const dateToString = Function.prototype.call.bind(RealDate.prototype.toString) as (date: Date) => string
  function FrozenDate(this: unknown, ...values: unknown[]) {
    if (new.target === undefined) return dateToString(new RealDate(NOW_MS))
    return construct(RealDate, values.length === 0 ? [NOW_MS] : values, new.target)
  }
  define(FrozenDate, 'name', 'Date')
  define(FrozenDate, 'length', 7)
  define(FrozenDate, 'now', { now: () => NOW_MS }.now)
  define(FrozenDate, 'parse', RealDate.parse)
  define(FrozenDate, 'UTC', RealDate.UTC)
  defineProperty(FrozenDate, 'prototype', { value: RealDate.prototype, writable: false })
  define(RealDate.prototype, 'constructor', FrozenDate)
  define(scope, 'Date', FrozenDate)

  // ---- locale ----
  define(RealDate.prototype, 'toLocaleString', RealDate.prototype.toString)
  define(RealDate.prototype, 'toLocaleDateString', RealDate.prototype.toDateString)
  define(RealDate.prototype, 'toLocaleTimeString', RealDate.prototype.toTimeString)
  define(
    Number.prototype,
    'toLocaleString',
    {
      toLocaleString(this: number) {
        return `${this}`
      }
    }.toLocaleString
  )
  define(
    BigInt.prototype,
    'toLocaleString',
    {
      toLocaleString(this: bigint) {
        return `${this}`
      }
    }.toLocaleString
  )
  define(Array.prototype, 'toLocaleString', Array.prototype.toString)
  define(getPrototypeOf(Uint8Array.prototype), 'toLocaleString', Array.prototype.toString)
  define(String.prototype, 'toLocaleUpperCase', String.prototype.toUpperCase)
  define(String.prototype, 'toLocaleLowerCase', String.prototype.toLowerCase)
  define(
    String.prototype,
    'localeCompare',
    {
      localeCompare(this: string, other: unknown) {
        const left = `${this}`
        const right = `${other}`
        return left < right ? -1 : left > right ? 1 : 0
      }
    }.localeCompare
  )

  // ---- code from strings: it would evade the rewriting of `**`, and nobody has read it ----
  const functions = [() => {}, async () => {}, function* () {}, async function* () {}]
  for (let i = 0; i < functions.length; i++) {
    const prototype = getPrototypeOf(functions[i]!)
    const { name } = prototype.constructor
    const refuse = {
      [name]() {
        throw new Refusal('code from strings is not available in the sandbox')
      }
    }[name]!
    defineProperty(refuse, 'prototype', { value: prototype })
    defineProperty(prototype, 'constructor', { value: refuse })
    if (i === 0) define(scope, name, refuse)
  }

  const gone = [
    'eval',
    'Intl',
    'WebAssembly',
    'SharedArrayBuffer',
    'Atomics',
    'WeakRef',
    'FinalizationRegistry'
  ]
  for (let i = 0; i < gone.length; i++) delete scope[gone[i]!]
  // RegExp.$1, RegExp.input and so on: what the last match anywhere left
  const statics = getOwnPropertyNames(RegExp)
  for (let i = 0; i < statics.length; i++) {
    if (getOwnPropertyDescriptor(RegExp, statics[i]!)!.get !== undefined)
      delete (RegExp as never)[statics[i]!]
  }

  /**
   * What can be assigned to on an object that inherits it, such as `error.name = …`, must stay so, though what is
   * inherited is frozen: a setter then puts it on the object itself (SES calls this the override mistake).
   */
  function overridable(prototype: object, name: string) {
    const descriptor = getOwnPropertyDescriptor(prototype, name)
    if (descriptor === undefined || !('value' in descriptor)) return
    const { value } = descriptor
    defineProperty(prototype, name, {
      get: () => value,
      set(this: object, given: unknown) {
        if (this === prototype)
          throw new TypeError(`${name} of what everybody inherits cannot be changed in the sandbox`)
        defineProperty(this, name, { value: given, writable: true, enumerable: true, configurable: true })
      }
    })
  }

  function seal(views: ArrayBufferView[], buffers: ArrayBufferLike[]) {
    const sealed = new Set<unknown>()
    const isSealed = Set.prototype.has.bind(sealed)
    for (let i = 0; i < views.length; i++) {
      sealed.add(buffers[i])
      preventExtensions(buffers[i]!)
      preventExtensions(views[i]!)
    }
    const prototype = ArrayBuffer.prototype as unknown as Record<string, unknown>
    const movers = ['transfer', 'transferToFixedLength']
    for (let i = 0; i < movers.length; i++) {
      const name = movers[i]!
      const move = prototype[name]
      if (typeof move !== 'function') continue
      const refusing = {
        [name](this: unknown, ...sizes: unknown[]) {
          if (isSealed(this)) throw new TypeError('the bytes of the context stay where they are')
          return apply(move as never, this, sizes)
        }
      }
      define(prototype, name, refusing[name])
    }
  }

  function freeze(roots: unknown[], promises: boolean) {
    if (!promises) {
      // with these, something of an item could go on after its result; a text that names them is drained
      delete scope.Promise
      delete scope.AsyncDisposableStack
      delete (Array as { fromAsync?: unknown }).fromAsync
    }
    define(Error, 'prepareStackTrace', prepareStackTrace)
    const plain = getOwnPropertyNames(Object.prototype)
    for (let i = 0; i < plain.length; i++) overridable(Object.prototype, plain[i]!)
    overridable(Function.prototype, 'toString')
    // the context is frozen already
    const seen = new Set<unknown>([scope, scope.context])
    const inContext = typeof scope.context === 'object' && scope.context !== null ? scope.context : {}
    const kept = ownKeys(inContext)
    for (let i = 0; i < kept.length; i++) seen.add((inContext as Record<PropertyKey, unknown>)[kept[i]!])
    const found: object[] = []
    const add = (value: unknown) => {
      const isObject = typeof value === 'object' ? value !== null : typeof value === 'function'
      if (!isObject || seen.has(value)) return
      seen.add(value)
      found[found.length] = value as object
    }
    const look = (of: object) => {
      const names = ownKeys(of)
      for (let i = 0; i < names.length; i++) {
        const { value, get, set } = getOwnPropertyDescriptor(of, names[i]!)!
        add(value)
        add(get)
        add(set)
      }
      add(getPrototypeOf(of))
    }
    look(scope)
    for (let i = 0; i < roots.length; i++) add(roots[i])
    // what no name leads to
    for (let i = 0; i < functions.length; i++) add(getPrototypeOf(functions[i]!))
    const iterators = [
      [].values(),
      new Map().values(),
      new Set().values(),
      ''[Symbol.iterator](),
      ''.matchAll(/a/g),
      [].values().map(x => x),
      Iterator.from({ next: () => ({ done: true, value: 0 }) })
    ]
    for (let i = 0; i < iterators.length; i++) add(getPrototypeOf(iterators[i]!))
    const stack = getOwnPropertyDescriptor(new Error(), 'stack')!
    add(stack.get)
    add(stack.set)
    for (let i = 0; i < found.length; i++) {
      const of = found[i]!
      if (of === Error.prototype || getPrototypeOf(of) === Error.prototype) {
        overridable(of, 'name')
        overridable(of, 'message')
        overridable(of, 'toString')
      }
      if (isView(of)) continue // of the author's context, sealed
      look(of)
      freezeObject(of)
    }
    freezeObject(scope)
  }
  // `at` of the author's own texts only: where our code calls them from depends on how the work is cut
  const startsWith = Function.prototype.call.bind(String.prototype.startsWith) as (
    s: string,
    of: string
  ) => boolean
  const prepareStackTrace = (error: unknown, sites: { getFileName(): unknown }[]) => {
    let text = 'Error'
    try {
      text = `${error}`
    } catch {
      // a toString of the author's
    }
    for (let i = 0; i < sites.length; i++) {
      const file = sites[i]!.getFileName()
      // a browser's own names for scripts, which are others every time
      if (typeof file === 'string' && startsWith(file, 'blob:'))
        throw new Refusal('a sandbox in a browser does not tell where an error is')
      if (typeof file === 'string' && !startsWith(file, 'artel:') && !startsWith(file, '<'))
        text += `\n    at ${sites[i]}`
    }
    return text
  }

  return {
    pow,
    powAssign,
    random,
    freeze,
    seal,
    reseed(bytes) {
      material = bytes
      position = undefined
    },
    reseedAt(at, height, which) {
      position = at
      level = height
      group = which
    },
    wasm
  }
}
