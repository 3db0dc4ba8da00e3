import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { decodeValue, encodeValue } from '../../sandbox/index.ts'
import type { StepFailedError } from '../../scheduler/errors.ts'
import { count, iterate, type Space, unrank } from '../../scheduler/spaces/index.ts'
import type { NumberedPart } from '../../scheduler/tasks/contract.ts'
import { createWork } from '../../scheduler/tasks/job-parts.ts'
import { parseSpec } from '../../scheduler/tasks/parse-spec.ts'
import { anySpace } from './any-space.ts'
import { runHere } from './programs.ts'
import { WorkRunner } from './run-work.ts'

/** Classes of hands: 0 high card to 8 straight flush; cards are 4 · rank + suit. */
const pokerClass = (cards: Int32Array): number => {
  const counts = new Uint8Array(13)
  let ranks = 0
  let suits = 0
  for (let i = 0; i < 5; i++) {
    const rank = cards[i]! >> 2
    counts[rank]!++
    ranks |= 1 << rank
    suits |= 1 << (cards[i]! & 3)
  }
  const flush = (suits & (suits - 1)) === 0
  let pairs = 0
  let most = 1
  for (let r = 0; r < 13; r++) {
    if (counts[r]! === 2) pairs++
    if (counts[r]! > most) most = counts[r]!
  }
  const low = ranks / (ranks & -ranks)
  const straight = most === 1 && (low === 31 || ranks === 0x100f)
  if (straight && flush) return ranks === 0x1f00 ? 9 : 8
  if (most === 4) return 7
  if (most === 3 && pairs === 1) return 6
  if (flush) return 5
  if (straight) return 4
  if (most === 3) return 3
  return pairs
}

const queensPrune = (prefix: Int32Array, depth: number): boolean => {
  const last = depth - 1
  for (let i = 0; i < last; i++) {
    const apart = prefix[last]! - prefix[i]!
    if (apart === 0 || apart === last - i || apart === i - last) return true
  }
  return false
}

