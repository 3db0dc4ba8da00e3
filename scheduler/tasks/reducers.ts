import { decodeValue, encodeValue } from '../../sandbox/index.ts'
import { wholeOf } from '../data/result-bytes.ts'
import { arrayHead, countByteStrings } from '../data/value-bytes.ts'
import { ProtocolError } from '../errors.ts'
import type { AddedList, Reducer } from './contract.ts'
import type { Combine, TreeNode } from './fold-tree.ts'
import { createTree, foldBlocks } from './fold-tree.ts'

/** What a driver that reduces takes beside its own fields. */
export interface ReduceInput {
  first: number
  count: number
  initial?: unknown
  /** nodes that were computed elsewhere */
  merge?: TreeNode<unknown>[]
  /** give the result, not the tree nodes: everything is here */
  whole?: boolean
}

export interface TreeReducer<T = unknown> extends Reducer {
  /** nodes that are read already */
  put(nodes: TreeNode<T>[]): void
  /** its nodes so far: the fewest, or all that came where they are combined at the end */
  nodes(): TreeNode<T>[]
}

/**
 * The reducer of everything that combines in the fixed tree. With `combine` it merges as results come;
 * without (the author's own function) it collects the nodes and lets the sandbox merge them at the end.
 */
export function treeReducer<T = unknown>(init: {
  blocks: number
  combine?: Combine<T>
  finish: (root: T | undefined) => unknown
  /** throws when the value of a node is not of the expected form */
  expect?: (value: unknown, level: number, index: number) => void
  /** such a value as it is combined, where that is not the same */
  read?: (value: unknown) => T
  mergeInput?: (merge: TreeNode<T>[]) => ReduceInput
}): TreeReducer<T> {
  const { blocks, combine, finish, expect, read = value => value as T, mergeInput } = init
  const collected: TreeNode<T>[] = []
  const tree = combine == null ? undefined : createTree(blocks, combine)
  const put = (nodes: TreeNode<T>[]): void => {
    if (tree == null) for (const node of nodes) collected.push(node)
    else for (const [level, index, acc] of nodes) tree.add(level, index, acc)
  }
  return {
    add(first, count, value) {
      const nodes = decodeValue(value)
      expectCover(nodes, first, count, blocks)
      for (const [level, index, acc] of nodes) expect?.(acc, level, index)
      put(nodes.map(([level, index, acc]) => [level, index, read(acc)]))
    },
    put,
    nodes: () => (tree == null ? collected : tree.nodes()),
    async finish(run) {
      return tree == null ? run(mergeInput!(collected)) : encodeValue(finish(tree.nodes()[0]?.[2]))
    }
  }
}

/** A check for treeReducer: throws when a node's value is none that the operation gives. */
export function expectAcc(isAcc: (value: unknown) => boolean): (value: unknown) => void {
  return value => {
    if (!isAcc(value)) throw new ProtocolError('a result holds a value that the operation cannot give')
  }
}

/** The reducer of a task that is one unit: its output is the result. */
export function singleReducer(): Reducer {
  let result: Uint8Array
  return {
    add(_first, _count, value) {
      result = value
    },
    finish: async () => result
  }
}

/** Throws unless `nodes` are exactly the tree nodes that cover the blocks [first, first + count). */
function expectCover(
  nodes: unknown,
  first: number,
  count: number,
  blocks: number
): asserts nodes is TreeNode<unknown>[] {
  const expected = foldBlocks(
    blocks,
    first,
    count,
    () => undefined,
    () => undefined
  )
  const right =
    Array.isArray(nodes) &&
    nodes.length === expected.length &&
    expected.every(
      ([level, index], i) =>
        Array.isArray(nodes[i]) && nodes[i][0] === level && nodes[i][1] === index && nodes[i].length === 3
    )
  if (!right)
    throw new ProtocolError(
      `a result does not cover the blocks ${first} to ${first + count - 1} that were asked for`
    )
}

/** Puts lists of results in the order of their units; the items stay encoded. `units`: undefined where a unit has any number of them. */
export function listReducer(units?: number): Reducer {
  const parts: AddedList[] = []
  const inOrder = (): AddedList[] => parts.sort((a, b) => a.first - b.first)
  return {
    add(first, count, value) {
      // looked through once here: a list that ends early would spoil those of other workers after it
      const length = countByteStrings(value) ?? lengthOf(decodeValue(value))
      if (length == null || (units != null && length !== count))
        throw new ProtocolError(`a result is not a list of the ${count} items that were asked for`)
      parts.push({ first, from: arrayHead(value).size, list: value })
    },
    finish: async () => wholeOf(inOrder().map(({ list }) => list)),
    lists: inOrder
  }
}

const lengthOf = (list: unknown): number | undefined => (Array.isArray(list) ? list.length : undefined)
