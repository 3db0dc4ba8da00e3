import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { createSandbox, decodeValue, encodeValue } from '../../sandbox/index.ts'
import type { Accepted } from '../../scheduler/coordinator/contract.ts'
import { createCoordinator } from '../../scheduler/coordinator/coordinator.ts'
import { assemble } from '../../scheduler/data/pieced-input.ts'
import { BlockError, PeerUnreachableError } from '../../scheduler/errors.ts'
import { spill } from '../../scheduler/protocol/kept-partitions.ts'
import type { Part, Work } from '../../scheduler/tasks/contract.ts'
import { createWork } from '../../scheduler/tasks/job-parts.ts'
import { parseSpec } from '../../scheduler/tasks/parse-spec.ts'
import { SHUFFLE_BYTES } from '../../scheduler/tasks/shuffle/shuffle.ts'
import { BlocksMissingError, createWorkerInputs } from '../../scheduler/worker/gather-inputs.ts'
import { createKeptBlocks } from '../../scheduler/worker/kept-blocks.ts'
import { until } from '../bootstrap/nodes.ts'
import { openSession, type Run, runIn } from './programs.ts'
import { createRandom } from './run-work.ts'
import { Fleet, here, log } from './shuffle-fleet.ts'

type Item = [key: unknown, value: number]

/** Groups by a direct calculation: per key the binary tree over the items, without those of other keys. */
function direct(items: Item[], operation: string, initial?: number): unknown[] {
  const two = (a: number, b: number): number =>
    operation === 'max' ? Math.max(a, b) : operation === 'custom' ? a / 2 + b : a + b
  const tree = (values: (number | undefined)[]): number | undefined => {
    let row = values
    while (row.length > 1)
      row = Array.from({ length: Math.ceil(row.length / 2) }, (_, i) => {
        const [a, b] = [row[2 * i], row[2 * i + 1]]
        return a === undefined ? b : b === undefined ? a : two(a, b)
      })
    return row[0]
  }
  const rank = (a: unknown, b: unknown): number => {
    if (typeof a !== typeof b) return typeof a < typeof b ? -1 : 1
    if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) ? 1 : -1
    return (a as number) < (b as number) ? -1 : 1
  }
  return [...new Set(items.map(([key]) => (key === 0 ? 0 : key)))].sort(rank).map(key => {
    const own = items.map(([other, value]) =>
      other === key || (Number.isNaN(key) && Number.isNaN(other)) ? value : undefined
    )
    if (operation === 'count') return [key, own.filter(Boolean).length]
    const sum = tree(own)!
    if (operation === 'average') return [key, sum / own.filter(value => value !== undefined).length]
    return [key, initial === undefined ? sum : two(initial, sum)]
  })
}

/** Names long enough that the groups of some dozens are more than travels inline. */
const long = (name: string): string => name.padEnd(3000, '.')
const OTHER_KEYS = [0, -0, 1.5, -7, Number.NaN, true, false, 3n, 2n ** 70n, '', 'ä', '\ud800']

function someItems(random: () => number, count: number, keys: number): Item[] {
  return Array.from({ length: count }, (): Item => {
    const which = Math.floor(random() * (keys + OTHER_KEYS.length))
    const key = which < keys ? long(`k${which}`) : OTHER_KEYS[which - keys]
    return [key, random() < 0.1 ? 0 : random() * 1e6 - 5e5]
  })
}

const specOf = (items: unknown[], operation: string, initial?: number) =>
  parseSpec({
    type: 'map_reduce',
    items,
    map: 'x => x',
    reduce: operation === 'custom' ? '(a, b) => a / 2 + b' : operation,
    ...(initial === undefined ? {} : { initial })
  })
const workOf = (items: unknown[], operation = 'sum', initial?: number): Work =>
  createWork(specOf(items, operation, initial), SHUFFLE_BYTES)

function sameBytes(actual: Uint8Array, expected: unknown): void {
  if (Buffer.compare(actual, encodeValue(expected)) === 0) return
  assert.deepEqual(decodeValue(actual), expected)
  assert.fail('the values are equal, their bytes are not')
}