describe('tasks: enumerate', () => {
  const runner = new WorkRunner()
  before(() => runner.start())
  after(() => runner.stop())

  const queens = (n: number, space: Space = { type: 'tree', depth: n, choices: n }) => ({
    type: 'enumerate',
    space,
    prune: queensPrune,
    aggregate: 'count'
  })

  it('knows the classes of all poker hands', async () => {
    const result = await runner.result({
      type: 'enumerate',
      space: { type: 'combinations', n: 52, k: 5 },
      evaluate: pokerClass,
      aggregate: 'histogram'
    })
    assert.deepEqual(result, {
      visited: 2_598_960,
      skipped: 0,
      value: [1_302_540, 1_098_240, 123_552, 54_912, 10_200, 5108, 3744, 624, 36, 4].map((n, i) => [i, n])
    })
  })

  it('counts queens in a tree that is pruned, and as permutations', async () => {
    for (const [n, solutions] of [
      [8, 92],
      [10, 724]
    ] as const) {
      const tree = await runner.result(queens(n), { slice: 100 })
      assert.deepEqual(tree.value, solutions)
      assert.equal(BigInt(tree.visited) + tree.skipped, BigInt(n) ** BigInt(n))
      const ranks = await runner.result(queens(n, { type: 'permutations', n }))
      assert.deepEqual(ranks.value, solutions)
      assert.equal(ranks.visited + ranks.skipped, Number(count({ type: 'permutations', n })))
    }
    assert.equal((await runner.result(queens(12))).value, 14_200)
  })

  /** Every aggregate, of a value that depends on the item and its rank. */
  const all = {
    count: { operation: 'count', of: (v: number) => v % 3 === 0 },
    sum: 'sum',
    min: 'min',
    max: { operation: 'max', of: (v: number) => v % 7 },
    histogram: { operation: 'histogram', of: (v: number) => (v % 2 === 0 ? v % 5 : `odd ${v % 3}`) },
    topk: { operation: 'topk', k: 4, of: (v: number) => v % 11 },
    collect: { operation: 'collect', limit: 6, of: (v: number) => (v % 4 === 1 ? [v] : undefined) }
  }
  const weigh = (item: Int32Array, rank: number): number => {
    let sum = rank % 10
    for (let i = 0; i < item.length; i++) sum += (i + 1) * item[i]!
    return sum
  }
  /** The same, computed here from the list of items. */
  function expected(items: { item: Int32Array; rank: number }[]) {
    const values = items.map(({ item, rank }) => ({ v: weigh(item, rank), rank, item: [...item] }))
    const by = (key: (v: number) => number, sign: number) =>
      values
        .map(({ v, rank, item }) => ({ value: key(v), rank, item }))
        .sort((a, b) => sign * (b.value - a.value))
    const counts = new Map<string | number, number>()
    for (const { v } of values) {
      const key = all.histogram.of(v)
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
    const order = (key: string | number) => (typeof key === 'number' ? String(key) : `x${key}`)
    return {
      count: values.filter(({ v }) => v % 3 === 0).length,
      sum: values.reduce((sum, { v }) => sum + v, 0),
      min: by(v => v, -1)[0] ?? null,
      max: by(v => v % 7, 1)[0] ?? null,
      histogram: [...counts].sort(([a], [b]) => (order(a) < order(b) ? -1 : 1)),
      topk: by(v => v % 11, 1).slice(0, 4),
      collect: values
        .filter(({ v }) => v % 4 === 1)
        .map(({ v }) => [v])
        .slice(0, 6)
    }
  }

  it('gives what a list of the items gives, with the same bytes for any cut, for ranks from..to', async () => {
    await fc.assert(
      fc.asyncProperty(
        anySpace,
        fc.nat(50),
        fc.nat(400),
        fc.integer(),
        fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined }),
        async (space, from, length, seed, slice) => {
          const items = [...iterate(space)].map((item, rank) => ({ item, rank }))
          const range = { from: Math.min(from, items.length), to: Math.min(from + length, items.length) }
          const spec = { type: 'enumerate', space, evaluate: weigh, aggregate: all, ...range }
          const result = await runner.run(spec, { seed, slice })
          const value = expected(items.slice(range.from, range.to))
          assert.deepEqual(result, encodeValue({ visited: range.to - range.from, skipped: 0, value }))
        }
      ),
      { numRuns: 25 }
    )
  })

  it('skips what prune says, wherever the cuts are, and aggregates the rest', async () => {
    const prune = (prefix: Int32Array, depth: number) => (prefix[depth - 1]! * 5 + depth) % 4 === 0
    await fc.assert(
      fc.asyncProperty(anySpace, fc.integer(), fc.nat(30), async (space, seed, from) => {
        const items = [...iterate(space)].map((item, rank) => ({ item, rank }))
        const first = Math.min(from, items.length)
        const left = items.slice(first).filter(({ item }) => item.every((_, i) => !prune(item, i + 1)))
        const spec = { type: 'enumerate', space, evaluate: weigh, prune, aggregate: all, from: first }
        const skipped = items.length - first - left.length
        assert.deepEqual(
          await runner.run(spec, { seed }),
          encodeValue({ visited: left.length, skipped, value: expected(left) })
        )
      }),
      { numRuns: 25 }
    )
  })

  it('joins: what [0, m) and [m, N) give is what [0, N) gives', async () => {
    const spec = {
      type: 'enumerate',
      space: { type: 'partitions', n: 20 },
      evaluate: weigh,
      aggregate: { all: 'histogram', sum: 'sum' }
    }
    const whole = await runner.result(spec)
    const left = await runner.result({ ...spec, to: 311 })
    const right = await runner.result({ ...spec, from: 311 })
    const merged = new Map<number, number>(left.value.all)
    for (const [key, n] of right.value.all) merged.set(key, (merged.get(key) ?? 0) + n)
    assert.deepEqual(
      whole.value.all,
      [...merged].sort(([a], [b]) => a - b)
    )
    assert.equal(whole.value.sum, left.value.sum + right.value.sum)
  })

  it('says what the units so far give, whichever they are', async () => {
    const space: Space = { type: 'combinations', n: 16, k: 3 }
    const items = [...iterate(space)].map((item, rank) => ({ item, rank }))
    const work = createWork(parseSpec({ type: 'enumerate', space, evaluate: weigh, aggregate: all }), 1000)
    const [[, part]] = (await work.next(undefined, () => () => assert.fail('nothing runs here'))) as [
      NumberedPart
    ]
    assert.equal(part.units, items.length, 'a unit is an item')
    const run = runHere({ ...part.load, kind: 'function' } as never)
    const take = async (first: number, count: number): Promise<void> =>
      part.reducer.add(first, count, await run(part.inputs(first, count)[0] as Uint8Array))
    assert.equal(work.soFar!(), undefined)
    await take(300, 77)
    await take(5, 40)
    const taken = [...items.slice(5, 45), ...items.slice(300, 377)]
    assert.deepEqual(work.soFar!(), { visited: taken.length, skipped: 0, value: expected(taken) })
  })

  it('sums exactly: in BigInt, and fractions to the last digit', async () => {
    const space = { type: 'product', radices: [30, 40] }
    const exact = { type: 'enumerate', space, exact: true, aggregate: 'sum' }
    const big = await runner.result({ ...exact, evaluate: '(item, rank) => 2n ** 80n + BigInt(rank)' })
    assert.equal(big.value, 1200n * 2n ** 80n + 719_400n)
    const large = await runner.result({ ...exact, evaluate: '() => 2 ** 52' })
    assert.equal(large.value, 1200n * 2n ** 52n)
    for (const rounded of ['2 ** 60', '-(2 ** 53)', '[1, 2 ** 53]'])
      await assert.rejects(
        runner.result({ ...exact, evaluate: `() => ${rounded}` }),
        /sum with `exact` got the number .*rounded/
      )
    // 1/1·2 + 1/2·3 + … telescopes
    const thirds = await runner.result(
      { ...exact, evaluate: '(item, rank) => [1, (rank + 1) * (rank + 2)]' },
      { slice: 7 }
    )
    assert.deepEqual(thirds.value, [1200n, 1201n])
  })

  it('shows the author a copy, and keeps what he returns apart', async () => {
    const scribble = '(item, rank) => { item.fill(99); return rank }'
    const space = { type: 'combinations', n: 8, k: 3 }
    const max = await runner.result({
      type: 'enumerate',
      space,
      evaluate: scribble,
      prune: 'prefix => prefix.fill(7) === 0',
      aggregate: 'max'
    })
    assert.deepEqual(max.value, { value: 55, rank: 55, item: [5, 6, 7] })
    const kept = await runner.result({
      type: 'enumerate',
      space,
      evaluate: 'item => item',
      aggregate: { operation: 'collect', limit: 60 }
    })
    assert.deepEqual(kept.value, [...iterate(space as Space)])
  })

  describe('what the author does to an item does not show in the next, however it is cut', () => {
    const space = { type: 'subsets', n: 6 }
    const keepers: Record<string, object> = {
      'the bytes behind a prefix': {
        evaluate: 'item => item.length',
        prune: '(prefix, depth) => depth < 6 && new Int32Array(prefix.buffer)[5] === 1'
      },
      'a buffer that is transferred': { evaluate: 'item => { item.buffer.transfer(); return item.length }' },
      'a buffer that was transferred': {
        evaluate: 'item => { const { length } = item; item.buffer.transfer(); return length }'
      }
    }
    const refused: Record<string, string> = {
      'a property': 'item => item.n = (item.n ?? 0) + 1',
      'a property of its buffer': 'item => item.buffer.n = (item.buffer.n ?? 0) + 1',
      'another prototype':
        'item => { const is = item instanceof Int32Array; Object.setPrototypeOf(item, {}); return is ? 1 : 0 }'
    }
    for (const [name, author] of Object.entries(keepers))
      it(name, async () => {
        const spec = { type: 'enumerate', space, aggregate: 'sum', ...author }
        assert.deepEqual(await runner.run(spec, { slice: 1 }), await runner.run(spec, { slice: 64 }))
      })
    for (const [name, evaluate] of Object.entries(refused))
      it(`${name}: cannot be given`, async () => {
        for (const slice of [1, 64])
          await assert.rejects(
            runner.run({ type: 'enumerate', space, aggregate: 'sum', evaluate }, { slice }),
            /threw: TypeError: .*not extensible/
          )
      })
  })

  it('goes far into spaces of nearly 2^53', async () => {
    const space: Space = { type: 'combinations', n: 56, k: 28 }
    const from = 7_000_000_000_000_000
    const spec = { type: 'enumerate', space, evaluate: weigh, aggregate: 'collect', from, to: from + 5 }
    const values = Array.from({ length: 5 }, (_, i) => weigh(unrank(space, from + i), from + i))
    assert.deepEqual((await runner.result(spec)).value, values)
  })

  it('says which value does not go with an aggregate, and what became too large', async () => {
    const space = { type: 'subsets', n: 17 }
    const run = (evaluate: string, aggregate: unknown) =>
      runner.result({ type: 'enumerate', space, evaluate, aggregate })
    await assert.rejects(run('item => "a"', 'sum'), /threw: .*sum needs a number/)
    await assert.rejects(run('item => NaN', 'max'), /max needs numbers, got NaN/)
    await assert.rejects(run('async item => 1', 'count'), /evaluate gave a promise/)
    await assert.rejects(run('item => ({})', 'histogram'), /histogram needs numbers, strings/)
    const many = { type: 'enumerate', space, evaluate: '(item, rank) => rank', aggregate: 'histogram' }
    const excess = /histogram has more than 100,000 keys/
    // found by the worker, and where the units of several meet
    await assert.rejects(
      runner.result(many, { slice: 2048 }),
      new RegExp(`invalid-result: .*${excess.source}`)
    )
    await assert.rejects(runner.result(many, { slice: 64 }), (err: StepFailedError) => {
      assert.equal(err.failure.name, 'invalid-result')
      assert.match(err.failure.message, excess)
      return true
    })
  })

  describe('an answer that is not right', () => {
    const space: Space = { type: 'combinations', n: 16, k: 3 }
    const spec = {
      type: 'enumerate',
      space,
      evaluate: '(item, rank) => (rank * 7) % 101',
      aggregate: {
        all: 'histogram',
        best: { operation: 'topk', k: 3 },
        some: { operation: 'count', of: 'v => v > 50' }
      }
    }
    type Answer = [
      level: number,
      index: number,
      tally: [number, number, [[number[], number[]], [number, Int32Array][], number]]
    ][]
    const partOf = async (aggregate: object = spec.aggregate) => {
      const work = createWork(parseSpec({ ...spec, aggregate }), 1000)
      const [[, part]] = (await work.next(undefined, () => () => assert.fail('nothing runs here'))) as [
        NumberedPart
      ]
      const run = runHere({ ...part.load, kind: 'function' } as never)
      const answer = async (first: number, count: number): Promise<Answer> =>
        decodeValue(await run(part.inputs(first, count)[0] as Uint8Array)) as Answer
      return { part, answer, run: (input: unknown) => run(encodeValue(input)) }
    }

    it('is refused where it skips, repeats, puts more into a histogram, or names an item from elsewhere', async () => {
      const { part, answer } = await partOf()
      const lies: Record<string, (tally: Answer[0][2]) => void> = {
        'visited one less': tally => tally[0]--,
        'visited one more': tally => tally[0]++,
        'skipped some, though all were counted': tally => (tally[1] = 5),
        'moved some from visited to skipped': tally => {
          tally[0] -= 5
          tally[1] += 5
        },
        'a key counted twice': ([, , [histogram]]) => histogram[1][0]!++,
        'a key left out': ([, , [histogram]]) => histogram.map(list => list.pop()),
        'keys out of order': ([, , [histogram]]) => histogram[0].reverse(),
        'fewer of the best': ([, , [, best]]) => best.pop(),
        'the same one twice': ([, , [, best]]) => (best[1] = best[0]!),
        'one of another slice': ([, , [, best]]) => (best[2]![1] = unrank(space, 300)),
        'no item of the space': ([, , [, best]]) => (best[2]![1] = Int32Array.of(3, 2, 1)),
        'a count above what there is': ([, , accs]) => (accs[2] = 129)
      }
      for (const [name, lie] of Object.entries(lies)) {
        const nodes = await answer(0, 128)
        lie(nodes[0]![2])
        assert.throws(() => part.reducer.add(0, 128, encodeValue(nodes)), { name: 'ProtocolError' }, name)
      }
      part.reducer.add(0, 128, encodeValue(await answer(0, 128)))
    })

    it('is found where it invents a best: this node asks the item itself', async () => {
      const { part, answer, run } = await partOf()
      const nodes = await answer(0, part.units)
      part.reducer.add(0, part.units, encodeValue(nodes))
      const { value } = decodeValue(await part.reducer.finish(run)) as {
        value: { best: { value: number }[] }
      }
      assert.deepEqual(
        value.best.map(each => each.value),
        [100, 100, 100]
      )
      const other = part.createReducer()
      nodes[0]![2][2][1][0]![0] = 1000
      other.add(0, part.units, encodeValue(nodes))
      await assert.rejects(other.finish(run), /a worker said that \[.*\] has 1000; it has 100/)
    })

    it('takes no more time at once than a slice, however many there are to ask', async () => {
      const { part, run } = await partOf({ best: { operation: 'topk', k: 500 } })
      const { inputs, units } = part
      part.reducer.add(0, units, await run(decodeValue(inputs(0, units)[0] as Uint8Array)))
      const asked: number[] = []
      const { value } = decodeValue(
        await part.reducer.finish(input => {
          asked.push((input as { hits: unknown[] }).hits.length)
          return run(input)
        })
      ) as { value: { best: unknown[] } }
      assert.equal(value.best.length, 500)
      assert.deepEqual(asked, [256, 244])
    })
  })

  it('refuses at submit what nobody could enumerate', () => {
    const base = { type: 'enumerate', space: { type: 'combinations', n: 52, k: 5 }, aggregate: 'count' }
    const refused: [object, string, RegExp][] = [
      [{ space: { type: 'combinations', n: 57, k: 28 } }, 'space', /"tree" \} with `prune`/],
      [{ space: { type: 'combinations', n: 3, k: 4 } }, 'space', /k must be/],
      [{ space: { type: 'combinations', n: 10_001, k: 4 } }, 'space.n', /10000/],
      [{ space: { type: 'tree', depth: 40, choices: 3 } }, 'prune', /is missing/],
      [{ space: { type: 'tree', depth: 2, choices: 3 }, from: 1 }, 'from', /no ranks/],
      [{ from: 5, to: 4 }, 'from', /no ranks/],
      [{ to: 2_598_961 }, 'from', /no ranks/],
      [{ evaluate: 'item => limit' }, 'evaluate', /`limit`/],
      [{ aggregate: {} }, 'aggregate', /1 to 64/],
      [{ aggregate: { operation: 'topk', k: 10_001 } }, 'aggregate.k', /10000/],
      [{ aggregate: { best: { operation: 'max', of: 'v => w' } } }, 'aggregate.best.of', /`w`/],
      [{ aggregate: { operation: 'sum', k: 3 } }, 'aggregate.k', /belongs to topk/]
    ]
    for (const [change, field, words] of refused)
      assert.throws(
        () => parseSpec({ ...base, ...change }),
        (err: Error & { field: string }) => {
          assert.equal(err.name, 'SpecError')
          assert.equal(err.field, field, JSON.stringify(change))
          assert.match(err.message, words)
          return true
        }
      )
  })
})
