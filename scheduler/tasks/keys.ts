/** What groups and orders items. */
export type Key = string | number | boolean | bigint

/** Self-contained, runs on both sides. */
export function isKey(key: unknown): key is Key {
  return (
    typeof key === 'string' || typeof key === 'number' || typeof key === 'boolean' || typeof key === 'bigint'
  )
}

/**
 * Keys in a fixed order: by type, then by value (strings by UTF-16 code unit, NaN after all numbers). Self-contained, runs
 * on both sides.
 */
export function compareKeys(a: Key, b: Key): number {
  if (typeof a !== typeof b) return typeof a < typeof b ? -1 : 1
  // whether two are the same costs less than which of them is less
  if (typeof a === 'string') return a === b ? 0 : a < b ? -1 : 1
  return a < b ? -1 : a > b ? 1 : Number(Number.isNaN(a)) - Number(Number.isNaN(b))
}
