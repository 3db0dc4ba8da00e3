import { table } from '../cli/output.ts'
import type { Demo } from './contract.ts'
import { type DemoNode, until } from './stage.ts'

const WORKERS = 3
const TIMEOUT_MS = 600_000
const WORD = 'worker'

interface Row {
  what: string
  result: string
  right: boolean
  ms: number
  killed?: string
}

/** Classes of hands from high card to royal flush. */
const HANDS = [1_302_540, 1_098_240, 123_552, 54_912, 10_200, 5108, 3744, 624, 36, 4]
/** Ways to place n queens. */
const QUEENS: Record<string, number> = { 8: 92, 10: 724, 12: 14_200, 13: 73_712, 14: 365_596 }
/** Of all ten open cards together: one deck, the dealer stands on every 17. */
const LEAVES = 48_532

interface Dealt {
  visited: number
  ends: { end: string; chance: number; exact: string }[]
}
const chanceOf = ({ ends }: Dealt, end: string): number => ends.find(each => each.end === end)!.chance
const sumsToOne = ({ ends }: Dealt): boolean => {
  let [n, d] = [0n, 1n]
  for (const { exact } of ends) {
    const [a, b] = exact.split('/').map(BigInt) as [bigint, bigint]
    ;[n, d] = [n * b + a * d, d * b]
  }
  return n === d
}

/** Three workers enumerate what mathematics knows the answers to; one of them is killed meanwhile. */
export const analyzer: Demo = {
  summary: 'three workers count poker hands, dealer’s hands, queens and lottery draws; one is killed',
  flags: { queens: '12' },
  async run(stage, { queens }) {
    const { say } = stage
    const solutions = QUEENS[queens!]
    if (solutions == null)
      throw new Error(`--queens ${queens}: the demo knows ${Object.keys(QUEENS).join(', ')}`)
    say('Starting three workers and a client, each a process of its own …')
    const seed = await stage.start('seed', ['seed', '--listen', '/ip4/127.0.0.1/tcp/0', '--compute', 'false'])
    const join = ['start', '--gateway-enabled', 'false', '--seed', seed.address]
    // all are this machine's owner's own, so they work for each other also where a wall is missing
    const worker = (number: number) =>
      stage.start(`${WORD}${number}`, [...join, '--slots', '1', '--trusted-peer', '*'])
    await Promise.all(Array.from({ length: WORKERS }, (_, i) => worker(i + 1)))
    const client = await stage.start('client', [...join, '--compute', 'false', '--analyzer-enabled', 'true'])
    await until(
      'the client to find three workers',
      async () => (await client.control.network.network()).workers === WORKERS
    )

    const rows: Row[] = []
    async function step<T>(
      what: string,
      [operation, input]: [string, object],
      look: (result: T) => { right: boolean; result: string },
      kill?: string
    ): Promise<void> {
      say(`\n${what}`)
      const startedAt = performance.now()
      let killed: Promise<void> | undefined
      const result = await ask<T>(client, operation, input, ({ done, total }) => {
        if (kill != null && done > 0 && done < total) killed ??= stage.kill(kill)
      })
      await killed
      const { right, result: shown } = look(result)
      const isRight = right && (kill == null || killed != null)
      const ms = Math.round(performance.now() - startedAt)
      rows.push({ what, right: isRight, result: shown, ms, ...(kill == null ? {} : { killed: kill }) })
    }

    await step<{ classes: { class: string; count: number }[] }>(
      'classes of 2,598,960 poker hands',
      ['poker', { cards: 5 }],
      ({ classes }) => ({
        right: JSON.stringify(classes.map(({ count }) => count)) === JSON.stringify(HANDS),
        result: classes.map(({ count }) => count).join(' ')
      })
    )
    await step<{ hits: { hits: number; draws: number }[] }>(
      'draws of 6/49 in which a ticket has 3 at least, a worker is killed',
      ['wheel', { tickets: ['1,2,3,4,5,6'] }],
      ({ hits }) => {
        const draws = hits.filter(each => each.hits >= 3).reduce((sum, each) => sum + each.draws, 0)
        return { right: draws === 260_624, result: String(draws) }
      },
      `${WORD}${WORKERS}`
    )
    await worker(WORKERS)
    let leaves = 0
    const busts: string[] = []
    for (let up = 1; up <= 10; up++)
      await step<Dealt>(`what a dealer ends with over ${up}`, ['dealer', { up }], dealt => {
        leaves += dealt.visited
        const bust = chanceOf(dealt, 'bust')
        busts.push(bust.toFixed(6))
        const known =
          (up !== 6 || (bust.toFixed(6) === '0.420823' && chanceOf(dealt, '17').toFixed(6) === '0.166948')) &&
          (up !== 1 || dealt.ends.find(({ end }) => end === 'blackjack')!.exact === '16/51')
        return { right: known && sumsToOne(dealt), result: `bust ${bust.toFixed(6)}` }
      })
    rows.push({ what: 'dealer’s hands in all', right: leaves === LEAVES, result: String(leaves), ms: 0 })
    await step<{ solutions: number }>(`${queens} queens`, ['queens', { n: Number(queens) }], result => ({
      right: result.solutions === solutions,
      result: String(result.solutions)
    }))
    return {
      right: rows.every(({ right }) => right),
      report: { steps: rows, busts },
      text: table(
        ['WHAT', 'RESULT', '', 'MS'],
        rows.map(({ what, result, right, ms }) => [what, result, right ? 'right' : 'WRONG', ms])
      )
    }
  }
}

async function ask<T>(
  client: DemoNode,
  operation: string,
  input: object,
  onProgress: (progress: { done: number; total: number }) => void
): Promise<T> {
  const signal = AbortSignal.timeout(TIMEOUT_MS)
  return (await client.control.call(
    { service: 'analyzer', operation, input },
    { onProgress: state => onProgress(state as { done: number; total: number }), signal }
  )) as T
}