describe('scheduler: grouped map_reduce with a shuffle', () => {
  it('gives the bytes of a direct calculation for any parameters, slices and number of workers', () =>
    fc.assert(
      fc.asyncProperty(
        fc.record({
          seed: fc.nat(),
          count: fc.integer({ min: 1, max: 500 }),
          keys: fc.integer({ min: 0, max: 120 }),
          slice: fc.integer({ min: 1, max: 500 }),
          workers: fc.integer({ min: 1, max: 5 }),
          copies: fc.integer({ min: 1, max: 2 }),
          operation: fc.constantFrom('sum', 'max', 'average', 'count', 'custom'),
          withInitial: fc.boolean()
        }),
        async ({ seed, count, keys, slice, workers, copies, operation, withInitial }) => {
          const items = someItems(createRandom(seed), count, keys)
          const initial = withInitial && ['sum', 'max', 'custom'].includes(operation) ? 0.1 : undefined
          const work = workOf(items, operation, initial)
          const how = { slice: Math.max(slice, Math.ceil(count / 40)), copies: Math.min(copies, workers) }
          sameBytes(await new Fleet(workers, seed).run(work, how), direct(items, operation, initial))
        }
      ),
      { numRuns: 40 }
    ))

  const random = createRandom(7)
  const items = someItems(random, 2000, 100)
  const expected = direct(items, 'custom')

  it('passes fewer bytes through the coordinator than the groups have, and small groups as ever', async () => {
    const fleet = new Fleet(3, 1)
    sameBytes(await fleet.run(workOf(items, 'custom'), { slice: 200 }), expected)
    assert.deepEqual(fleet.parts, [0, 1])
    const small = new Fleet(3, 1)
    sameBytes(
      await small.run(createWork(specOf(items, 'custom'), SHUFFLE_BYTES - 1), { slice: 200 }),
      expected
    )
    assert.deepEqual(small.parts, [0])
    // what comes back of the reduction is the result; all else is digests
    const result = encodeValue(expected).length
    assert.ok(fleet.bytes < 1.1 * result, `${fleet.bytes} bytes for a result of ${result}`)
    assert.ok(small.bytes > 5 * fleet.bytes, `${small.bytes} bytes without a shuffle, ${fleet.bytes} with`)
    const few = new Fleet(3, 1)
    const short = items.map(([, value], i) => [i % 10, value] as Item)
    sameBytes(await few.run(workOf(short), { slice: 200 }), direct(short, 'sum'))
    assert.deepEqual(few.parts, [0])
  })

  it('maps again what is gone with a worker that vanishes before the reduction', async () => {
    for (const copies of [1, 2]) {
      const fleet = new Fleet(4, 2)
      const onPart = (part: number): void => {
        if (part === 1) fleet.peers = fleet.peers.slice(copies)
      }
      sameBytes(await fleet.run(workOf(items, 'custom'), { slice: 100, copies, onPart }), expected)
      const lost = fleet.stored.filter(
        ({ part, workers }) => part === 0 && workers.every(id => id < `w${copies}`)
      )
      const again = fleet.stored.filter(({ part }) => part === 2)
      assert.ok(lost.length > 0)
      assert.equal(again.length, lost.length, 'only what no worker has any more')
      assert.deepEqual(fleet.parts, [0, 1, 2, 3])
    }
  })

  it('brings the groups to the coordinator where workers cannot reach each other', async () => {
    for (const workers of [1, 2, 5]) {
      const fleet = new Fleet(workers, 3)
      fleet.reaches = () => false
      sameBytes(await fleet.run(workOf(items, 'custom'), { slice: 100 }), expected)
      assert.equal(Math.max(...fleet.parts), workers === 1 ? 1 : 5)
    }
  })

  it('ends with what to do when blocks vanish again and again', async () => {
    const fleet = new Fleet(2, 4)
    const work = workOf(items, 'custom')
    await assert.rejects(async () => {
      const [[, map]] = (await work.next(undefined, () => assert.fail())) as [[number, Part]]
      const kept = Array.from({ length: 32 }, () => [100, new Uint8Array(32)])
      map.reducer.add(0, map.units, encodeValue({ kept }), [])
      for (let number = 0; ; number++) {
        const [[, part]] = (await work.next(number, () => assert.fail())) as [[number, Part]]
        if (number % 2 === 1) continue
        for (let unit = 0; unit < part.units; unit++)
          part.reducer.add(unit, 1, part.missing!.result([new Uint8Array(32)]))
      }
    }, /could not be had .* after 2 repairs; submit the job again/)
    assert.equal(fleet.bytes, 0)
  })

  it('goes on after a restart of the coordinator at any moment, with the same bytes', async () => {
    const fleet = new Fleet(3, 5)
    fleet.reaches = (from, to) => from !== 'w1' && to !== 'w1'
    sameBytes(await fleet.run(workOf(items, 'custom'), { slice: 150 }), expected)
    assert.ok(fleet.parts.length > 2)
    const all = [...fleet.stored]
    for (const share of [0.1, 0.3, 0.6, 0.9, 1]) {
      const replay = all.slice(0, Math.floor(all.length * share)).reverse()
      fleet.stored.length = 0
      sameBytes(await fleet.run(workOf(items, 'custom'), { slice: 150, replay }), expected)
      assert.ok(fleet.stored.length <= all.length - replay.length + 2 * 32)
    }
  })

  it('takes no other groups in a repair than those that were accepted', async () => {
    const work = workOf(items)
    const [[, map]] = (await work.next(undefined, () => assert.fail())) as [[number, Part]]
    const run = here(map)
    const input = await assemble(map.inputs(0, map.units)[0]!, () => assert.fail())
    const { value } = spill(await run(input), 0)!
    map.reducer.add(0, map.units, value, ['w0'])
    const [[, reduce]] = (await work.next(0, () => assert.fail())) as [[number, Part]]
    const digests = reduce.missing!.of(
      3,
      (decodeValue(value) as { kept: [number, Uint8Array][] }).kept.map(([, digest]) => digest)
    )
    assert.equal(digests.length, 1, 'a partition needs its own block of the slice')
    for (let unit = 0; unit < 32; unit++) reduce.reducer.add(unit, 1, reduce.missing!.result(digests))
    const [[, repair]] = (await work.next(1, () => assert.fail())) as [[number, Part]]
    assert.equal(repair.pack([value], 1, 0), value)
    const other = encodeValue({ kept: Array.from({ length: 32 }, () => [100, new Uint8Array(32)]) })
    assert.equal((repair.pack([other], 1, 0) as { name: string }).name, 'invalid-result')
    repair.reducer.add(0, 1, value, ['w1'])
    const [[, second]] = (await work.next(2, () => assert.fail())) as [[number, Part]]
    assert.deepEqual((second.inputs(0, 1)[0] as { holders: string[] }).holders, ['w1', 'w0'])
  })

  it('refuses answers of another form', async () => {
    const partitions = (of: unknown): unknown[] => Array.from({ length: 32 }, () => of)
    const work = workOf([[1, 1]])
    const [[, map]] = (await work.next(undefined, () => assert.fail())) as [[number, Part]]
    for (const lie of [
      null,
      {},
      { kept: 1 },
      { kept: [] },
      { kept: partitions([1]) },
      { kept: partitions([0, new Uint8Array(0)]) },
      { kept: partitions([100, new Uint8Array(31)]) },
      { kept: partitions(new Uint8Array(65)) },
      { kept: partitions([2 ** 40, new Uint8Array(32)]) },
      { cut: 1 },
      { cut: [[]] },
      { cut: partitions([]) },
      { cut: partitions([[], []]) },
      { cut: partitions([[[{}, 1]]]) },
      { cut: partitions([[['a', 'no number']]]) }
    ])
      assert.throws(() => map.reducer.add(0, 1, encodeValue(lie)), `took ${JSON.stringify(lie)}`)
    for (const cut of ['x'.repeat(2e5), [new Uint8Array(2e5)], partitions(0)])
      assert.equal(spill(encodeValue({ cut }), 0), undefined)
    map.reducer.add(0, 1, encodeValue({ kept: partitions([100, new Uint8Array(32)]) }), ['w0'])
    const [[, reduce]] = (await work.next(0, () => assert.fail())) as [[number, Part]]
    for (const lie of [null, 5, { missing: [new Uint8Array(32)] }])
      assert.ok(!(reduce.pack([encodeValue(lie)], 1, 0) instanceof Uint8Array))
    const everywhere = Array.from({ length: 200 }, (_, i) => [i, 1])
    for (const lie of [[1], [[{}, 1]], everywhere])
      assert.throws(() => reduce.reducer.add(0, 1, encodeValue(lie)), { name: 'ProtocolError' })
  })

  it('has the same chance wherever groups are kept and reduced', async () => {
    const sandbox = createSandbox({ warm: 1 })
    await sandbox.start()
    try {
      const spec = parseSpec({
        type: 'map_reduce',
        items: items.slice(0, 300),
        map: '([key, value]) => [key, [value, Math.random()]]',
        reduce: '(a, b) => [...a, ...b, Math.random()]'
      })
      const results = []
      for (const [workers, seed] of [
        [1, 1],
        [3, 2],
        [5, 3]
      ] as const) {
        const sessions = new Map<string, Run>()
        const opened: { close(): Promise<void> }[] = []
        const fleet = new Fleet(workers, seed, async ({ load }) => {
          const { t: _, program, timeoutMs: __, memoryMb: ___, type: ____, ...rest } = load
          if (!sessions.has(program)) {
            const session = await openSession(sandbox, rest)
            opened.push(session)
            sessions.set(program, runIn(session))
          }
          return sessions.get(program)!
        })
        results.push(await fleet.run(createWork(spec, SHUFFLE_BYTES), { slice: 100 }))
        assert.deepEqual(fleet.parts, [0, 1])
        await Promise.all(opened.map(session => session.close()))
      }
      assert.deepEqual(results[1], results[0])
      assert.deepEqual(results[2], results[0])
    } finally {
      await sandbox.stop()
    }
  })
})

