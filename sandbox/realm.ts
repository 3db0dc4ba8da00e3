import type { libm } from './libm.ts'

/** What the isolate keeps of the realm that it made deterministic. */
export interface Realm {
  /** `**` of the author's code, see program.ts */
  pow(a: unknown, b: unknown): unknown
  /** `object[key] **= value`: reads first, then takes the right side */
  powAssign(object: Record<string, unknown>, key: string): (value: unknown) => unknown
  /** Math.random starts anew from what `bytes` says, when it is next asked. */
  reseed(bytes: () => Uint8Array): void
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
  const { defineProperty, getOwnPropertyNames, getPrototypeOf } = Object
  const Refusal = EvalError
  const { construct } = Reflect
  const { imul } = Math
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
  function stir(byte: number) {
    a = imul(a ^ byte, 0x9e3779b1)
    b = imul(b ^ a ^ (a >>> 15), 0x85ebca77)
    c = imul(c ^ b ^ (b >>> 13), 0xc2b2ae3d)
    d = imul(d ^ c ^ (c >>> 16), 0x27d4eb2f)
  }
  function plant() {
    a = 0x243f6a88
    b = 0x85a308d3
    c = 0x13198a2e
    d = 0x03707344
    for (let i = 0; i < seed.length; i++) stir(charCodeAt(seed, i))
    const bytes = material?.()
    material = undefined
    if (bytes !== undefined) {
      const length = bytes.length
      stir(length)
      for (let i = 0; i < length && i < HASHED_BYTES; i++) stir(bytes[i]!)
      for (let i = length - HASHED_BYTES; i < length; i++) if (i >= HASHED_BYTES) stir(bytes[i]!)
    }
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
    if (material !== undefined) plant()
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

  return {
    pow,
    powAssign,
    random,
    reseed(bytes) {
      material = bytes
    },
    wasm
  }
}
