import { z } from 'zod'
import { decodeValue, encodeValue } from '../../../sandbox/index.ts'
import { ProtocolError } from '../../errors.ts'
import type { Plan } from '../contract.ts'
import { type DriverTools, driverSource, encodeContext, expose, inOrder } from '../drivers.ts'
import {
  type Authored,
  author,
  context,
  firstIndex,
  inlineItems,
  isElsewhere,
  items,
  keep,
  keepOf,
  readAuthored
} from '../fields.ts'
import { defineKind, type SpecOf } from '../kind.ts'
import { listReducer } from '../reducers.ts'
import { atHand } from '../reductions.ts'

const fields = {
  items,
  fn: author,
  firstIndex,
  indexes: z.boolean().optional().describe('true: the result is the indexes of the items, as fn sees them'),
  context,
  keep
}
type FilterSpec = Authored<SpecOf<'filter', typeof fields>, 'fn'>

/** The items for which fn is true. */
export const filter = defineKind({
  type: 'filter',
  fields,
  description: 'The items for which fn is true, in order.',
  limits: { timeoutMs: 30_000, items: 1e6 },
  pipelineField: 'items',
  placeholders: () => ({ items: [] }),
  example: { type: 'filter', items: [1, 2, 3, 4, 5, 6], fn: 'x => x % 2 === 0' },
  check(spec, { limit }) {
    limit('items', inlineItems(spec.items))
    return readAuthored(spec, 'fn')
  },
  plan: planFilter
})

interface Input {
  first: number
  items: unknown[]
  /** all items are here: give the kept ones or their indexes, not a mask */
  whole?: 'items' | 'indexes'
}

/** Runs inside the sandbox; uses only what driverSource() puts beside it. One bit per item is all that travels back. */
function driver(
  task: (item: unknown, index: number) => unknown,
  _functions: unknown,
  context: Record<string, unknown> | undefined,
  { begin, rest }: DriverTools
) {
  expose(context)
  return ({ first, items, whole }: Input): unknown => {
    const answer = (kept: unknown[]): unknown => {
      const isKept = (_: unknown, i: number): boolean => kept[i] === true
      if (whole === 'items') return items.filter(isKept)
      if (whole === 'indexes') return items.map((_, i) => first + i).filter(isKept)
      const mask = new Uint8Array(Math.ceil(kept.length / 8))
      for (let i = 0; i < kept.length; i++) if (kept[i] === true) mask[i >> 3]! |= 1 << (i & 7)
      return mask
    }
    const verdict = (i: number): unknown => {
      begin(first + i)
      return task(items[i], first + i)
    }
    const take = (value: unknown): boolean => Boolean(atHand(value, 'the function'))
    return inOrder(items.length, verdict, answer, { take, rest })
  }
}

const DRIVER = driverSource(driver, { atHand, expose, inOrder })

/** A unit is one item. The coordinator has the items; slices say which of them stay. */
function planFilter(spec: FilterSpec): Plan {
  const { items, firstIndex = 0, indexes } = spec
  const input = (first: number, count: number): Input => ({
    first: firstIndex + first,
    items: items.slice(first, first + count)
  })
  const whole = indexes ? 'indexes' : 'items'
  const program = { ...spec.fn, driver: DRIVER, context: encodeContext(spec.context) }
  // the items are not here, or are not to come here: slices give those that stay
  if (isElsewhere(items) || keepOf(spec))
    return {
      units: items.length,
      program,
      input: (first, count) => ({ ...input(first, count), whole }),
      keeps: {},
      whole: { ...input(0, items.length), whole },
      createReducer: () => listReducer()
    }
  return {
    units: items.length,
    program,
    input,
    whole: { ...input(0, items.length), whole },
    cut: maskPart,
    createReducer() {
      const kept = new Uint8Array(items.length)
      return {
        add(first, count, value) {
          const mask = decodeValue(value)
          if (!(mask instanceof Uint8Array) || mask.length !== Math.ceil(count / 8))
            throw new ProtocolError(`a result is not one bit for each of ${count} items`)
          for (let i = 0; i < count; i++) kept[first + i] = (mask[i >> 3]! >> (i & 7)) & 1
        },
        async finish() {
          const found = indexes ? items.map((_, i) => firstIndex + i) : items
          return encodeValue(found.filter((_, i) => kept[i] === 1))
        }
      }
    }
  }
}

function maskPart(answer: Uint8Array, first: number, count: number): Uint8Array {
  const mask = decodeValue(answer) as Uint8Array
  const part = new Uint8Array(Math.ceil(count / 8))
  for (let i = 0; i < count; i++)
    part[i >> 3]! |= ((mask[(first + i) >> 3]! >> ((first + i) & 7)) & 1) << (i & 7)
  return encodeValue(part)
}
