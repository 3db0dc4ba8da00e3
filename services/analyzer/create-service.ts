import type { Call, HostOf, Progress, ServiceOf } from '../host/index.ts'
import type { declaration } from './declaration.ts'
import { PresetError } from './errors.ts'
import { POKER_CLASSES } from './poker.ts'
import { cardsOf, DEALER_ENDS, dealer, poker, queens, type Spec, steiner, wheel } from './presets.ts'

type Own = typeof declaration
type Told = Progress<Own['operations']['poker']>
interface Enumerated<V> {
  visited: number
  skipped: number | bigint
  value: V
}
type Fraction = bigint | [bigint, bigint]

export function createService(host: HostOf<Own>): ServiceOf<Own> {
  /** A job of the owner's; it is cancelled when the caller goes. */
  async function run<V>(spec: Spec, { signal, send }: Call<Told>) {
    const job = await host.use.jobs.submit(spec)
    const tell = (): void => {
      const { done, total } = job.report()
      // who has gone is told nothing more
      void send({ done, total }).catch(() => {})
    }
    job.addEventListener('progress', tell)
    try {
      const { visited, skipped, value } = (await job.result({ signal })) as Enumerated<V>
      return { counted: { job: job.id, visited, skipped: String(skipped) }, value }
    } catch (err) {
      if (signal.aborted) await job.cancel('nobody waits for it')
      throw err
    } finally {
      job.removeEventListener('progress', tell)
    }
  }

  return {
    operations: {
      async poker({ cards }, call) {
        const { counted, value } = await run<[number, number][]>(poker(cards), call)
        return { ...counted, classes: value.map(([at, count]) => ({ class: POKER_CLASSES[at]!, count })) }
      },
      async dealer(shoe, call) {
        if (cardsOf(shoe).some(left => left < 0))
          throw new PresetError(`removed: ${shoe.decks} decks do not have that many of a card`)
        const { counted, value } = await run<Record<string, Fraction>>(dealer(shoe), call)
        const ends = DEALER_ENDS.map(end => {
          const sum = value[`end_${end}`]!
          const [n, d] = typeof sum === 'bigint' ? [sum, 1n] : sum
          return { end, chance: ratio(n, d), exact: `${n}/${d}` }
        })
        return { ...counted, ends }
      },
      async queens({ n }, call) {
        const { counted, value } = await run<number>(queens(n), call)
        return { ...counted, solutions: value }
      },
      async wheel({ numbers, pick, tickets }, call) {
        const read = tickets.map(ticket => ticket.split(',').map(Number))
        for (const [i, ticket] of read.entries())
          if (new Set(ticket).size !== ticket.length || ticket.some(number => number < 1 || number > numbers))
            throw new PresetError(`ticket ${tickets[i]}: different numbers from 1 to ${numbers} are needed`)
        if (pick > numbers) throw new PresetError(`pick: ${pick} of ${numbers} numbers cannot be drawn`)
        const { counted, value } = await run<[number, number][]>(wheel(numbers, pick, read), call)
        return { ...counted, hits: value.map(([hits, draws]) => ({ hits, draws })) }
      },
      async steiner({ v }, call) {
        // each point meets the others in pairs, and triples have three points
        if (v % 6 !== 1 && v % 6 !== 3)
          throw new PresetError(`v: there is no triple system of ${v} points; take 3, 7 or 9`)
        const { counted, value } = await run<number>(steiner(v), call)
        return { ...counted, systems: value }
      }
    }
  }
}

/** To the last digit of a float64, also of numbers that it cannot hold. */
const ratio = (n: bigint, d: bigint): number => Number((n << 80n) / d) / 2 ** 80
