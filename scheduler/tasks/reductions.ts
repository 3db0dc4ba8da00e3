export const OPERATIONS = ['sum', 'product', 'min', 'max', 'average', 'count', 'custom'] as const
export type Operation = (typeof OPERATIONS)[number]

/** How one operation starts, folds, combines and ends. `Acc` is what travels in a tree node. */
export interface Reduction {
  /** one mapped value → accumulator */
  lift(value: unknown): unknown
  /** accumulator, next mapped value → accumulator */
  fold(acc: unknown, value: unknown): unknown
  combine(left: unknown, right: unknown): unknown
  /** Where these of all that is combined are not more than 2^53 together, their order does not show in the bits; absent: it does. */
  weight?(acc: unknown): number
  /** true for what lift and fold can give: a worker's accumulator may be anything */
  isAcc(acc: unknown): boolean
  /** accumulator (undefined: there was no item) → result; `initial` stands left of everything */
  finish(acc: unknown, initial?: unknown): unknown
}

/**
 * Throws for what `what` gives only as a promise or a generator of it: taken as they are, both are true and neither is
 * the value. Self-contained, runs inside the sandbox.
 */
export function atHand(value: unknown, what: string): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (typeof (value as { then?: unknown }).then === 'function')
    throw new TypeError(`${what} gave a promise; it must not be async here`)
  if (typeof (value as { next?: unknown }).next !== 'function') return value
  if (Symbol.iterator in value)
    throw new TypeError(`${what} gave an iterator; write \`[...values]\` for its values`)
  if (Symbol.asyncIterator in value)
    throw new TypeError(`${what} gave an async iterator; it must not be async here`)
  return value
}

/**
 * The operations of range_reduce and map_reduce. Self-contained but for atHand: its source text also runs inside the sandbox,
 * so both sides combine with the same code. `reduce` is the author's function of `custom`.
 */
export function createReduction(
  operation: Operation,
  exact: boolean,
  reduce?: (a: unknown, b: unknown) => unknown
): Reduction {
  const number = (value: unknown): number => {
    if (typeof value === 'number') return value
    if (typeof value === 'bigint')
      throw new TypeError(`${operation} got the bigint ${value}; set \`exact: true\` to calculate in BigInt`)
    const found = atHand(value, 'the function') === null ? 'null' : typeof value
    throw new TypeError(`${operation} needs a number, got ${found}`)
  }
  const big = (value: unknown): bigint => {
    if (typeof value === 'bigint') return value
    if (Number.isSafeInteger(value)) return BigInt(value as number)
    const found = atHand(value, 'the function')
    if (Number.isInteger(found))
      throw new TypeError(
        `${operation} with \`exact\` got the number ${found}, and numbers from 2^53 on are rounded; calculate in BigInt: x => BigInt(x) ** 2n`
      )
    const what = typeof found === 'number' ? found : found === null ? 'null' : typeof found
    throw new TypeError(`${operation} with \`exact\` needs an integer, got ${what}`)
  }
  const start = (reduction: Pick<Reduction, 'lift' | 'combine'>, acc: unknown, initial: unknown): unknown =>
    initial === undefined
      ? acc
      : acc === undefined
        ? reduction.lift(initial)
        : reduction.combine(reduction.lift(initial), acc)
  // x + y is the same operator for number and bigint; the types are checked where values enter
  const simple = (
    combine: (a: never, b: never) => unknown,
    empty: number | undefined,
    weight?: (acc: unknown) => number
  ): Reduction => {
    const lift = exact ? big : number
    const reduction: Reduction = {
      lift,
      fold: exact
        ? (acc, value) => combine(acc as never, big(value) as never)
        : (acc, value) => combine(acc as never, (typeof value === 'number' ? value : number(value)) as never),
      combine: combine as (a: unknown, b: unknown) => unknown,
      weight,
      isAcc: acc => typeof acc === (exact ? 'bigint' : 'number'),
      finish: (acc, initial) =>
        start(reduction, acc, initial) ?? (empty === undefined ? undefined : lift(empty))
    }
    return reduction
  }
  // sums of whole numbers are exact
  const whole = (acc: unknown): number => (Number.isInteger(acc) ? Math.abs(acc as number) : Number.NaN)
  switch (operation) {
    case 'sum':
      return simple((a: number, b: number) => a + b, 0, whole)
    case 'product':
      return simple((a: number, b: number) => a * b, 1)
    case 'min':
      return simple(
        exact ? (a: bigint, b: bigint) => (b < a ? b : a) : (a: number, b: number) => Math.min(a, b),
        undefined,
        () => 0
      )
    case 'max':
      return simple(
        exact ? (a: bigint, b: bigint) => (b > a ? b : a) : (a: number, b: number) => Math.max(a, b),
        undefined,
        () => 0
      )
    case 'count': {
      const { lift, combine, isAcc, finish } = simple((a: number, b: number) => a + b, 0)
      const [no, yes] = [lift(0), lift(1)]
      const one = (value: unknown): unknown => (atHand(value, 'the function') ? yes : no)
      return {
        lift: one,
        fold: (acc, value) => combine(acc, one(value)),
        combine,
        weight: whole,
        isAcc,
        finish
      }
    }
    case 'average':
      return {
        lift: value => [number(value), 1],
        fold: (acc, value) => {
          const pair = acc as [number, number]
          pair[0] += number(value)
          pair[1]++
          return pair
        },
        combine: (a, b) => {
          const [x, y] = [a as [number, number], b as [number, number]]
          return [x[0] + y[0], x[1] + y[1]]
        },
        isAcc: acc => Array.isArray(acc) && acc.length === 2 && acc.every(each => typeof each === 'number'),
        finish: acc =>
          acc === undefined ? undefined : (acc as [number, number])[0] / (acc as [number, number])[1]
      }
    case 'custom': {
      const combine = (a: unknown, b: unknown): unknown => atHand(reduce!(a, b), 'reduce')
      return {
        lift: value => atHand(value, 'the function'),
        fold: (acc, value) => combine(acc, atHand(value, 'the function')),
        combine,
        isAcc: () => true,
        finish: (acc, initial) => start({ lift: acc => acc, combine }, acc, initial)
      }
    }
  }
}
