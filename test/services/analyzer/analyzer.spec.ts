import { strict as assert } from 'node:assert'
import { DEALER_ENDS } from '../../../services/analyzer/presets.ts'
import type { Capabilities } from '../../../services/index.ts'
import { analyzer, OWNER } from '../../../services/index.ts'
import { WorkRunner } from '../../scheduler/run-work.ts'
import { startHost } from '../host/start-host.ts'

type Host = Awaited<ReturnType<typeof startHost>>

/** With what takes minutes: 12 to 14 queens, hands of seven cards, all draws of 6 from 49. */
const IS_LONG = process.env.ARTEL_ANALYZER_LONG != null

/**
 * Chances to end with 17 to 21, blackjack, bust, by the open card from the ace on: one deck, stands on soft 17. Wizard of Odds,
 * blackjack appendix 2B; the last row from a recursion over Python's fractions, which gives the others too.
 */
const ONE_DECK = [
  [0.126128, 0.131003, 0.129486, 0.131553, 0.0515646, 0.313726, 0.11654],
  [0.138976, 0.131762, 0.131815, 0.123948, 0.120526, 0, 0.352973],
  [0.130313, 0.130946, 0.123761, 0.123345, 0.116047, 0, 0.375588],
  [0.130973, 0.114163, 0.120679, 0.116286, 0.115096, 0, 0.402803],
  [0.119687, 0.123483, 0.116909, 0.104694, 0.106321, 0, 0.428905],
  [0.166948, 0.106454, 0.107192, 0.100705, 0.0978785, 0, 0.420823],
  [0.372345, 0.138583, 0.0773344, 0.0788967, 0.072987, 0, 0.259854],
  [0.130857, 0.362989, 0.129445, 0.0682898, 0.0697914, 0, 0.238627],
  [0.121886, 0.103921, 0.357391, 0.12225, 0.061109, 0, 0.233442],
  [0.114418, 0.112879, 0.114662, 0.328879, 0.036466, 0.078431, 0.214264]
]

/** By a program of another shape, in Python: cards in their order, the hidden card drawn first, what is known of it carried along. */
const PLAYER: [input: object, gains: Record<string, number>][] = [
  [
    { hand: [10, 6], up: 10 },
    { stand: -0.5429518538, hit: -0.5069292426, double: -1.0138584852 }
  ],
  [
    { hand: [5, 6], up: 6 },
    { stand: -0.1389991589, hit: 0.380695852, double: 0.761391704 }
  ],
  [
    { hand: [1, 6], up: 1, hitSoft17: true },
    { stand: -0.5077019933, hit: -0.2291335608, double: -0.5297126332 }
  ],
  [
    { hand: [10, 6], up: 10, mayBeBlackjack: true },
    { stand: -0.5802619066, hit: -0.5471799167, double: -1.0943598333 }
  ],
  [{ hand: [1, 10], up: 1, decks: 2, mayBeBlackjack: true }, { stand: 1.0396039604 }],
  [
    { hand: [4, 4, 4], up: 3, decks: 6 },
    { stand: -0.2431702897, hit: -0.2300381434 }
  ]
]

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

  it('knows the classes of poker hands', async function () {
    const known: Record<number, [number, number[]]> = {
      5: [2_598_960, [1_302_540, 1_098_240, 123_552, 54_912, 10_200, 5108, 3744, 624, 36, 4]],
      // Wikipedia, Poker probability
      7: [
        133_784_560,
        [
          23_294_460, 58_627_800, 31_433_400, 6_461_620, 6_180_020, 4_047_644, 3_473_184, 224_848, 37_260,
          4324
        ]
      ]
    }
    if (IS_LONG) this.timeout(600_000)
    for (const cards of IS_LONG ? [5, 7] : [5]) {
      const { classes, visited } = await call('poker', { cards })
      const counts = classes.map(({ count }: { count: number }) => count)
      assert.deepEqual([visited, counts], known[cards])
    }
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
        if (!hitSoft17)
          for (const [i, end] of DEALER_ENDS.entries())
            assert.ok(Math.abs((of(end)?.chance ?? 0) - ONE_DECK[up - 1]![i]!) < 1e-6, `${end} over ${up}`)
        if (up === 1) assert.equal(of('blackjack').exact, '16/51')
      }
    assert.deepEqual(leaves, { stands: 48_532, hits: 59_704 })
  })

  it('knows what a player gains, as a recursion over cards in their order and the hidden one finds it', async () => {
    for (const [input, known] of PLAYER) {
      const { plays } = await call('player', input)
      const gains = Object.fromEntries(
        plays.map(({ play, gain }: { play: string; gain: number }) => [play, gain])
      )
      assert.deepEqual(Object.keys(gains).sort(), Object.keys(known).sort())
      for (const [play, gain] of Object.entries(known))
        assert.ok(Math.abs(gains[play] - gain) < 1e-9, `${play} ${gains[play]}, ${JSON.stringify(input)}`)
      assert.equal(plays[0].gain, Math.max(...Object.values<number>(gains)))
    }
  })

  it('counts queens', async function () {
    // OEIS A000170
    const known: Record<number, number> = { 8: 92, 10: 724, 12: 14_200, 13: 73_712, 14: 365_596 }
    if (IS_LONG) this.timeout(600_000)
    for (const n of IS_LONG ? [8, 10, 12, 13, 14] : [8, 10])
      assert.equal((await call('queens', { n })).solutions, known[n])
  })

  it('counts labelled Steiner triple systems', async () => {
    assert.equal((await call('steiner', { v: 7 })).systems, 30)
    assert.equal((await call('steiner', { v: 9 })).systems, 840)
  })

  it('checks wheels: the draws that meet a ticket', async function () {
    if (IS_LONG) {
      this.timeout(600_000)
      const { hits } = await call('wheel', { tickets: ['1,2,3,4,5,6'] })
      const of = (least: number): number =>
        hits.reduce(
          (sum: number, each: { hits: number; draws: number }) => sum + (each.hits >= least ? each.draws : 0),
          0
        )
      assert.deepEqual([of(0), of(3)], [13_983_816, 260_624])
    }
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
      ['dealer', { up: 2, removed: [2, 2, 2, 2] }, /do not have that many/],
      ['player', { up: 2, hand: [2, 2], removed: [2, 2] }, /do not have that many/],
      ['player', { up: 2, hand: [10, 5, 7] }, /are more than 21/]
    ]
    for (const [operation, input, message] of refused)
      await assert.rejects(call(operation, input), { name: 'PresetError', message })
  })
})
