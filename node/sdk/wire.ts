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

/** Fields of a spec that hold a function of its author (scheduler/tasks/author-source.ts). */
const AUTHORED = ['fn', 'map', 'partial', 'reduce', 'key']

/** A spec whose author's functions are their text, as they travel; everything else stays what it is. */
export function functionsAsText(spec: unknown): unknown {
  if (typeof spec !== 'object' || spec === null) return spec
  return Object.fromEntries(
    Object.entries(spec).map(([field, value]) => {
      if (typeof value === 'function' && AUTHORED.includes(field)) return [field, String(value)]
      // of a pipeline
      if (field === 'nodes' && Array.isArray(value))
        return [field, value.map(node => ({ ...node, task: functionsAsText(node?.task) }))]
      return [field, value]
    })
  )
}
