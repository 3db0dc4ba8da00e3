/** A copy in which what stands at these keys as a function is what the function gives, made once, when it is asked for. */
export function whenAsked(declared: object, keys: readonly string[]): object {
  const copy: Record<string, unknown> = { ...declared }
  for (const key of keys) {
    const make = copy[key]
    if (typeof make === 'function')
      Object.defineProperty(copy, key, {
        configurable: true,
        enumerable: true,
        get() {
          const value: unknown = make()
          Object.defineProperty(copy, key, { value, enumerable: true })
          return value
        }
      })
  }
  return copy
}
