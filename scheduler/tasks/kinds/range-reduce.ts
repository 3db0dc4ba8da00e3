import { z } from 'zod'
import { SpecError } from '../../errors.ts'
import type { Plan } from '../contract.ts'
import { type DriverTools, driverSource, encodeContext, expose, LEVEL } from '../drivers.ts'
import { type Authored, author, checkInitial, context, integer, rangeItems, readAuthored } from '../fields.ts'
import { blockSize, createTree, foldBlocks, mergeNodes } from '../fold-tree.ts'
import { defineKind, type SpecOf } from '../kind.ts'
import { expectAcc, type ReduceInput, treeReducer } from '../reducers.ts'
import type { Operation } from '../reductions.ts'
import { atHand, createReduction, OPERATIONS } from '../reductions.ts'

const fields = {
  start: integer,
  end: integer,
  step: z.int().positive().default(1),
  map: author.optional(),
  partial: author.optional(),
  operation: z.enum(OPERATIONS).default('sum'),
  reduce: author.optional(),
  initial: z.unknown().optional(),
  exact: z.boolean().default(false),
  context
}
type RangeReduceSpec = Authored<SpecOf<'range_reduce', typeof fields>, 'map' | 'partial' | 'reduce'>

/** Reduces map(x) over the integers from start to end. */
export const rangeReduce = defineKind({
  type: 'range_reduce',
  fields,
  description: 'Reduces map(x) over the integers from start to end, both inclusive.',
  limits: { timeoutMs: 30_000, items: 1e6 },
  placeholders: () => ({ start: 0, end: 0 }),
  example: { type: 'range_reduce', start: 1, end: 1_000_000, map: 'x => x * x', operation: 'sum' },
  check(spec) {
    const { start, end, step, map, partial, operation, reduce, initial, exact } = spec
    if (map != null && partial != null)
      throw new SpecError('partial', 'takes the place of `map`; give only one of them')
    if ((reduce != null) !== (operation === 'custom'))
      throw new SpecError('reduce', '`operation: "custom"` and `reduce` go together; give both or neither')
    if (partial != null && operation === 'average')
      throw new SpecError(
        'partial',
        'a partial result carries no count, so `average` cannot be calculated; use `sum` and divide'
      )
    if (partial != null && step !== 1) throw new SpecError('step', `must be 1 with \`partial\`, got ${step}`)
    if (exact && operation === 'average')
      throw new SpecError('exact', 'an average is not an integer; use `sum` with `exact` and divide')
    if (exact && operation === 'custom')
      throw new SpecError(
        'exact',
        'is for the operations that are there; your own `reduce` calculates in BigInt where its values are'
      )
    checkInitial(operation, exact, initial)
    if (end < start && initial === undefined && !['sum', 'product', 'count'].includes(operation))
      throw new SpecError(
        'end',
        `${end} is below start ${start}: ${operation} of an empty range has no value`
      )
    return readAuthored(spec, 'map', 'partial', 'reduce')
  },
  plan: planRangeReduce
})

// A sub-range for `partial` is worth its fixed cost (a sieve calculates its base primes again each time), so there
// are fewer and larger blocks; and a block larger than 2^24 items would outlast a slice's time limit.
const PARTIAL_BLOCKS = 1 << 10
const MAX_PARTIAL_BLOCK_ITEMS = 1 << 24

const { fold: FOLD, initial: INITIAL } = LEVEL

interface Input extends ReduceInput {
  start: number
  step: number
  items: number
  size: number
  operation: Operation
  exact: boolean
  partial: boolean
}

/**
 * Adds values from left to right into `sum` for as long as they are integers of which float64 holds every sum: then any
 * order of addition gives the same bits as the tree. `at`: how many were added; they are in `values`, and `value` is the
 * one that does not go with them. Self-contained, runs inside the sandbox.
 */
function addIntegers(
  values: Float64Array,
  count: number,
  itemAt: (i: number) => unknown
): { at: number; sum: number; value?: unknown } {
  let sum = -0 // adds nothing to any number, not even to -0
  let size = 0
  for (let at = 0; at < count; at++) {
    const value = itemAt(at)
    if (typeof value !== 'number') return { at, sum, value }
    size += Math.abs(value)
    if (!(size <= Number.MAX_SAFE_INTEGER) || Math.floor(value) !== value) return { at, sum, value }
    values[at] = value
    sum += value
  }
  return { at: count, sum }
}

