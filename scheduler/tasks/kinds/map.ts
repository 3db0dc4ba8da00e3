import { listPart } from '../../data/value-bytes.ts'
import { SpecError } from '../../errors.ts'
import type { Plan } from '../contract.ts'
import { type DriverTools, driverSource, encodeContext, expose, inOrder } from '../drivers.ts'
import {
  type Authored,
  author,
  context,
  firstIndex,
  inlineItems,
  items,
  keep,
  range,
  rangeItems,
  readAuthored
} from '../fields.ts'
import { defineKind, type SpecOf } from '../kind.ts'
import { listReducer } from '../reducers.ts'

const fields = { items: items.optional(), range: range.optional(), fn: author, firstIndex, context, keep }
type MapSpec = Authored<SpecOf<'map', typeof fields>, 'fn'>

/** fn of every item. */
export const map = defineKind({
  type: 'map',
  fields,
  description: 'fn of every item, in order.',
  limits: { timeoutMs: 30_000, items: 1e6 },
  streams: true,
  pipelineField: 'items',
  placeholders: () => ({ items: [] }),
  example: { type: 'map', items: ['one', 'two', 'three'], fn: 's => s.toUpperCase()' },
  check(spec, { limit }) {
    if ((spec.items == null) === (spec.range == null))
      throw new SpecError('items', 'give either `items` or `range`')
    if (spec.range != null && spec.firstIndex != null)
      throw new SpecError('firstIndex', 'is for `items`; a range says its `start`')
    limit('items', inlineItems(spec.items))
    return readAuthored(spec, 'fn')
  },
  plan: planMap
})

interface Input {
  first: number
  items?: unknown[]
  start?: number
  step?: number
  count?: number
}

/** Runs inside the sandbox; uses only what driverSource() puts beside it. */
function driver(
  task: (item: unknown, index: number) => unknown,
  _functions: unknown,
  context: Record<string, unknown> | undefined,
  { begin, piece, rest }: DriverTools
) {
  expose(context)
  return ({ first, items, start = 0, step = 1, count = 0 }: Input): unknown => {
    const call = (i: number): unknown => {
      begin(first + i)
      return task(items == null ? start + (first + i) * step : items[i], first + i)
    }
    return inOrder(items?.length ?? count, call, values => values, { take: piece, rest })
  }
}

const DRIVER = driverSource(driver, { expose, inOrder })

/** A unit is one item. */
function planMap(spec: MapSpec): Plan {
  const { items, range, firstIndex = 0 } = spec
  const units = items?.length ?? rangeItems(range!)
  const input = (first: number, count: number): Input =>
    items == null
      ? { first, start: range!.start, step: range!.step, count }
      : { first: firstIndex + first, items: items.slice(first, first + count) }
  return {
    units,
    program: { ...spec.fn, driver: DRIVER, context: encodeContext(spec.context) },
    input,
    whole: input(0, units),
    cut: listPart,
    keeps: { results: (_, count) => count },
    createReducer: () => listReducer(units)
  }
}
