import type { Fields } from '../extract/contract.ts'
import type { EventKind } from '../rule.ts'

export interface KnownItem {
  key: string
  fields: Fields
  /** right fetches in a row without it */
  missing: number
  isGone: boolean
}

export interface Change {
  kind: EventKind
  key: string
  old?: Fields
  new?: Fields
}

export interface Comparison {
  changes: Change[]
  /** items as they are from now on, only those that differ from what was known */
  items: KnownItem[]
}

/** An item that is missing this often in a row is gone. */
const GONE_AFTER = 2

/**
 * Items by their key. Equal keys are one item, whichever row comes first; rows whose key is empty are none.
 *
 * @param key names of the fields
 */
export function byKey(rows: readonly Fields[], key: readonly string[]): Map<string, Fields> {
  const items = new Map<string, Fields>()
  for (const fields of rows) {
    const parts = key.map(name => fields[name] ?? '')
    if (parts.every(part => part === '')) continue
    const id = parts.length === 1 ? parts[0]! : JSON.stringify(parts)
    const other = items.get(id)
    if (other == null || textOf(fields) < textOf(other)) items.set(id, fields)
  }
  return items
}

/** What has happened between what is known and what a right fetch found. Where things stand on the page does not count. */
export function compare(known: Iterable<KnownItem>, found: ReadonlyMap<string, Fields>): Comparison {
  const changes: Change[] = []
  const items: KnownItem[] = []
  const seen = new Set<string>()
  for (const item of known) {
    const { key, fields, missing, isGone } = item
    const now = found.get(key)
    seen.add(key)
    if (now == null) {
      if (isGone) continue
      const isLost = missing + 1 >= GONE_AFTER
      items.push({ key, fields, missing: missing + 1, isGone: isLost })
      if (isLost) changes.push({ kind: 'gone', key, old: fields })
      continue
    }
    const isSame = areSame(now, fields)
    if (isGone) changes.push({ kind: 'returned', key, old: fields, new: now })
    else if (!isSame) changes.push({ kind: 'changed', key, old: fields, new: now })
    if (isGone || !isSame || missing > 0) items.push({ key, fields: now, missing: 0, isGone: false })
  }
  for (const [key, fields] of found) {
    if (seen.has(key)) continue
    changes.push({ kind: 'new', key, new: fields })
    items.push({ key, fields, missing: 0, isGone: false })
  }
  return { changes, items }
}

/** Says what `textOf` would, and makes no texts: most items of most pages are what they were. */
function areSame(one: Fields, other: Fields): boolean {
  const names = Object.keys(one)
  return names.length === Object.keys(other).length && names.every(name => one[name] === other[name])
}

/** The same for equal fields in whatever order. */
export const textOf = (fields: Fields): string =>
  JSON.stringify(Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1)))
