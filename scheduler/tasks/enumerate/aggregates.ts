import { compareKeys, isKey, type Key } from '../keys.ts'

/*
 * What is kept of the values of an enumeration. The values of one unit are taken in order; what comes of them merges, the
 * left unit's before the right's. Runs on both sides: self-contained but for keys.ts.
 */

export const AGGREGATES = ['count', 'sum', 'min', 'max', 'histogram', 'topk', 'collect'] as const

export interface AggregateForm {
  operation: (typeof AGGREGATES)[number]
  /** of topk */
  k?: number
  /** of collect */
  limit?: number
  /** of sum: in BigInt, pairs are fractions */
  exact?: boolean
}

/** A value and the item that has it. */
export type Hit = [value: number | bigint, item: Int32Array]
export type Fraction = [numerator: bigint, denominator: bigint]
/** Keys in order, and how often each was there. */
export type Counts = [keys: Key[], counts: number[]]

export interface Tools {
  /** the item as it is now, to be kept */
  take(): Int32Array
  /** a value of the author's as data of its own */
  copy(value: unknown): unknown
}

/** What travels (`acc`) is null where it became too large; `excess` says so. */
export interface Aggregate {
  open(tools: Tools): { add(value: unknown): void; close(): unknown }
  combine(left: unknown, right: unknown): unknown
  /** true for what so many values can give: a worker's may be anything */
  isAcc(acc: unknown, visited: number): boolean
  excess: string
}

