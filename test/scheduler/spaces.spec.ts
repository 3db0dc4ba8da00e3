import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import {
  count,
  countRanks,
  createOrder,
  iterate,
  rank,
  type Space,
  unrank
} from '../../scheduler/spaces/index.ts'
import { anySpace } from './any-space.ts'

const compare = (a: Int32Array, b: Int32Array): number => {
  const at = a.findIndex((value, i) => value !== b[i])
  return at < 0 ? a.length - b.length : a[at]! - (b[at] ?? -1)
}

/** What an item of the space must be, from its definition. */
function isItem(space: Space, item: Int32Array): boolean {
  const list = [...item]
  const isSet = new Set(list).size === list.length
  const below = (n: number) => list.every(value => value >= 0 && value < n)
  switch (space.type) {
    case 'combinations':
      return (
        list.length === space.k &&
        isSet &&
        below(space.n) &&
        list.every((x, i) => i === 0 || list[i - 1]! < x)
      )
    case 'multisets':
      return list.length === space.k && below(space.n) && list.every((x, i) => i === 0 || list[i - 1]! <= x)
    case 'permutations':
      return list.length === (space.k ?? space.n) && isSet && below(space.n)
    case 'subsets':
      return list.length === space.n && below(2)
    case 'product':
      return list.length === space.radices.length && list.every((x, i) => x >= 0 && x < space.radices[i]!)
    case 'partitions':
      return (
        list.reduce((a, b) => a + b) === space.n &&
        list.every((x, i) => x > 0 && x <= (space.max ?? x) && (i === 0 || list[i - 1]! >= x)) &&
        (space.parts ?? list.length) === list.length
      )
    case 'set_partitions':
      return (
        list.length === space.n && list.every((x, i) => x >= 0 && x <= Math.max(-1, ...list.slice(0, i)) + 1)
      )
    default:
      return false
  }
}

