/*
 * Combinatorial spaces in lexicographic order: an item is a list of small integers, its rank the number of items before
 * it. What is exported here runs inside the sandbox too, by its source text, so each function is self-contained but for
 * those that createOrder names.
 */

export type Space =
  /** k of the numbers below n, ascending */
  | { type: 'combinations'; n: number; k: number }
  /** k (default n) different numbers below n in any order */
  | { type: 'permutations'; n: number; k?: number }
  /** k of the numbers below n with repetition, never descending */
  | { type: 'multisets'; n: number; k: number }
  /** n entries, 1 where an element is in */
  | { type: 'subsets'; n: number }
  /** entry i is below radices[i] */
  | { type: 'product'; radices: readonly number[] }
  /** positive numbers that never ascend and sum to n: exactly `parts`, none above `max` */
  | { type: 'partitions'; n: number; parts?: number; max?: number }
  /** for each of n elements the number of its block; blocks are numbered as they appear */
  | { type: 'set_partitions'; n: number }
  /** entry i is below choices, or choices[i]; made to be pruned, so it has no ranks and may be of any size */
  | { type: 'tree'; depth: number; choices: number | readonly number[] }

/** A space as ranks; exact where it has at most 2^53 items. */
export interface Order {
  /** entries that hold an item while it is stepped through; `lengthOf` of them are the item */
  size: number
  lengthOf(state: Int32Array): number
  unrank(rank: number, state: Int32Array): void
  rank(state: Int32Array): number
  /**
   * Steps to the first item after all that share the entries up to `last` with this one. Gives the first entry that
   * changed, −1 where there is none.
   */
  next(state: Int32Array, last: number): number
}

/** `repeat`: 1 for combinations, whose entries ascend by at least that; 0 for multisets. */
export function chosen(n: number, k: number, ascent: 0 | 1): Order {
  // ways[j][s]: j entries from a range that leaves room for s more values: C(j + s, j)
  const room = Math.max(0, n - 1 - ascent * (k - 1)) + 1
  const ways: Float64Array[] = [new Float64Array(room + 1).fill(1)]
  for (let j = 1; j <= k; j++) {
    const row = new Float64Array(room + 1).fill(1)
    for (let s = 1; s <= room; s++) row[s] = ways[j - 1]![s]! + row[s - 1]!
    ways.push(row)
  }
  const roomAfter = (value: number, rest: number): number => n - 1 - value - ascent * rest
  return {
    size: k,
    lengthOf: () => k,
    unrank(rank, state) {
      let value = 0
      for (let i = 0; i < k; i++) {
        const rest = k - 1 - i
        for (let below = 0; ; value++) {
          below = ways[rest]![roomAfter(value, rest)]!
          if (rank < below) break
          rank -= below
        }
        state[i] = value
        value += ascent
      }
    },
    rank(state) {
      let rank = 0
      let least = 0
      for (let i = 0; i < k; i++) {
        const rest = k - 1 - i
        const row = ways[rest + 1]!
        rank += row[roomAfter(least, rest)]! - row[roomAfter(state[i]!, rest)]!
        least = state[i]! + ascent
      }
      return rank
    },
    next(state, last) {
      let i = last
      while (i >= 0 && state[i]! >= n - 1 - ascent * (k - 1 - i)) i--
      if (i < 0) return -1
      let value = state[i]! + 1
      for (let j = i; j < k; j++) {
        state[j] = value
        value += ascent
      }
      return i
    }
  }
}

/** The state has all n numbers: behind the item's, ascending, those that are not in it. */
export function arranged(n: number, k: number): Order {
  const weights = new Float64Array(k).fill(1)
  for (let i = k - 2; i >= 0; i--) weights[i] = weights[i + 1]! * (n - 1 - i)
  const reverse = (state: Int32Array, from: number): void => {
    for (let i = from, j = n - 1; i < j; i++, j--) {
      const value = state[i]!
      state[i] = state[j]!
      state[j] = value
    }
  }
  return {
    size: n,
    lengthOf: () => k,
    unrank(rank, state) {
      for (let i = 0; i < n; i++) state[i] = i
      for (let i = 0; i < k; i++) {
        const digit = Math.floor(rank / weights[i]!)
        rank -= digit * weights[i]!
        const value = state[i + digit]!
        state.copyWithin(i + 1, i, i + digit)
        state[i] = value
      }
    },
    rank(state) {
      let rank = 0
      for (let i = 0; i < k; i++) {
        let digit = state[i]!
        for (let j = 0; j < i; j++) if (state[j]! < state[i]!) digit--
        rank += digit * weights[i]!
      }
      return rank
    },
    next(state, last) {
      // what follows `last` in descending order: as if all that share the entries before had been
      for (let i = last + 2; i < n; i++) {
        const value = state[i]!
        let j = i
        for (; j > last + 1 && state[j - 1]! > value; j--) state[j] = state[j - 1]!
        state[j] = value
      }
      reverse(state, last + 1)
      let i = n - 2
      while (i >= 0 && state[i]! > state[i + 1]!) i--
      if (i < 0) return -1
      let j = n - 1
      while (state[j]! < state[i]!) j--
      const value = state[i]!
      state[i] = state[j]!
      state[j] = value
      reverse(state, i + 1)
      return i
    }
  }
}

