import type { Fields } from '../extract/contract.ts'
import type { EventKind, Subscription } from '../rule.ts'
import { isFound } from '../search/fold.ts'
import { stands } from './pattern.ts'

export interface Told {
  kind: EventKind
  rule: string
  old?: Fields
  new?: Fields
}

/**
 * Whether a subscription is told of an event. A condition is told when it becomes true: it was false, or the item was not
 * there, before.
 */
export function isWanted(
  { rule, kinds, query, when }: Pick<Subscription, 'rule' | 'kinds' | 'query' | 'when'>,
  event: Told
): boolean {
  if (rule != null && rule !== event.rule) return false
  if (!kinds.includes(event.kind)) return false
  if (query != null && ![event.new, event.old].some(fields => fields != null && isFound(query, fields)))
    return false
  if (when == null) return true
  const before = event.kind === 'changed' && holds(when, event.old)
  return holds(when, event.new) && !before
}

/** Whether a subscription is told of an item that was there already when it, or its rule, began. */
export const isWantedFirst = (
  subscription: Pick<Subscription, 'rule' | 'kinds' | 'query' | 'when' | 'first'>,
  item: { rule: string; new?: Fields }
): boolean =>
  subscription.first === 'matching' && isWanted({ ...subscription, kinds: ['new'] }, { ...item, kind: 'new' })

function holds(when: NonNullable<Subscription['when']>, fields: Fields | undefined): boolean {
  const value = fields?.[when.field]
  if (value == null || value === '') return false
  if (when.contains != null && !value.toLowerCase().includes(when.contains.toLowerCase())) return false
  if (when.matches != null && !stands(when.matches, value)) return false
  if (when.above == null && when.below == null) return true
  const number = Number(value)
  if (Number.isNaN(number)) return false
  return (
    number > (when.above ?? Number.NEGATIVE_INFINITY) && number < (when.below ?? Number.POSITIVE_INFINITY)
  )
}
