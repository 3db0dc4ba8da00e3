import type { Space } from './space.ts'

/** Most entries of an item and most elements to choose from. */
export const MAX_LENGTH = 1000
export const MAX_ELEMENTS = 10_000
// Partitions are counted in a table; more entries would take seconds and tens of megabytes.
const MAX_TABLE = 1 << 22
const LARGEST = 2 ** 53
// Of more elements there are more than 2^53 partitions into blocks.
const MAX_NUMBERED_SET = 22

function expect(holds: boolean, field: string, rule: string, value: unknown): void {
  if (!holds) throw new RangeError(`${field} must be ${rule}, got ${String(value)}`)
}

function expectInteger(field: string, value: number, least: number, most: number): void {
  const holds = Number.isInteger(value) && value >= least && value <= most
  expect(holds, field, `an integer from ${least} to ${most}`, value)
}

/** Throws RangeError with the field, the rule and the value for a space that is none. */
export function checkSpace(space: Space): void {
  switch (space.type) {
    case 'combinations':
      expectInteger('n', space.n, 0, MAX_ELEMENTS)
      expectInteger('k', space.k, 0, Math.min(MAX_LENGTH, space.n))
      break
    case 'multisets':
      expectInteger('n', space.n, 1, MAX_ELEMENTS)
      expectInteger('k', space.k, 0, MAX_LENGTH)
      break
    case 'permutations':
      expectInteger('n', space.n, 0, MAX_ELEMENTS)
      expectInteger('k', space.k ?? space.n, 0, Math.min(MAX_LENGTH, space.n))
      break
    case 'subsets':
    case 'set_partitions':
      expectInteger('n', space.n, 1, MAX_LENGTH)
      break
    case 'product':
      expectInteger('radices.length', space.radices.length, 1, MAX_LENGTH)
      for (const radix of space.radices) expectInteger('radices', radix, 1, MAX_ELEMENTS)
      break
    case 'tree': {
      const { depth, choices } = space
      expectInteger('depth', depth, 1, MAX_LENGTH)
      const list = typeof choices === 'number' ? [choices] : choices
      if (typeof choices !== 'number')
        expect(choices.length === depth, 'choices', `a number, or ${depth} of them`, choices.length)
      for (const each of list) expectInteger('choices', each, 1, MAX_ELEMENTS)
      break
    }
    case 'partitions': {
      const { n, parts, max } = space
      expectInteger('n', n, 1, MAX_ELEMENTS)
      if (parts != null) expectInteger('parts', parts, 1, Math.min(MAX_LENGTH, n))
      if (max != null) expectInteger('max', max, 1, MAX_ELEMENTS)
      const table = (n + 1) * (Math.min(max ?? n, n) + 1) * ((parts ?? 0) + 1)
      expect(table <= MAX_TABLE, '(n + 1) (max + 1) (parts + 1)', `at most ${MAX_TABLE}`, table)
      break
    }
    default:
      throw new RangeError(`there is no space ${JSON.stringify((space as { type: unknown }).type)}`)
  }
}

/** How many items a space has, exactly. Throws RangeError for what is no space. */
export function count(space: Space): bigint {
  checkSpace(space)
  switch (space.type) {
    case 'combinations':
      return choose(space.n, space.k)
    case 'multisets':
      return choose(space.n + space.k - 1, space.k)
    case 'permutations':
      return product(Array.from({ length: space.k ?? space.n }, (_, i) => space.n - i))
    case 'subsets':
      return 2n ** BigInt(space.n)
    case 'product':
      return product(space.radices)
    case 'tree':
      return typeof space.choices === 'number'
        ? BigInt(space.choices) ** BigInt(space.depth)
        : product(space.choices)
    case 'partitions': {
      const few = fewPartitions(space)
      return few < LARGEST ? BigInt(few) : allPartitions(space)
    }
    case 'set_partitions':
      return bell(space.n)
  }
}

/** How many items a space with ranks has; undefined for one of more than 2^53, which takes no longer to find out. */
export function countRanks(space: Space): number | undefined {
  checkSpace(space)
  if (space.type === 'set_partitions' && space.n > MAX_NUMBERED_SET) return undefined
  const total = space.type === 'partitions' ? fewPartitions(space) : count(space)
  return total > LARGEST ? undefined : Number(total)
}

const product = (numbers: readonly number[]): bigint =>
  numbers.reduce((result, number) => result * BigInt(number), 1n)

function choose(n: number, k: number): bigint {
  let result = 1n
  for (let i = 1; i <= k; i++) result = (result * BigInt(n - k + i)) / BigInt(i)
  return result
}

type Partitions = Extract<Space, { type: 'partitions' }>

/** Exact below 2^53: then so is everything that it is a sum of. */
const fewPartitions = (space: Partitions): number =>
  partitions(space, new Float64Array(space.n + 1).fill(0), 1)

const allPartitions = (space: Partitions): bigint =>
  partitions(space, new Array<bigint>(space.n + 1).fill(0n), 1n)

/** Of n as numbers of at most `max`: one size after the other joins, and `parts` of them are counted by rows. */
function partitions<N extends number | bigint>(
  { n, parts, max = n }: Partitions,
  zeros: { [sum: number]: N; slice(): typeof zeros },
  one: N
): N {
  const rows = Array.from({ length: (parts ?? 0) + 1 }, () => zeros.slice()) as { [sum: number]: number }[]
  rows[0]![0] = one as number
  for (let size = 1; size <= Math.min(max, n); size++)
    for (let row = parts == null ? 0 : 1; row < rows.length; row++) {
      const to = rows[row]!
      const from = rows[parts == null ? 0 : row - 1]!
      for (let sum = size; sum <= n; sum++) to[sum]! += from[sum - size]!
    }
  return rows.at(-1)![n] as N
}

/** Bell's triangle (Peirce, Aitken). */
function bell(n: number): bigint {
  let row = [1n]
  for (let i = 1; i < n; i++) {
    const next = [row.at(-1)!]
    for (const each of row) next.push(next.at(-1)! + each)
    row = next
  }
  return row.at(-1)!
}
