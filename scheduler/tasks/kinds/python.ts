import { z } from 'zod'
import { encodeValue, pythonClass } from '../../../sandbox/index.ts'
import { arrayHead, listPart } from '../../data/value-bytes.ts'
import { ProtocolError, SpecError } from '../../errors.ts'
import { MAX_SOURCE_BYTES } from '../author-source.ts'
import type { Plan, Reducer } from '../contract.ts'
import {
  bytes,
  context,
  contextNames,
  firstIndex,
  inlineItems,
  items,
  keep,
  range,
  rangeItems
} from '../fields.ts'
import { defineKind, type SpecOf } from '../kind.ts'
import { listReducer, singleReducer } from '../reducers.ts'

const MAX_PACKAGES = 16

const fields = {
  source: z
    .string()
    .min(1)
    .max(MAX_SOURCE_BYTES)
    .refine(text => /\bmain\b/.test(text), 'defines no `main`; write `def main(x): …`')
    .describe('Python that defines main(x); it is run once, and memory is as after it before every call'),
  items: items.optional(),
  range: range.optional(),
  /** in place of items: one call, whose result is the result */
  input: z.unknown().optional(),
  firstIndex,
  context,
  keep,
  packages: z
    .array(bytes)
    .max(MAX_PACKAGES)
    .optional()
    .describe('wheels without native code; in JSON by CID, or base64')
}
type PythonSpec = SpecOf<'python', typeof fields>

/** main(x) of every item, in Python. */
export const python = defineKind({
  type: 'python',
  fields,
  description:
    'main(x) of Python source for every item of a list or a range, in order, or for one input. The standard library is there; nothing is kept from one item to the next.',
  limits: { timeoutMs: 60_000, items: 1e6 },
  streams: true,
  runtime: pythonClass,
  pipelineField: 'items',
  placeholders: () => ({ items: [] }),
  example: {
    type: 'python',
    source: 'import math\n\ndef main(x):\n    return math.factorial(x)',
    items: [3, 5, 30]
  },
  check(spec, { limit }) {
    const given = [spec.items, spec.range, spec.input].filter(each => each !== undefined)
    if (given.length !== 1) throw new SpecError('items', 'give one of `items`, `range` and `input`')
    if (spec.input !== undefined && spec.keep)
      throw new SpecError('keep', 'is for `items` and `range`; the result of one `input` is no list')
    if (spec.items == null && spec.firstIndex != null)
      throw new SpecError('firstIndex', 'is for `items`; a range says its `start`')
    limit('items', inlineItems(spec.items))
    const name = contextNames(spec.context).find(
      key => !/^[\p{L}_][\p{L}\p{N}_]*$/u.test(key) || key === 'main'
    )
    if (name != null)
      throw new SpecError(
        'context',
        `\`${name}\` is no name of a variable of the source; take another for the key`
      )
    return spec
  },
  plan: planPython
})

/** A unit is one item. The sandbox runs slices itself, for memory is reset between their items. */
function planPython({ source, context, packages, ...spec }: PythonSpec): Plan {
  const program = {
    kind: 'python' as const,
    source,
    context: context == null && packages == null ? undefined : encodeValue({ context, packages })
  }
  if (spec.input !== undefined) {
    const once = { first: 0, items: [spec.input] }
    return { units: 1, program, input: () => once, whole: once, createReducer: onlyReducer }
  }
  const { items, firstIndex = 0 } = spec
  const units = items?.length ?? rangeItems(spec.range!)
  const input = (first: number, count: number): unknown =>
    items == null
      ? { first, start: spec.range!.start, step: spec.range!.step, count }
      : { first: firstIndex + first, items: items.slice(first, first + count) }
  return {
    units,
    program,
    input,
    whole: input(0, units),
    cut: listPart,
    keeps: { results: (_, count) => count },
    createReducer: () => listReducer(units)
  }
}

/** The only element of the list. */
function onlyReducer(): Reducer {
  const { add, finish } = singleReducer()
  return {
    add(first, count, list) {
      const { length, size } = arrayHead(list)
      if (length !== 1) throw new ProtocolError(`a result is a list of ${length}, not of 1`)
      add(first, count, list.subarray(size))
    },
    finish
  }
}
