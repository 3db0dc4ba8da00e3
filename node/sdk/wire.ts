/** Values of our own kind among JSON: credits, and functions that travel as text. */

// fields of the wire (services/gateway/schema.ts) that hold micro-credits as decimal strings
const MICRO = [
  'paid',
  'bound',
  'expected',
  'fair',
  'available',
  'reserved',
  'granted',
  'burnt',
  'total',
  'amount',
  'minPrice'
] as const
const IS_MICRO: ReadonlySet<string> = new Set(MICRO)

/** T with its micro-credits as bigint. `total` of a job is a number and stays one. */
export type Revived<T> = T extends object
  ? {
      [K in keyof T]: K extends (typeof MICRO)[number]
        ? T[K] extends string
          ? bigint
          : Revived<T[K]>
        : Revived<T[K]>
    }
  : T

export function revive<T>(value: T): Revived<T>
export function revive(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revive)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [
      key,
      typeof child === 'string' && IS_MICRO.has(key) ? BigInt(child) : revive(child)
    ])
  )
}

/** A spec whose functions are their source text, as it travels. */
export function functionsAsText(value: unknown): unknown {
  if (typeof value === 'function') return value.toString()
  if (Array.isArray(value)) return value.map(functionsAsText)
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, functionsAsText(child)]))
}