export function createAggregate({ operation, k = 1, limit = 0, exact = false }: AggregateForm): Aggregate {
  const MAX_KEYS = 100_000
  const SMALL_KEYS = 1024
  const LARGEST = 1n << 4096n
  const isSize = (value: unknown, most: number): boolean =>
    Number.isInteger(value) && (value as number) >= 0 && (value as number) <= most
  const refuse = (value: unknown, needs: string): never => {
    const what = value === null ? 'null' : typeof value === 'number' ? String(value) : typeof value
    throw new TypeError(`${operation} needs ${needs}, got ${what}`)
  }

  function counting(): Aggregate {
    return {
      open() {
        let found = 0
        return {
          add(value) {
            if (value) found++
          },
          close: () => found
        }
      },
      combine: (a, b) => (a as number) + (b as number),
      isAcc: isSize,
      excess: ''
    }
  }

  function adding(): Aggregate {
    return {
      open() {
        let sum = 0
        return {
          add(value) {
            sum += typeof value === 'number' ? value : refuse(value, 'a number; `exact` takes bigints')
          },
          close: () => sum
        }
      },
      combine: (a, b) => (a as number) + (b as number),
      isAcc: acc => typeof acc === 'number',
      excess: ''
    }
  }

  function addingExactly(): Aggregate {
    type Sum = bigint | Fraction
    const needs = 'an integer, or a fraction as a pair of integers'
    const big = (value: unknown): bigint => {
      if (typeof value === 'bigint') return value
      if (Number.isSafeInteger(value)) return BigInt(value as number)
      if (Number.isInteger(value))
        throw new TypeError(
          `${operation} with \`exact\` got the number ${value}, and numbers from 2^53 on are rounded; calculate in BigInt: x => BigInt(x) ** 2n`
        )
      return refuse(value, needs)
    }
    const isSmall = (value: unknown): boolean =>
      typeof value === 'bigint' && value < LARGEST && value > -LARGEST
    const reduced = (sum: Sum): Sum | null => {
      if (typeof sum === 'bigint') return isSmall(sum) ? sum : null
      let [a, b] = sum
      while (b !== 0n) {
        const rest = a % b
        a = b
        b = rest
      }
      if (a < 0n !== sum[1] < 0n) a = -a
      const fraction: Fraction = [sum[0] / a, sum[1] / a]
      return fraction.every(isSmall) ? fraction : null
    }
    const plus = (a: Sum, b: Sum): Sum => {
      if (typeof a === 'bigint' && typeof b === 'bigint') return a + b
      const [p, q] = typeof a === 'bigint' ? [a, 1n] : a
      const [r, s] = typeof b === 'bigint' ? [b, 1n] : b
      return q === s ? [p + r, q] : [p * s + r * q, q * s]
    }
    const combine = (a: unknown, b: unknown): unknown =>
      a === null || b === null ? null : reduced(plus(a as Sum, b as Sum))
    return {
      open() {
        let sum: Sum | null = 0n
        // integers are added as numbers for as long as that is exact
        let small = 0
        return {
          add(value) {
            if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= 2 ** 52) {
              small += value
              if (Math.abs(small) <= 2 ** 52) return
              value = BigInt(small)
              small = 0
            }
            if (sum === null) return
            if (!Array.isArray(value)) sum = plus(sum, big(value))
            else {
              const pair = [big(value[0]), big(value[1])] as Fraction
              if (value.length !== 2 || pair[1] === 0n) refuse(value, needs)
              const isNew = typeof sum !== 'bigint' && sum[1] !== pair[1]
              sum = isNew ? (combine(sum, pair) as Sum | null) : plus(sum, pair)
            }
          },
          close: () => combine(sum, BigInt(small))
        }
      },
      combine,
      isAcc: acc =>
        acc === null ||
        isSmall(acc) ||
        (Array.isArray(acc) && acc.length === 2 && acc.every(isSmall) && (acc[1] as bigint) > 0n),
      excess: 'sum gave an integer of more than 4,096 bits'
    }
  }

  /** The `most` largest, or smallest; of equal values the first. */
  function finding(sign: 1 | -1, most: number): Aggregate {
    const order = ([a]: Hit, [b]: Hit): number => (a < b ? sign : a > b ? -sign : 0)
    const isBefore = (a: Int32Array, b: Int32Array): boolean => {
      const at = a.findIndex((value, i) => value !== b[i])
      return at >= 0 && a[at]! < b[at]!
    }
    const isValue = (value: unknown): boolean =>
      typeof value === 'number'
        ? !Number.isNaN(value)
        : typeof value === 'bigint' && value < LARGEST && value > -LARGEST
    const best = (hits: Hit[]): Hit[] => hits.sort(order).slice(0, most)
    return {
      open({ take }) {
        let hits: Hit[] = []
        let least: number | bigint | undefined
        return {
          add(value) {
            if (!isValue(value)) refuse(value, 'numbers')
            const number = value as number | bigint
            if (least !== undefined && (sign > 0 ? number <= least : number >= least)) return
            hits.push([number, take()])
            if (hits.length < 2 * most) return
            hits = best(hits)
            least = hits.at(-1)![0]
          },
          close: () => best(hits)
        }
      },
      combine: (a, b) => best([...(a as Hit[]), ...(b as Hit[])]),
      isAcc: (acc, visited) =>
        Array.isArray(acc) &&
        acc.length === Math.min(most, visited) &&
        acc.every(
          hit => Array.isArray(hit) && hit.length === 2 && isValue(hit[0]) && hit[1] instanceof Int32Array
        ) &&
        acc.every((hit, i) => {
          const turn = i === 0 ? -1 : order(acc[i - 1], hit)
          return turn < 0 || (turn === 0 && isBefore(acc[i - 1][1], hit[1]))
        }),
      excess: ''
    }
  }

  function grouping(): Aggregate {
    return {
      open() {
        const small = new Float64Array(SMALL_KEYS)
        const others = new Map<Key, number>()
        return {
          add(key) {
            if (typeof key === 'number' && key >= 0 && key < SMALL_KEYS && Math.floor(key) === key)
              small[key] = small[key]! + 1
            else if (isKey(key)) others.set(key, (others.get(key) ?? 0) + 1)
            else refuse(key, 'numbers, strings, booleans or bigints')
          },
          close() {
            small.forEach((count, key) => {
              if (count > 0) others.set(key, count)
            })
            if (others.size > MAX_KEYS) return null
            const keys = [...others.keys()].sort(compareKeys)
            return [keys, keys.map(key => others.get(key)!)]
          }
        }
      },
      combine(left, right) {
        if (left === null || right === null) return null
        const [a, m] = left as Counts
        const [b, n] = right as Counts
        const [keys, counts]: Counts = [[], []]
        for (let i = 0, j = 0; i < a.length || j < b.length; ) {
          const turn = i === a.length ? 1 : j === b.length ? -1 : compareKeys(a[i]!, b[j]!)
          keys.push(turn <= 0 ? a[i]! : b[j]!)
          counts.push((turn <= 0 ? m[i++]! : 0) + (turn >= 0 ? n[j++]! : 0))
        }
        return keys.length > MAX_KEYS ? null : [keys, counts]
      },
      isAcc(acc, visited) {
        if (acc === null) return visited > MAX_KEYS
        const [keys, counts] = Array.isArray(acc) && acc.length === 2 ? (acc as unknown[]) : []
        return (
          Array.isArray(keys) &&
          Array.isArray(counts) &&
          keys.length === counts.length &&
          keys.length <= MAX_KEYS &&
          keys.every((key, i) => isKey(key) && (i === 0 || compareKeys(keys[i - 1], key) < 0)) &&
          counts.every(count => isSize(count, visited) && count > 0) &&
          counts.reduce((sum, count) => sum + count, 0) === visited
        )
      },
      excess: 'histogram has more than 100,000 keys'
    }
  }

  function collecting(): Aggregate {
    return {
      open({ copy }) {
        const values: unknown[] = []
        return {
          add(value) {
            if (value === undefined || values.length >= limit) return
            values.push(copy(value))
          },
          close: () => values
        }
      },
      combine: (a, b) => [...(a as unknown[]), ...(b as unknown[])].slice(0, limit),
      isAcc: (acc, visited) => Array.isArray(acc) && acc.length <= Math.min(limit, visited),
      excess: ''
    }
  }

  switch (operation) {
    case 'count':
      return counting()
    case 'sum':
      return exact ? addingExactly() : adding()
    case 'min':
      return finding(-1, 1)
    case 'max':
      return finding(1, 1)
    case 'topk':
      return finding(1, k)
    case 'histogram':
      return grouping()
    case 'collect':
      return collecting()
  }
}