describe('scheduler: blocks that workers keep', () => {
  const block = (size: number, fill: number): [Uint8Array, Uint8Array] => [
    new Uint8Array(32).fill(fill),
    new Uint8Array(size).fill(fill)
  ]

  it('are bounded in bytes and time, the oldest go first', () => {
    let now = 0
    const kept = createKeptBlocks({ maxBytes: 100, maxAgeMs: 1000, now: () => now })
    for (const fill of [1, 2, 3]) kept.put(...block(40, fill))
    const has = (): boolean[] => [1, 2, 3].map(fill => kept.get(new Uint8Array(32).fill(fill)) != null)
    assert.deepEqual(has(), [false, true, true])
    now = 500
    kept.put(...block(40, 2))
    kept.put(...block(40, 1))
    assert.deepEqual(has(), [true, true, false])
    now = 1499
    assert.deepEqual(has(), [true, true, false])
    now = 1500
    assert.deepEqual(has(), [false, false, false])
    kept.put(...block(101, 1))
    assert.deepEqual(has(), [false, false, false])
  })

  it('are asked of one holder after the other; all that are missing are named', async () => {
    const blocks = new Map([['right', new Uint8Array(10).fill(1)]])
    const asked: string[] = []
    const get = async (peer: string): Promise<Uint8Array> => {
      asked.push(peer)
      const found = blocks.get(peer)
      if (found == null) throw new BlockError('gone')
      return found
    }
    const inputs = createWorkerInputs({ blocks: { get }, kept: createKeptBlocks(), log })
    const holders = ['gone', 'right']
    const range = (fill: number, at: number[], to = 10) => ({
      block: new Uint8Array(32).fill(fill),
      from: 0,
      to,
      at
    })
    const signal = new AbortController().signal
    const found = await inputs.fetch('r', [{ size: 10, holders, pieces: [range(0, [0, 1])] }], signal)
    assert.deepEqual([...found[0]!], Array(10).fill(1))
    assert.deepEqual(asked, ['gone', 'right'])
    const pieces = [range(1, [0]), range(2, [0, 1]), range(3, []), range(4, [1], 11)]
    await assert.rejects(inputs.fetch('r', [{ size: 41, holders, pieces }], signal), (err: Error) => {
      assert.ok(err instanceof BlocksMissingError)
      assert.deepEqual(err.missing.map(([fill]) => fill).sort(), [1, 3, 4])
      return true
    })
    const unreachable = createWorkerInputs({
      blocks: {
        get(peer) {
          asked.push(peer)
          return Promise.reject(new PeerUnreachableError('no way'))
        }
      },
      kept: createKeptBlocks(),
      log
    })
    asked.length = 0
    for (const fill of [0, 1, 0])
      await assert.rejects(
        unreachable.fetch('r', [{ size: 10, holders, pieces: [range(fill, [0])] }], signal),
        BlocksMissingError
      )
    assert.deepEqual(asked, ['gone'], 'who cannot be reached is not waited for again and again')
    for (const lie of [
      { size: 11, holders, pieces: [range(0, [1])] },
      { size: 10, holders, pieces: [range(0, [2])] }
    ])
      await assert.rejects(inputs.fetch('r', [lie], signal), RangeError)
  })

  it('are asked of the next holder beside one who is late, of a few at a time, and of the late one last after that', async () => {
    const asked: string[] = []
    const silent: PromiseWithResolvers<Uint8Array>[] = []
    const get = (peer: string): Promise<Uint8Array> => {
      asked.push(peer)
      if (peer === 'right') return Promise.resolve(new Uint8Array(10))
      const late = Promise.withResolvers<Uint8Array>()
      silent.push(late)
      return late.promise
    }
    const inputs = createWorkerInputs({ blocks: { get }, kept: createKeptBlocks(), log, leastMs: 1 })
    const { signal } = new AbortController()
    const fetch = (holders: string[], fill = 0): Promise<Uint8Array[]> => {
      const at = holders.map((_, i) => i)
      const pieces = [{ block: new Uint8Array(32).fill(fill), from: 0, to: 10, at }]
      return inputs.fetch('r', [{ size: 10, holders, pieces }], signal)
    }
    await fetch(['silent', 'right'])
    assert.deepEqual(asked.splice(0), ['silent', 'right'])
    await fetch(['silent', 'right'])
    assert.deepEqual(asked.splice(0), ['right'])
    // where all are late a few have another beside them
    const both = Array.from({ length: 4 }, (_, i) => fetch([`a${i}`, `b${i}`]))
    await until(() => asked.length === 8, 'two are asked for each of four blocks')
    const alone = fetch(['c', 'right'])
    await until(() => silent.length === 10, 'one is asked for a fifth')
    silent.at(-1)!.resolve(new Uint8Array(10))
    await alone
    assert.deepEqual(asked.slice(8), ['c'])
    for (const { reject } of silent) reject(new BlockError('gone'))
    for (const each of both) await assert.rejects(each, BlocksMissingError)
    await fetch(['d', 'right'])
    assert.deepEqual(asked.slice(9), ['d', 'right'])
  })

  it('that cannot be had blame nobody: after two workers the coordinator goes on without', () => {
    for (const others of [2, 1, 0]) {
      const accepted: Accepted[] = []
      const leased: { worker: string; slice: number }[] = []
      const trusted: string[] = []
      let ended: string | undefined
      const coordinator = createCoordinator(
        {
          lease: lease => void leased.push(lease),
          revoke() {},
          accept(slice) {
            accepted.push(slice)
            return 'stored'
          },
          pay() {},
          retract() {},
          wake() {},
          trust: key => void trusted.push(key),
          evidence() {},
          end: ({ state }) => {
            ended = state
          }
        },
        { random: () => 0.5 }
      )
      for (let i = 0; i <= others; i++) coordinator.offer(`w${i}`, { slots: 1, window: 4 }, 0)
      coordinator.submit(
        {
          id: 'job',
          program: 'p',
          units: 1,
          mostUnits: 1,
          priority: 'normal',
          retries: 3,
          timeoutMs: 1000,
          verification: 'none',
          kind: 'map_reduce',
          bound: 1000n,
          unavailable: reports => reports
        },
        0
      )
      for (let at = 0; at < leased.length; at++) {
        const { worker, slice } = leased[at]!
        coordinator.starved('nobody', slice, 'a lie', 1)
        coordinator.starved(worker, slice, at, 1)
        coordinator.starved(worker, slice, 'again', 1)
      }
      const reports = others === 0 ? [0] : [0, 1]
      assert.deepEqual(
        accepted.map(({ payload, paid }) => [payload, paid]),
        [[reports, []]]
      )
      assert.equal(new Set(leased.map(({ worker }) => worker)).size, reports.length)
      assert.equal(ended, 'completed')
      assert.deepEqual(trusted, [])
    }
  })
})
