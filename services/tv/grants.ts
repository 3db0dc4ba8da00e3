import { type Condition, parseCondition } from './condition.ts'

/** What can be granted; `read` is to look, the others are to do. */
export const VERBS = [
  'read',
  'control',
  'power',
  'files',
  'apps',
  'system',
  'campaign',
  'card',
  'override',
  'shell'
] as const
export type Verb = (typeof VERBS)[number]

export interface TvGrant {
  peer: string
  verbs: readonly Verb[]
  /** of which TVs */
  on: Condition
  /** ms since 1970 */
  until: number
}

const GRANT = /^(\w{20,100}) ([a-z,]{1,200})(?: on ([^;]{1,300}?))?(?: until (\d{4}-\d{2}-\d{2}))?$/

/**
 * `12D3Koo… read,control on line=2 & model~metro until 2027-01-31`: what operators of that node may do with the TVs of
 * this one. The last day counts whole, in UTC. Undefined: it is none.
 */
export function grantOf(text: string): TvGrant | undefined {
  const [, peer, verbs = '', on = '*', until] = GRANT.exec(text) ?? []
  const named = verbs.split(',')
  if (peer == null || named.some(each => !VERBS.includes(each as Verb))) return undefined
  const end = until == null ? Number.POSITIVE_INFINITY : Date.parse(`${until}T23:59:59.999Z`)
  if (Number.isNaN(end)) return undefined
  try {
    return { peer, verbs: named as Verb[], on: parseCondition(on), until: end }
  } catch {
    // its condition is none, so it is no grant
    return undefined
  }
}

/** Whether a node may. Default: no. */
export function isGranted(
  grants: readonly TvGrant[],
  peer: string,
  verb: Verb,
  tags: Readonly<Record<string, string>>,
  now: number
): boolean {
  return grants.some(
    each => each.peer === peer && each.verbs.includes(verb) && now <= each.until && each.on(tags)
  )
}