describe('spaces', () => {
  it('count the items that their definition has: known numbers', () => {
    const known: [Space, bigint][] = [
      [{ type: 'combinations', n: 52, k: 5 }, 2_598_960n],
      [{ type: 'combinations', n: 52, k: 7 }, 133_784_560n],
      [{ type: 'combinations', n: 49, k: 6 }, 13_983_816n],
      [{ type: 'permutations', n: 13 }, 6_227_020_800n],
      [{ type: 'permutations', n: 52, k: 3 }, 132_600n],
      [{ type: 'multisets', n: 6, k: 5 }, 252n],
      [{ type: 'subsets', n: 70 }, 2n ** 70n],
      [{ type: 'product', radices: [2, 3, 5, 7] }, 210n],
      [{ type: 'partitions', n: 50 }, 204_226n],
      [{ type: 'partitions', n: 100 }, 190_569_292n],
      [{ type: 'partitions', n: 10, parts: 3 }, 8n],
      [{ type: 'partitions', n: 100, parts: 5 }, 38_225n],
      [{ type: 'partitions', n: 100, max: 5 }, 46_262n],
      [{ type: 'set_partitions', n: 12 }, 4_213_597n],
      [{ type: 'tree', depth: 3, choices: [2, 3, 4] }, 24n],
      [{ type: 'tree', depth: 40, choices: 10 }, 10n ** 40n]
    ]
    for (const [space, expected] of known) assert.equal(count(space), expected, JSON.stringify(space))
  })

  it('have ranks up to 2^53 of them', () => {
    const ranked: [Space, number | undefined][] = [
      [{ type: 'subsets', n: 53 }, 2 ** 53],
      [{ type: 'subsets', n: 54 }, undefined],
      // OEIS A000110
      [{ type: 'set_partitions', n: 22 }, 4_506_715_738_447_323],
      [{ type: 'set_partitions', n: 23 }, undefined],
      [{ type: 'set_partitions', n: 1000 }, undefined],
      // OEIS A000041
      [{ type: 'partitions', n: 200 }, 3_972_999_029_388],
      [{ type: 'partitions', n: 300 }, undefined], // 9,253,082,936,723,602
      [{ type: 'partitions', n: 2000 }, undefined],
      [{ type: 'tree', depth: 1000, choices: 10_000 }, undefined]
    ]
    for (const [space, expected] of ranked) assert.equal(countRanks(space), expected, JSON.stringify(space))
    // Meinardus; the 32 digits stand in Abramowitz and Stegun
    assert.equal(count({ type: 'partitions', n: 1000 }), 24_061_467_864_032_622_473_692_149_727_991n)
  })

  it('have exactly the items of their definition, each once, in lexicographic order', () => {
    fc.assert(
      fc.property(anySpace, space => {
        const items = [...iterate(space)]
        assert.equal(BigInt(items.length), count(space))
        assert.ok(items.every(item => isItem(space, item)))
        for (let i = 1; i < items.length; i++) assert.ok(compare(items[i - 1]!, items[i]!) < 0)
      }),
      { numRuns: 300 }
    )
  })

  it('number their items: rank and unrank undo each other, and the next rank is the successor', () => {
    fc.assert(
      fc.property(anySpace, space => {
        const items = [...iterate(space)]
        for (const [at, item] of items.entries()) {
          assert.equal(rank(space, item), at)
          assert.deepEqual(unrank(space, at), item)
        }
      }),
      { numRuns: 100 }
    )
  })

  it('iterate from any rank to any other', () => {
    fc.assert(
      fc.property(anySpace, fc.nat(200), fc.nat(200), (space, from, to) => {
        assert.deepEqual([...iterate(space, from, to)], [...iterate(space)].slice(from, Math.max(from, to)))
      }),
      { numRuns: 100 }
    )
  })

  it('step over everything below a prefix', () => {
    fc.assert(
      fc.property(anySpace, fc.nat(), fc.nat(), (space, at, length) => {
        const items = [...iterate(space)]
        if (items.length === 0) return
        const item = items[at % items.length]!
        const last = (length % (item.length + 1)) - 1
        const after = items.find(other => compare(other.slice(0, last + 1), item.slice(0, last + 1)) > 0)
        const order = createOrder(space)
        const state = new Int32Array(order.size)
        order.unrank(at % items.length, state)
        const changed = order.next(state, last)
        if (after == null) assert.equal(changed, -1)
        else {
          assert.deepEqual(state.slice(0, order.lengthOf(state)), after)
          assert.equal(
            changed,
            after.findIndex((value, i) => value !== item[i])
          )
        }
      }),
      { numRuns: 1000 }
    )
  })

  it('are exact to the last item that 2^53 ranks reach', () => {
    const large: Space[] = [
      { type: 'combinations', n: 56, k: 28 },
      { type: 'permutations', n: 18 },
      { type: 'permutations', n: 10_000, k: 3 },
      { type: 'multisets', n: 100, k: 9 },
      { type: 'subsets', n: 53 },
      { type: 'product', radices: [10_000, 10_000, 10_000, 9007] },
      { type: 'partitions', n: 299 },
      { type: 'partitions', n: 700, parts: 4 },
      { type: 'set_partitions', n: 22 }
    ]
    for (const space of large) {
      const total = Number(count(space))
      for (const share of [0, 0.1, 0.3, 0.7, 0.95]) {
        const at = Math.floor(share * (total - 2))
        const [item, next] = [...iterate(space, at, at + 2)]
        assert.equal(rank(space, item!), at, JSON.stringify(space))
        assert.deepEqual(unrank(space, at + 1), next)
      }
      assert.equal(rank(space, unrank(space, total - 1)), total - 1)
    }
  })

  it('refuse what is no space, no item and no rank, and sizes beyond exact ranks', () => {
    const wrong = [
      { type: 'combinations', n: 5, k: 6 },
      { type: 'combinations', n: 10_001, k: 2 },
      { type: 'multisets', n: 2, k: 1001 },
      { type: 'product', radices: [] },
      { type: 'partitions', n: 10_000, parts: 4 },
      { type: 'tree', depth: 2, choices: [1] },
      { type: 'graphs', n: 3 }
    ]
    for (const space of wrong) assert.throws(() => count(space as Space), RangeError)
    const hands: Space = { type: 'combinations', n: 52, k: 5 }
    for (const at of [-1, 0.5, 2_598_960, Number.NaN]) assert.throws(() => unrank(hands, at), /rank must be/)
    for (const item of [
      [0, 1, 2, 3],
      [4, 3, 2, 1, 0],
      [0, 1, 2, 3, 52],
      [-1, 0, 1, 2, 3],
      [0, 1, 2, 3, 4, 5]
    ])
      assert.throws(() => rank(hands, item), /is no item/)
    assert.throws(() => rank({ type: 'partitions', n: 20 }, [2 ** 31 - 1]), /is no item/)
    assert.throws(() => unrank({ type: 'combinations', n: 57, k: 28 }, 0), /more than 2\^53/)
    assert.throws(() => unrank({ type: 'permutations', n: 19 }, 0), /more than 2\^53/)
  })
})
