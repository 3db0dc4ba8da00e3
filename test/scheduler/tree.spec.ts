import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { blockSize, createTree, foldBlocks, MAX_BLOCKS, mergeNodes } from '../../scheduler/tasks/fold-tree.ts'
import { cutting, shuffled } from './arbitraries.ts'

/** The tree as fold-tree.ts documents it, written as the recursion that it describes. */
function documentedRoot<T>(leaves: T[], combine: (a: T, b: T) => T): T {
  const node = (level: number, index: number): T => {
    if (level === 0) return leaves[index] as T
    const left = node(level - 1, 2 * index)
    const rightExists = (2 * index + 1) * 2 ** (level - 1) < leaves.length
    return rightExists ? combine(left, node(level - 1, 2 * index + 1)) : left
  }
  return node(Math.ceil(Math.log2(leaves.length)), 0)
}

const pair = (a: string, b: string): string => `(${a} ${b})`

describe('scheduler/tree', () => {
  it('gives the documented parentheses for any cutting and any order of arrival', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }).chain(blocks => fc.tuple(fc.constant(blocks), cutting(blocks))),
        ([blocks, slices]) => {
          const leaves = Array.from({ length: blocks }, (_, i) => String(i))
          const tree = createTree<string>(blocks, pair)
          const nodes = slices.map(({ first, count }) =>
            foldBlocks(blocks, first, count, i => leaves[i] as string, pair)
          )
          for (const [level, index, value] of nodes.flat()) tree.add(level, index, value)
          const root = [[Math.ceil(Math.log2(blocks)), 0, documentedRoot(leaves, pair)]]
          assert.deepEqual(tree.nodes(), root)
          assert.deepEqual(mergeNodes(blocks, nodes.flat(), pair), root)
        }
      ),
      { numRuns: 500 }
    )
  })

  it('gives the same bits for floating-point sums however the work is cut', () => {
    fc.assert(
      fc.property(
        fc
          .array(fc.double({ noNaN: true }), { minLength: 1, maxLength: 200 })
          .chain(leaves => fc.tuple(fc.constant(leaves), cutting(leaves.length))),
        ([leaves, slices]) => {
          const sum = (a: number, b: number): number => a + b
          const tree = createTree<number>(leaves.length, sum)
          for (const { first, count } of slices)
            for (const node of foldBlocks(leaves.length, first, count, i => leaves[i] as number, sum))
              tree.add(...node)
          assert.ok(Object.is(tree.nodes()[0]?.[2], documentedRoot(leaves, sum)))
        }
      )
    )
  })

  it('returns the fewest nodes: none could be combined with its neighbour', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2000 }), fc.nat(), fc.nat(), (blocks, a, b) => {
        const first = a % blocks
        const count = 1 + (b % (blocks - first))
        const nodes = foldBlocks(
          blocks,
          first,
          count,
          i => [i],
          (x, y) => [...x, ...y]
        )
        assert.deepEqual(
          nodes.flatMap(([, , covered]) => covered),
          Array.from({ length: count }, (_, i) => first + i)
        )
        for (const [level, index, covered] of nodes) {
          assert.equal(covered[0], index * 2 ** level)
          assert.equal(covered.length, Math.min(blocks, (index + 1) * 2 ** level) - index * 2 ** level)
        }
        assert.ok(nodes.length <= 2 * Math.ceil(Math.log2(blocks + 1)) + 1)
        nodes.slice(1).forEach(([level, index], i) => {
          const [beforeLevel, before] = nodes[i] as [number, number, unknown]
          assert.ok(!(beforeLevel === level && before % 2 === 0 && before + 1 === index))
        })
      })
    )
  })

  it('merges in any order, also when parts were merged before', () => {
    fc.assert(
      fc.property(
        fc
          .integer({ min: 2, max: 200 })
          .chain(blocks => fc.tuple(fc.constant(blocks), shuffled(blocks), fc.nat(blocks))),
        ([blocks, order, half]) => {
          const leaves = order.map(i => [0, i, String(i)] as [number, number, string])
          const early = mergeNodes(blocks, leaves.slice(0, half), pair)
          const late = mergeNodes(blocks, leaves.slice(half), pair)
          const root = mergeNodes(blocks, [...late, ...early], pair)
          const inOrder = Array.from({ length: blocks }, (_, i) => String(i))
          assert.deepEqual(root, [[Math.ceil(Math.log2(blocks)), 0, documentedRoot(inOrder, pair)]])
        }
      )
    )
  })

  it('cuts into blocks of the least power of two that keeps their number', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), items => {
        const size = blockSize(items)
        assert.ok(Number.isInteger(Math.log2(size)))
        assert.ok(Math.ceil(items / size) <= MAX_BLOCKS)
        assert.ok(size === 1 || Math.ceil(items / (size / 2)) > MAX_BLOCKS)
      })
    )
  })
})
