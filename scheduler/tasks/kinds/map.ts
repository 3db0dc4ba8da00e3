import { decodeValue } from '../../../sandbox/index.ts'
import { arrayHead, encodeArray, listPart } from '../../data/value-bytes.ts'
import { ProtocolError } from '../../errors.ts'
import type { Plan, Reducer } from '../contract.ts'
import { createChance, driverSource, encodeContext, expose, inOrder } from '../drivers.ts'
import type { MapSpec } from '../schema.ts'
import { rangeItems } from './range-reduce.ts'

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
  context: Record<string, unknown> | undefined
) {
  expose(context)
  const reseed = createChance()
  return ({ first, items, start = 0, step = 1, count = 0 }: Input): unknown => {
    const call = (i: number): unknown => {
      reseed(first + i)
      return task(items == null ? start + (first + i) * step : items[i], first + i)
    }
    return inOrder(items?.length ?? count, call, values => values)
  }
}

const DRIVER = driverSource(driver, { createChance, expose, inOrder })

/** A unit is one item. */
export function planMap(spec: MapSpec): Plan {
  const { items, range } = spec
  const units = items?.length ?? rangeItems(range!)
  const input = (first: number, count: number): Input =>
    items == null
      ? { first, start: range!.start, step: range!.step, count }
      : { first, items: items.slice(first, first + count) }
  return {
    units,
    program: { ...spec.fn, driver: DRIVER, context: encodeContext(spec.context) },
    input,
    whole: input(0, units),
    cut: listPart,
    createReducer: () => listReducer(units)
  }
}

/** Puts lists of results in the order of their units; the items stay encoded. */
export function listReducer(units: number): Reducer {
  const parts: { first: number; items: Uint8Array }[] = []
  return {
    add(first, count, value) {
      // decoded once here: a list that ends early would spoil those of other workers after it
      const items = decodeValue(value)
      if (!Array.isArray(items) || items.length !== count)
        throw new ProtocolError(`a result is not a list of the ${count} items that were asked for`)
      parts.push({ first, items: value.subarray(arrayHead(value).size) })
    },
    async finish() {
      parts.sort((a, b) => a.first - b.first)
      return encodeArray(
        units,
        parts.map(part => part.items)
      )
    }
  }
}