export function mixedRadix(radices: readonly number[]): Order {
  const k = radices.length
  const weights = new Float64Array(k).fill(1)
  for (let i = k - 2; i >= 0; i--) weights[i] = weights[i + 1]! * radices[i + 1]!
  return {
    size: k,
    lengthOf: () => k,
    unrank(rank, state) {
      for (let i = 0; i < k; i++) {
        state[i] = Math.floor(rank / weights[i]!)
        rank -= state[i]! * weights[i]!
      }
    },
    rank(state) {
      let rank = 0
      for (let i = 0; i < k; i++) rank += state[i]! * weights[i]!
      return rank
    },
    next(state, last) {
      let i = last
      while (i >= 0 && state[i]! + 1 >= radices[i]!) i--
      if (i < 0) return -1
      state[i] = state[i]! + 1
      state.fill(0, i + 1)
      return i
    }
  }
}

/** Items are of different lengths: what is behind one is 0. */
export function summed(n: number, parts: number | undefined, max: number): Order {
  const length = parts ?? n
  // ways[m][most · (n + 1) + rest]: `rest` as a sum of m numbers (of any count without `parts`), none above `most`
  const ways: Float64Array[] = []
  for (let m = 0; m <= (parts ?? 0); m++) {
    const table = new Float64Array((n + 1) * (max + 1))
    const fewer = parts == null ? table : ways[m - 1]
    const width = n + 1
    for (let most = 0; most <= max; most++) {
      table[most * width] = parts == null || m === 0 ? 1 : 0
      if (most === 0 || fewer == null) continue
      for (let rest = 1, at = most * width + 1; rest <= n; rest++, at++)
        table[at] = table[at - width]! + (rest >= most ? fewer[at - most]! : 0)
    }
    ways.push(table)
  }
  const count = (rest: number, most: number, m: number): number =>
    ways[parts == null ? 0 : m]![most * (n + 1) + rest]!
  return {
    size: length,
    lengthOf(state) {
      if (parts != null) return parts
      let at = state.indexOf(0)
      if (at < 0) at = length
      return at
    },
    unrank(rank, state) {
      let rest = n
      state.fill(0)
      for (let i = 0; rest > 0; i++) {
        let value = 1
        for (;;) {
          const below = count(rest - value, value, length - 1 - i)
          if (rank < below) break
          rank -= below
          value++
        }
        state[i] = value
        rest -= value
      }
    },
    rank(state) {
      let rank = 0
      let rest = n
      for (let i = 0; rest > 0; i++) {
        for (let value = Math.min(state[i]! - 1, rest); value > 0; value--)
          rank += count(rest - value, value, length - 1 - i)
        rest -= state[i]!
      }
      return rank
    },
    next(state, last) {
      let rest = n
      for (let i = 0; i <= last; i++) rest -= state[i]!
      for (let i = last; i >= 0; i--) {
        rest += state[i]!
        const value = state[i]! + 1
        const most = i === 0 ? max : state[i - 1]!
        const after = rest - value
        const places = length - 1 - i
        const fits = parts == null ? after >= 0 : after >= places && after <= places * value
        if (value > most || !fits) continue
        state[i] = value
        let left = after
        for (let j = i + 1; j < length; j++) {
          // the least that leaves no more than its own for each of the others
          const part = left === 0 ? 0 : parts == null ? 1 : Math.ceil(left / (length - j))
          state[j] = part
          left -= part
        }
        return i
      }
      return -1
    }
  }
}

export function grouped(n: number): Order {
  // ways[rest][m]: `rest` more elements where there are m blocks
  const ways: Float64Array[] = [new Float64Array(n + 2).fill(1)]
  for (let rest = 1; rest < n; rest++) {
    const row = new Float64Array(n + 2)
    for (let m = 1; m + rest <= n; m++) row[m] = m * ways[rest - 1]![m]! + ways[rest - 1]![m + 1]!
    ways.push(row)
  }
  return {
    size: n,
    lengthOf: () => n,
    unrank(rank, state) {
      let blocks = 0
      for (let i = 0; i < n; i++) {
        const below = ways[n - 1 - i]![Math.max(1, blocks)]!
        const value = Math.min(blocks, Math.floor(rank / below))
        rank -= value * below
        state[i] = value
        if (value === blocks) blocks++
      }
    },
    rank(state) {
      let rank = 0
      let blocks = 0
      for (let i = 0; i < n; i++) {
        rank += state[i]! * ways[n - 1 - i]![Math.max(1, blocks)]!
        if (state[i] === blocks) blocks++
      }
      return rank
    },
    next(state, last) {
      for (let i = last; i > 0; i--) {
        let blocks = 0
        for (let j = 0; j < i; j++) if (state[j]! >= blocks) blocks = state[j]! + 1
        if (state[i]! >= blocks) continue
        state[i] = state[i]! + 1
        state.fill(0, i + 1)
        return i
      }
      return -1
    }
  }
}

/** The order of a space that was found right (checkSpace). */
export function createOrder(space: Space): Order {
  switch (space.type) {
    case 'combinations':
      return chosen(space.n, space.k, 1)
    case 'multisets':
      return chosen(space.n, space.k, 0)
    case 'permutations':
      return arranged(space.n, space.k ?? space.n)
    case 'subsets':
      return mixedRadix(new Array(space.n).fill(2))
    case 'product':
      return mixedRadix(space.radices)
    case 'partitions':
      return summed(space.n, space.parts, Math.min(space.max ?? space.n, space.n))
    case 'set_partitions':
      return grouped(space.n)
    case 'tree':
      return mixedRadix(
        typeof space.choices === 'number' ? new Array(space.depth).fill(space.choices) : space.choices
      )
  }
}

/** What createOrder needs beside it where it runs by its source text. */
export const ORDERS = { chosen, arranged, mixedRadix, summed, grouped, createOrder }
