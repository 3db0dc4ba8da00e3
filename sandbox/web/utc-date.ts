/**
 * Puts a Date into the global object whose zone is UTC, as it is in every other sandbox: that of a browser's is its
 * owner's, and a page cannot change it. A text without a zone in a form that ECMAScript leaves to the engine is refused.
 *
 * Self-contained: runs in a Worker by its source text, before everything else.
 */
export function utcDate() {
  const Local = Date
  const { prototype, parse, UTC } = Local
  const { defineProperty, getOwnPropertyNames } = Object
  const { apply, construct, deleteProperty } = Reflect
  const isNan = Number.isNaN
  const { getTime, getUTCFullYear, toUTCString } = prototype
  const replace = (text: string, pattern: RegExp, by: string): string =>
    apply(String.prototype.replace, text, [pattern, by] as never)
  const test = (pattern: RegExp, text: string): boolean => pattern.test(text)
  // the forms that ECMAScript defines (21.4.1.32), without a zone
  const DAY = /^([+-]\d\d)?\d{4}(-\d\d){0,2}$/
  const TIME = /^([+-]\d\d)?\d{4}(-\d\d){0,2}T\d\d:\d\d(:\d\d(\.\d+)?)?$/
  // those with one, and what toUTCString and toString give
  const ZONED = /T[\d:.]+(Z|[+-]\d\d:\d\d)$/
  const WRITTEN = /^\w{3},? [\w ]+ -?\d{4,} \d\d:\d\d:\d\d GMT([+-]\d{4}( \([\w ]+\))?)?$/

  function define(target: object, name: string, value: unknown) {
    defineProperty(target, name, { value, writable: true, enumerable: false, configurable: true })
  }

  function parseUtc(value: unknown): number {
    const text = `${value}`
    if (test(DAY, text)) return parse(`${text}T00:00Z`)
    if (test(TIME, text)) return parse(`${text}Z`)
    const time = parse(text)
    if (!isNan(time) && !test(ZONED, text) && !test(WRITTEN, text))
      throw new TypeError(`a browser reads ${text} by its own zone; write a date as in 2000-01-31T12:00:00Z`)
    return time
  }

  /** The time value, or what its number is made of. */
  function timeOf(values: unknown[]): unknown {
    const [value] = values
    if (values.length > 1) return apply(UTC, undefined, values as never)
    if (typeof value === 'string') return parseUtc(value)
    const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function'
    // throws for others: what they turn into may be a text
    return isObject ? apply(getTime, value, []) : value
  }

  function UtcDate(this: unknown, ...values: unknown[]) {
    if (new.target === undefined) return `${new Local()}`
    return construct(Local, values.length === 0 ? [] : [timeOf(values)], new.target)
  }
  define(UtcDate, 'parse', parseUtc)
  define(UtcDate, 'UTC', UTC)
  defineProperty(UtcDate, 'prototype', { value: prototype, writable: false })
  define(globalThis, 'Date', UtcDate)

  for (const name of getOwnPropertyNames(prototype)) {
    const local = replace(name, /^([gs]et)UTC/, '$1')
    if (local !== name) define(prototype, local, prototype[name as 'getUTCDay'])
  }
  function written(pattern: string) {
    // of `Sat, 01 Jan 2000 00:00:00 GMT`; `Invalid Date` stays
    return function (this: Date) {
      return replace(apply(toUTCString, this, []), /^(\w+), (\d+) (\w+) (-?\d+) (.*) GMT$/, pattern)
    }
  }
  const zone = 'GMT+0000 (Coordinated Universal Time)'
  define(prototype, 'toString', written(`$1 $3 $2 $4 $5 ${zone}`))
  define(prototype, 'toDateString', written('$1 $3 $2 $4'))
  define(prototype, 'toTimeString', written(`$5 ${zone}`))
  define(prototype, 'getTimezoneOffset', function (this: Date) {
    const time = apply(getTime, this, [])
    return time - time // NaN of an invalid one
  })
  define(prototype, 'getYear', function (this: Date) {
    return apply(getUTCFullYear, this, []) - 1900
  })
  deleteProperty(prototype, 'setYear')
  // leads to zones and locales
  deleteProperty(prototype, 'toTemporalInstant')
}
