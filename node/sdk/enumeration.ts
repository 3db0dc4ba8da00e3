import type { Space } from '../../scheduler/spaces/index.ts'

export type { Space } from '../../scheduler/spaces/index.ts'

/** An item of a space that has this value; in a tree it has no rank. */
export interface Best {
  value: number | bigint
  rank?: number
  item: number[]
}
/** What each aggregate gives. */
export interface Aggregates {
  /** how many values are true */
  count: number
  /** with `exact` a bigint, or numerator and denominator where values are such pairs */
  sum: number | bigint | [bigint, bigint]
  /** null where nothing was visited; of equal values the first */
  min: Best | null
  max: Best | null
  /** in the order of keys */
  histogram: [key: string | number | boolean | bigint, count: number][]
  /** the k largest */
  topk: Best[]
  /** the first `limit` values that are not undefined */
  collect: unknown[]
}
export type AggregateName = keyof Aggregates
export type Aggregate =
  | AggregateName
  | {
      operation: AggregateName
      /** what is aggregated, of the value that `evaluate` gave; default: the value itself */
      // biome-ignore lint/suspicious/noExplicitAny: whatever `evaluate` gives
      of?: string | ((value: any) => unknown)
      /** of topk, 1 to 10,000; default 10 */
      k?: number
      /** of collect, 1 to 100,000; default 1,000 */
      limit?: number
    }

type ValueOf<A> = A extends AggregateName
  ? Aggregates[A]
  : A extends { operation: infer O extends AggregateName }
    ? Aggregates[O]
    : { [Name in keyof A]: ValueOf<A[Name]> }

/** `visited` and `skipped` (what `prune` dropped; in a tree a bigint) are all items of the space, or of from…to. */
export interface Enumerated<A> {
  visited: number
  skipped: number | bigint
  value: ValueOf<A>
}

export interface Enumeration {
  space: Space
  /** (item, rank) → value. The item is one list that is used again; of a tree there is no rank. Default: the item. */
  evaluate?: string | ((item: Int32Array, rank: number) => unknown)
  /** true drops every item that begins with this prefix; called with prefixes of every length, whole items too */
  prune?: string | ((prefix: Int32Array, depth: number) => unknown)
  aggregate: Aggregate | Readonly<Record<string, Aggregate>>
  /** first rank; default 0 */
  from?: number
  /** rank after the last one; default: all */
  to?: number
  /** sums in BigInt; a pair of integers is a fraction */
  exact?: boolean
}
