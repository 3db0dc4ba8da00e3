import { strict as assert } from 'node:assert'
import type { Capabilities } from '../../../services/index.ts'
import { analyzer, OWNER } from '../../../services/index.ts'
import { WorkRunner } from '../../scheduler/run-work.ts'
import { startHost } from '../host/start-host.ts'

type Host = Awaited<ReturnType<typeof startHost>>

// The long form: 12, 13 or 14.
const LONG_QUEENS = process.env.ARTEL_QUEENS

describe('services: analyzer', () => {
  const runner = new WorkRunner()
  let host: Host
  /** Jobs that the sandbox of this test runs. */
  const jobs = {
    submit: async (spec: unknown) => {
      const result = runner.result(spec)
      result.catch(() => {})
      return Object.assign(new EventTarget(), {
        id: 'job',
        report: () => ({ done: 0, total: 1 }),
        soFar: () => undefined,
        result: () => result,
        cancel: async () => {}
      })
    }
  } as unknown as Capabilities['jobs']

  before(async () => {
    await runner.start()
    host = await startHost({ modules: [analyzer], capabilities: { jobs } })
  })
  after(async () => {
    await host?.[Symbol.asyncDispose]()
    await runner.stop()
  })

  const call = (operation: string, input: object): Promise<any> =>
    host.services.call('analyzer', operation, input, { caller: OWNER })

  it('knows the classes of poker hands', async () => {
    const { classes, visited } = await call('poker', {})
    assert.equal(visited, 2_598_960)
    assert.deepEqual(
      classes.map(({ count }: { count: number }) => count),
      [1_302_540, 1_098_240, 123_552, 54_912, 10_200, 5108, 3744, 624, 36, 4]
    )
  })

  it('knows what a dealer ends with, exactly: one deck, by the published table', async () => {
    const leaves = { stands: 0, hits: 0 }
    for (let up = 1; up <= 10; up++)
      for (const hitSoft17 of [false, true]) {
        const { ends, visited } = await call('dealer', { up, hitSoft17 })
        leaves[hitSoft17 ? 'hits' : 'stands'] += visited
        let [n, d] = [0n, 1n]
        for (const { exact } of ends) {
          const [a, b] = exact.split('/').map(BigInt)
          ;[n, d] = [n * b + a * d, d * b]
        }
        assert.equal(n, d, `over ${up} the chances sum to 1`)
        const of = (end: string) => ends.find((each: { end: string }) => each.end === end)
        if (up === 6 && !hitSoft17) {
          assert.ok(Math.abs(of('bust').chance - 0.420823) < 1e-6)
          assert.ok(Math.abs(of('17').chance - 0.166948) < 1e-6)
        }
        if (up === 1) assert.equal(of('blackjack').exact, '16/51')
      }
    assert.deepEqual(leaves, { stands: 48_532, hits: 59_704 })
  })

  it('counts queens', async function () {
    // OEIS A000170
    const known: Record<number, number> = { 8: 92, 10: 724, 12: 14_200, 13: 73_712, 14: 365_596 }
    if (LONG_QUEENS != null) this.timeout(600_000)
    for (const n of [8, Number(LONG_QUEENS ?? 10)])
      assert.equal((await call('queens', { n })).solutions, known[n])
  })

  it('counts labelled Steiner triple systems', async () => {
    assert.equal((await call('steiner', { v: 7 })).systems, 30)
    assert.equal((await call('steiner', { v: 9 })).systems, 840)
  })

  it('checks wheels: the draws that meet a ticket', async () => {
    const { hits } = await call('wheel', { numbers: 20, tickets: ['1,2,3,4,5,6'] })
    // C(6, k) · C(14, 6 − k)
    assert.deepEqual(
      hits,
      [3003, 12_012, 15_015, 7280, 1365, 84, 1].map((draws, hits) => ({ hits, draws }))
    )
  })

  it('says what cannot be asked for', async () => {
    const refused: [string, object, RegExp][] = [
      ['wheel', { tickets: ['1,1,2'] }, /ticket 1,1,2: different numbers/],
      ['wheel', { tickets: ['50'] }, /from 1 to 49/],
      ['wheel', { numbers: 5, pick: 6, tickets: ['1'] }, /cannot be drawn/],
      ['steiner', { v: 8 }, /no triple system of 8/],
      ['dealer', { up: 2, removed: [2, 2, 2, 2] }, /do not have that many/]
    ]
    for (const [operation, input, message] of refused)
      await assert.rejects(call(operation, input), { name: 'PresetError', message })
  })
})