/** Runs inside the sandbox; uses only what driverSource() puts beside it. */
function driver(
  task: (...args: number[]) => unknown,
  functions: { reduce?: (a: unknown, b: unknown) => unknown },
  context: Record<string, unknown> | undefined,
  { begin, copy }: DriverTools
) {
  expose(context)
  // of small tasks that are done whole: grows to the largest of them
  let kept = new Float64Array(1024)
  return (input: Input): unknown => {
    const { start, step, items, size, operation, exact, partial, first, count, merge, initial, whole } = input
    const { lift, fold, combine, finish } = createReduction(operation, exact, functions.reduce)
    const blocks = Math.ceil(items / size)
    const custom = operation === 'custom'
    const combineAt = custom
      ? (left: unknown, right: unknown, level: number, index: number) => {
          begin(index, level)
          return copy(combine(left, right))
        }
      : combine
    const single = (at: number): unknown => {
      begin(at)
      return task(start + at * step)
    }
    let done = 0
    let odd: { value?: unknown } | undefined
    if (operation === 'sum' && size === 1 && whole && merge == null && !exact && !partial) {
      if (kept.length < items) kept = new Float64Array(items)
      const added = addIntegers(kept, items, single)
      if (items > 0 && added.at === items) return finish(added.sum, initial)
      done = added.at
      odd = added
    }
    const leaf = (block: number): unknown => {
      // the author's function is called once per item, also when it counts its calls
      if (block < done) return kept[block]
      if (block === done && odd != null) return lift(odd.value)
      const from = block * size
      const end = Math.min(from + size, items)
      begin(from)
      let acc = lift(
        partial ? task(start + from * step, start + (end - 1) * step) : task(start + from * step)
      )
      for (let at = from + 1; at < end && !partial; at++) {
        const value = single(at)
        if (custom) begin(at, FOLD)
        acc = fold(acc, value)
      }
      return custom ? copy(acc) : acc
    }
    const nodes =
      merge == null ? foldBlocks(blocks, first, count, leaf, combineAt) : mergeNodes(blocks, merge, combineAt)
    begin(0, INITIAL)
    return whole ? finish(nodes[0]?.[2], initial) : nodes
  }
}

const DRIVER = driverSource(
  driver,
  {
    atHand,
    expose,
    foldBlocks,
    mergeNodes,
    createTree,
    createReduction,
    addIntegers
  },
  { FOLD, INITIAL }
)

/** `size`, `items`: a unit is a block of `size` items of the range. */
function planRangeReduce(spec: RangeReduceSpec): Plan {
  const { start, step, exact, initial } = spec
  const partial = spec.partial != null
  // what `partial` counted is a number to add up
  const operation = partial && spec.operation === 'count' ? 'sum' : spec.operation
  const items = rangeItems(spec)
  const size = partial
    ? Math.min(blockSize(items, PARTIAL_BLOCKS), MAX_PARTIAL_BLOCK_ITEMS)
    : blockSize(items)
  const units = Math.ceil(items / size)
  // without `map`, an item is its own value; counted, every item counts
  const identity = { kind: 'function' as const, source: operation === 'count' ? '() => true' : 'x => x' }
  const input = (first: number, count: number): Input => ({
    start,
    step,
    items,
    size,
    operation,
    exact,
    partial,
    first,
    count
  })
  const { combine, isAcc, finish } = createReduction(operation, exact)
  return {
    units,
    program: {
      ...(spec.partial ?? spec.map ?? identity),
      functions: spec.reduce == null ? undefined : { reduce: spec.reduce },
      driver: DRIVER,
      context: encodeContext(spec.context)
    },
    input,
    whole: { ...input(0, units), initial, whole: true },
    createReducer: () =>
      treeReducer({
        blocks: units,
        combine: operation === 'custom' ? undefined : combine,
        expect: expectAcc(isAcc),
        mergeInput: merge => ({ ...input(0, 0), merge, initial, whole: true }),
        finish: root => finish(root, initial)
      })
  }
}
