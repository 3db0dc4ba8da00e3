import { z } from 'zod'
import type { Source } from '../author-source.ts'
import { type DriverTools, driverSource, encodeContext, expose, inOrder, LEVEL } from '../drivers.ts'
import { author, checkInitial, context, inlineItems, items, readAuthored } from '../fields.ts'
import { blockSize, createTree, foldBlocks, mergeNodes, type TreeNode } from '../fold-tree.ts'
import { compareKeys, isKey } from '../keys.ts'
import { defineKind, type SpecOf } from '../kind.ts'
import { expectAcc, type ReduceInput, treeReducer } from '../reducers.ts'
import type { Operation } from '../reductions.ts'
import { atHand, createReduction, OPERATIONS } from '../reductions.ts'
import type { Group, GroupingPlan, Held, PartitionPart } from '../shuffle/grouping.ts'
import { createGrouping } from '../shuffle/grouping.ts'
import { SHUFFLE_BYTES, shuffledWork } from '../shuffle/shuffle.ts'

const fields = {
  items,
  map: author,
  reduce: author.default('sum'),
  initial: z.unknown().optional(),
  grouped: z
    .boolean()
    .optional()
    .describe('true: map gives pairs, and no items give []; false: what it gives is one value, also a pair'),
  context
}
type MapReduceSpec = Omit<SpecOf<'map_reduce', typeof fields>, 'map' | 'reduce'> & {
  map: Source
  reduce: Source | Operation
}

/** Maps and reduces, in all or by keys. */
export const mapReduce = defineKind({
  type: 'map_reduce',
  fields,
  description: 'Maps and reduces; map that returns [key, value] gives a reduction per key.',
  limits: { timeoutMs: 60_000, items: 5e6 },
  streams: true,
  pipelineField: 'items',
  placeholders: () => ({ items: [] }),
  example: {
    type: 'map_reduce',
    items: ['to be or not', 'to be'],
    map: 'line => line.split(" ").map(word => [word, 1])',
    reduce: 'sum'
  },
  check(spec, { limit }): MapReduceSpec {
    limit('items', inlineItems(spec.items))
    const named = OPERATIONS.find(name => name === spec.reduce && name !== 'custom')
    checkInitial(named ?? 'custom', false, spec.initial)
    const { map } = readAuthored(spec, 'map')
    return { ...spec, map, reduce: named ?? readAuthored(spec, 'reduce').reduce }
  },
  plan: planMapReduce,
  work(spec, { specBytes, partOf }) {
    if (specBytes < SHUFFLE_BYTES) return
    const plan = planMapReduce(spec)
    return shuffledWork(plan, partOf(plan))
  }
})

const { fold: FOLD, initial: INITIAL } = LEVEL

interface Input extends ReduceInput {
  items: unknown[]
  size: number
  blocks: number
  operation: Operation
  grouped?: boolean
  /** give groups cut into this many partitions by their keys (shuffle.ts) */
  partitions?: number
  /** beside `merge`, one partition of what slices gave */
  parts?: PartitionPart[]
}

/** Runs inside the sandbox; uses only what driverSource() puts beside it. */
function driver(
  task: (item: unknown, index: number) => unknown,
  functions: { reduce?: (a: unknown, b: unknown) => unknown },
  context: Record<string, unknown> | undefined,
  { begin, copy, rest }: DriverTools
) {
  expose(context)
  return (input: Input): unknown => {
    const { items, size, blocks, operation, grouped, first, merge, initial, whole, partitions } = input
    const { createFold, foldGroups, combineGroups, give, take, finishGroups, cut, uncut } = createGrouping(
      createReduction(operation, false, functions.reduce),
      grouped,
      { begin, copy: operation === 'custom' ? copy : undefined }
    )
    const leaves: Held[] = []
    let fold = createFold()
    let at = first * size
    const close = (): void => {
      leaves.push(fold.end())
      fold = createFold()
    }
    /** at once, so that what map gave need not be held */
    const mapped = (value: unknown): void => {
      fold.add(value, at++)
      if (at % size === 0) close()
    }
    const reduce = (): unknown => {
      if (at % size > 0) close()
      const nodes =
        merge == null
          ? foldGroups(blocks, first, leaves)
          : mergeNodes(blocks, [...held(merge as TreeNode<Group>[]), ...parts()], combineGroups)
      if (whole) return finishGroups(nodes[0]?.[2], initial)
      return (
        (partitions && cut(nodes, partitions)) ||
        nodes.map(([level, index, group]) => [level, index, give(group)])
      )
    }
    const held = (nodes: TreeNode<Group>[]): TreeNode<Held>[] =>
      nodes.map(([level, index, group]) => [level, index, take(group)])
    const parts = (): TreeNode<Held>[] => (input.parts ?? []).flatMap(part => uncut(blocks, part))
    const call = (i: number): unknown => {
      begin(first * size + i)
      return task(items[i], first * size + i)
    }
    return inOrder(items.length, call, reduce, { take: mapped, rest })
  }
}

const DRIVER = driverSource(
  driver,
  {
    atHand,
    expose,
    inOrder,
    foldBlocks,
    mergeNodes,
    createTree,
    createReduction,
    createGrouping,
    isKey,
    compareKeys
  },
  { FOLD, INITIAL }
)

/** A unit is a block of `size` items. The result is a list of `[key, value]` sorted by key, or one value. */
function planMapReduce(spec: MapReduceSpec): GroupingPlan {
  const { items, initial, grouped } = spec
  const operation = typeof spec.reduce === 'string' ? spec.reduce : 'custom'
  const size = blockSize(items.length)
  const units = Math.ceil(items.length / size)
  const grouping = createGrouping(createReduction(operation, false), grouped)
  const input = (first: number, count: number): Input => ({
    items: items.slice(first * size, (first + count) * size),
    size,
    blocks: units,
    operation,
    ...(grouped == null ? {} : { grouped }),
    first,
    count
  })
  return {
    operation,
    initial,
    grouping,
    units,
    itemsPerUnit: size,
    program: {
      ...spec.map,
      functions: typeof spec.reduce === 'string' ? undefined : { reduce: spec.reduce },
      driver: DRIVER,
      context: encodeContext(spec.context)
    },
    input,
    whole: { ...input(0, units), initial, whole: true },
    createReducer: () =>
      treeReducer({
        blocks: units,
        combine: operation === 'custom' ? undefined : grouping.combineGroups,
        expect: expectAcc(grouping.isGroup),
        read: value => grouping.take(value as Group),
        mergeInput: nodes => ({
          ...input(0, 0),
          merge: nodes.map(([level, index, group]) => [level, index, grouping.give(group)]),
          initial,
          whole: true
        }),
        finish: root => grouping.finishGroups(root, initial)
      })
  }
}
