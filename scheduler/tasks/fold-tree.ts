/**
 * The fixed order of combination that makes a reduction give the same bits however the work is cut: the units are
 * cut into blocks of a size that depends on their number alone, each block is folded left to right, and the blocks
 * are combined in a binary tree over their numbers: node (level, index) covers the blocks
 * [index · 2^level, (index + 1) · 2^level). A right child beyond the last block does not exist, its sibling moves up.
 *
 * A slice returns the fewest nodes that cover it, so a job needs O(slices · log blocks) memory.
 */

/** One node of the tree: level, index in the level, value. */
export type TreeNode<T> = [level: number, index: number, value: T]

/** Makes the node (level, index) of its two children. */
export type Combine<T> = (left: T, right: T, level: number, index: number) => T

// Enough blocks that one is at most 1/8192 of a job, few enough that a block's own cost does not show.
export const MAX_BLOCKS = 1 << 14

/** Items per block for a range of `items`: the least power of two that gives at most `maxBlocks` blocks. */
export function blockSize(items: number, maxBlocks: number = MAX_BLOCKS): number {
  let size = 1
  while (items / size > maxBlocks) size *= 2
  return size
}

/**
 * The nodes over the consecutive blocks [first, first + count), from left to right: the fewest that cover them.
 * `leaf(block)` gives the value of one block, `combine` is told which node it makes. Self-contained, its source text
 * also runs inside the sandbox.
 */
export function foldBlocks<T>(
  blocks: number,
  first: number,
  count: number,
  leaf: (block: number) => T,
  combine: Combine<T>
): [level: number, index: number, value: T][] {
  const nodes: [number, number, T][] = []
  const end = first + count
  for (let block = first; block < end; ) {
    let level = 0
    let index = block
    let value: T
    // eight aligned leaves at once: the same combinations without the stack
    if (block % 8 === 0 && block + 8 <= end) {
      const [one, two] = [block / 2, block / 4]
      const a = combine(leaf(block), leaf(block + 1), 1, one)
      const b = combine(leaf(block + 2), leaf(block + 3), 1, one + 1)
      const left = combine(a, b, 2, two)
      const c = combine(leaf(block + 4), leaf(block + 5), 1, one + 2)
      const d = combine(leaf(block + 6), leaf(block + 7), 1, one + 3)
      level = 3
      index = block / 8
      value = combine(left, combine(c, d, 2, two + 1), level, index)
      block += 8
    } else {
      value = leaf(block)
      block++
    }
    for (;;) {
      const top = nodes[nodes.length - 1]
      if (index % 2 === 1) {
        if (top?.[0] !== level || top[1] !== index - 1) break
        nodes.pop()
        value = combine(top[2], value, level + 1, (index - 1) / 2)
      } else {
        // only the last block of all has no right sibling on some level
        const inLevel = block < blocks ? 0 : Math.ceil(blocks / 2 ** level)
        if (inLevel <= 1 || index + 1 < inLevel) break
      }
      index = Math.floor(index / 2)
      level++
    }
    nodes.push([level, index, value])
  }
  return nodes
}

/**
 * Merges nodes that come in any order. Self-contained, like foldBlocks.
 * `blocks`: how many blocks there are in all; `combine`: associative up to rounding.
 */
export function createTree<T>(blocks: number, combine: Combine<T>) {
  // One map per level: an index has its value until its sibling comes.
  const levels: Map<number, T>[] = []
  const countAt = (level: number): number => Math.ceil(blocks / 2 ** level)

  function add(level: number, index: number, value: T): void {
    while (countAt(level) > 1) {
      const sibling = index % 2 === 0 ? index + 1 : index - 1
      if (sibling < countAt(level)) {
        levels[level] ??= new Map()
        const row = levels[level] as Map<number, T>
        if (!row.has(sibling)) {
          row.set(index, value)
          return
        }
        const other = row.get(sibling) as T
        row.delete(sibling)
        const [left, right] = sibling > index ? [value, other] : [other, value]
        value = combine(left, right, level + 1, Math.floor(index / 2))
      }
      index = Math.floor(index / 2)
      level++
    }
    levels[level] ??= new Map()
    ;(levels[level] as Map<number, T>).set(index, value)
  }

  /** The nodes so far; a single one (the root) when every block was added. */
  function nodes(): [level: number, index: number, value: T][] {
    return levels.flatMap((row, level) =>
      [...(row ?? [])].map(([index, value]) => [level, index, value] as [number, number, T])
    )
  }

  return { add, nodes }
}

/** Merges nodes that come together; the root alone when they cover everything. Self-contained but for createTree. */
export function mergeNodes<T>(
  blocks: number,
  nodes: [level: number, index: number, value: T][],
  combine: Combine<T>
): [level: number, index: number, value: T][] {
  const tree = createTree(blocks, combine)
  for (const [level, index, value] of nodes) tree.add(level, index, value)
  return tree.nodes()
}
