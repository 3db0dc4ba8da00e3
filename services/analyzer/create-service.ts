import type { Call, HostOf, ServiceOf } from '../host/index.ts'
import type { declaration } from './declaration.ts'
import { PresetError } from './errors.ts'
import { oddness, player, playsOf, type Standing } from './player.ts'
import { POKER_CLASSES } from './poker.ts'
import { cardsOf, DEALER_ENDS, dealer, poker, queens, type Spec, steiner, wheel } from './presets.ts'

type Own = typeof declaration
interface Enumerated<V> {
  visited: number
  skipped: number | bigint
  value: V
}
interface Counted {
  job: string
  visited: number
  skipped: string
}
interface Told<T> {
  job: string
  done: number
  total: number
  soFar?: T
}
type Fraction = bigint | [bigint, bigint]

/** A person's eye takes no more; and what is so far may be large. */
const LOOK_MS = 500
/** Of the time at most this part goes into looking. */
const LOOK_SHARE = 0.05

export function createService(host: HostOf<Own>): ServiceOf<Own> {
  /** A job of the owner's; it is cancelled when the caller goes. */
  async function run<V, T>(
    spec: Spec,
    { signal, send }: Call<Told<T & Counted>>,
    read: (value: V) => T
  ): Promise<T & Counted> {
    const job = await host.use.jobs.submit(spec)
    const told = ({ visited, skipped, value }: Enumerated<V>): T & Counted => ({
      job: job.id,
      visited,
      skipped: String(skipped),
      ...read(value)
    })
    let next = 0
    let isSending = false
    async function tell(): Promise<void> {
      const from = performance.now()
      if (isSending || from < next) return
      isSending = true
      const { done, total } = job.report()
      const soFar = job.soFar() as Enumerated<V> | undefined
      next = from + Math.max(LOOK_MS, (performance.now() - from) / LOOK_SHARE)
      const progress = { job: job.id, done, total, ...(soFar == null ? {} : { soFar: told(soFar) }) }
      // who has gone is told nothing more
      await send(progress).catch(() => {})
      isSending = false
    }
    const onProgress = (): void => {
      tell().catch(err => host.log.error('what job %s has so far could not be told: %e', job.id, err))
    }
    job.addEventListener('progress', onProgress)
    try {
      return told((await job.result({ signal })) as Enumerated<V>)
    } catch (err) {
      if (signal.aborted) await job.cancel('nobody waits for it')
      throw err
    } finally {
      job.removeEventListener('progress', onProgress)
    }
  }

  return {
    operations: {
      poker: ({ cards }, call) =>
        run(poker(cards), call, (value: [number, number][]) => {
          const counts = new Map(value)
          return { classes: POKER_CLASSES.map((name, at) => ({ class: name, count: counts.get(at) ?? 0 })) }
        }),
      async dealer(shoe, call) {
        if (cardsOf(shoe).some(left => left < 0))
          throw new PresetError(`removed: ${shoe.decks} decks do not have that many of a card`)
        return run(dealer(shoe), call, (value: Record<string, Fraction>) => ({
          ends: DEALER_ENDS.map(end => {
            const sum = value[`end_${end}`]!
            const [n, d] = typeof sum === 'bigint' ? [sum, 1n] : sum
            return { end, chance: ratio(n, d), exact: `${n}/${d}` }
          })
        }))
      },
      async player(hand, call) {
        const odd = oddness(hand)
        if (odd != null) throw new PresetError(odd)
        return run(player(hand), call, (value: Standing[]) => ({ plays: playsOf(hand, value) }))
      },
      queens: ({ n }, call) => run(queens(n), call, (solutions: number) => ({ solutions })),
      async wheel({ numbers, pick, tickets }, call) {
        const read = tickets.map(ticket => ticket.split(',').map(Number))
        for (const [i, ticket] of read.entries())
          if (new Set(ticket).size !== ticket.length || ticket.some(number => number < 1 || number > numbers))
            throw new PresetError(`ticket ${tickets[i]}: different numbers from 1 to ${numbers} are needed`)
        if (pick > numbers) throw new PresetError(`pick: ${pick} of ${numbers} numbers cannot be drawn`)
        return run(wheel(numbers, pick, read), call, (value: [number, number][]) => ({
          hits: value.map(([hits, draws]) => ({ hits, draws }))
        }))
      },
      async steiner({ v }, call) {
        // each point meets the others in pairs, and triples have three points
        if (v % 6 !== 1 && v % 6 !== 3)
          throw new PresetError(`v: there is no triple system of ${v} points; take 3, 7 or 9`)
        return run(steiner(v), call, (systems: number) => ({ systems }))
      },
      enumerate: (task, call) => run({ type: 'enumerate', ...task }, call, (value: unknown) => ({ value }))
    }
  }
}

/** To the last digit of a float64, also of numbers that it cannot hold. */
const ratio = (n: bigint, d: bigint): number => Number((n << 80n) / d) / 2 ** 80
