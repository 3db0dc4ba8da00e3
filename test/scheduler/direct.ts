import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { decodeValue, encodeValue } from '../../sandbox/index.ts'
import { parseSpec } from '../../scheduler/tasks/parse-spec.ts'
import { plan } from '../../scheduler/tasks/registry.ts'
import { cutting } from './arbitraries.ts'
import { runHere, runPlan } from './programs.ts'

/** Blocks of the least power of two that gives at most `most` blocks, each folded left to right, then in a binary tree. */
export function inTree<T, A>(
  items: T[],
  fold: (block: T[]) => A,
  combine: (a: A, b: A) => A,
  most = 16_384
): A | undefined {
  let size = 1
  while (Math.ceil(items.length / size) > most) size *= 2
  const blocks: A[] = []
  for (let at = 0; at < items.length; at += size) blocks.push(fold(items.slice(at, at + size)))
  let row = blocks
  while (row.length > 1) {
    const above: A[] = []
    for (let i = 0; i < row.length; i += 2)
      above.push(i + 1 < row.length ? combine(row[i] as A, row[i + 1] as A) : (row[i] as A))
    row = above
  }
  return row[0]
}

export const listed = (start: number, end: number, step: number): number[] => {
  const items: number[] = []
  for (let x = start; x <= end; x += step) items.push(x)
  return items
}

export type Fn = (...args: never[]) => unknown
export const add = (a: number, b: number): number => a + b

/** Operations over a list of mapped numbers, by their definition. */
export const DIRECT: Record<string, (values: number[]) => number | undefined> = {
  sum: values => inTree(values, block => block.reduce(add), add) ?? 0,
  product: values =>
    inTree(
      values,
      block => block.reduce((a, b) => a * b),
      (a, b) => a * b
    ) ?? 1,
  min: values => (values.length === 0 ? undefined : values.reduce((a, b) => Math.min(a, b))),
  max: values => (values.length === 0 ? undefined : values.reduce((a, b) => Math.max(a, b))),
  average: values => {
    const total = inTree(values, block => block.reduce(add), add)
    return total === undefined ? undefined : total / values.length
  },
  count: values => values.filter(Boolean).length
}

/** Checks one spec for one cutting against the expected value, also calculated whole, as one of a batch. */
export async function check(spec: unknown, cuts: Cuts, expected: unknown): Promise<void> {
  const planned = plan(parseSpec(spec))
  const run = runHere(planned.program)
  const result = await runPlan(planned, cuts(planned.units), run)
  sameBytes(result, encodeValue(expected))
  sameBytes(await run(encodeValue(planned.whole)), result)
}

export function sameBytes(actual: Uint8Array, expected: Uint8Array): void {
  if (Buffer.compare(actual, expected) === 0) return
  assert.deepEqual(decodeValue(actual), decodeValue(expected))
  assert.fail('the values are equal, their bytes are not')
}

export type Cuts = (units: number) => { first: number; count: number }[]
/** A cutting for a number of units that is only known when the plan is made. */
export const cuts: fc.Arbitrary<Cuts> = fc
  .infiniteStream(fc.integer({ min: 0, max: 2 ** 31 - 1 }))
  .map(stream => units => {
    const [seed = 0] = stream.take(1)
    return fc.sample(cutting(units), { numRuns: 1, seed })[0] as ReturnType<Cuts>
  })

export const range = fc.record({
  start: fc.integer({ min: -1000, max: 1000 }),
  items: fc.oneof(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 16_000, max: 40_000 })),
  step: fc.integer({ min: 1, max: 7 }),
  rest: fc.nat(100)
})

export const endOf = ({
  start,
  items,
  step,
  rest
}: {
  start: number
  items: number
  step: number
  rest: number
}) => (items === 0 ? start - 1 - rest : start + (items - 1) * step + (rest % step))

export const MAPS: ((x: number) => number)[] = [
  x => x,
  x => Math.sqrt(Math.abs(x)) / 3,
  x => (x % 7 === 0 ? 0 : 1 / x),
  x => (x * 2654435761) % 1009
]
