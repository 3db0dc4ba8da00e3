import { cardsOf, type Shoe, type Spec } from './presets.ts'

/*
 * What a player of blackjack gains by each play, per bet: the network finds what every hand that can come gains where it
 * stands, and from those it follows what drawing is worth. The functions run behind the walls, as those of presets.ts.
 */

export interface Hand extends Shoe {
  hand: readonly number[]
  /** nobody has looked yet whether the dealer has one */
  mayBeBlackjack: boolean
}

/** Nobody draws that many. */
const ENOUGH = 30

/** The hand that is there with these cards more, and what it gains where it stands. */
export type Standing = [drawn: string, gain: number]

/** Cards of each value that are in the shoe or hidden. */
const leftOf = ({ hand, ...shoe }: Hand): number[] =>
  cardsOf({ ...shoe, removed: [...shoe.removed, ...hand] })

const sum = (cards: readonly number[]): number => cards.reduce((total, card) => total + card, 0)
const best = (cards: readonly number[]): number => {
  const total = sum(cards)
  return cards.includes(1) && total <= 11 ? total + 10 : total
}
/** Why it cannot be played, if so. */
export function oddness(hand: Hand): string | undefined {
  const left = leftOf(hand)
  if (left.some(count => count < 0)) return `${hand.decks} decks do not have that many of a card`
  if (sum(left) < ENOUGH) return `${sum(left)} cards are left, too few for two to draw from`
  if (sum(hand.hand) > 21) return `hand: ${hand.hand.join(', ')} are more than 21`
}

/** What the hidden card is not. */
const barredBy = ({ mayBeBlackjack, up }: Hand): number => {
  if (mayBeBlackjack) return 0
  return up === 1 ? 10 : up === 10 ? 1 : 0
}

declare const left: number[]
declare const held: number[]
declare const open: number
declare const barred: number
declare const hitsSoft17: boolean

/** Entry i is a card that is drawn, in order of value for they are the same hand in any other; 0 when no more is drawn. */
export function player(hand: Hand): Spec {
  const shoe = leftOf(hand)
  let most = 1
  let total = sum(hand.hand)
  for (let value = 1; value <= 10 && total < 21; value++)
    for (let more = shoe[value]!; more > 0 && total < 21; more--) {
      total += value
      most++
    }
  return {
    type: 'enumerate',
    name: `Player's hand of ${hand.hand.join(', ')} over ${hand.up}`,
    space: { type: 'tree', depth: most, choices: 11 },
    context: {
      left: shoe,
      held: [...hand.hand],
      open: hand.up,
      barred: barredBy(hand),
      hitsSoft17: hand.hitSoft17
    },
    prune: (drawn: Int32Array, depth: number) => {
      const last = drawn[depth - 1]!
      const before = depth > 1 ? drawn[depth - 2]! : 1
      if (last === 0) return false
      if (last < before || before === 0) return true
      let total = last
      let same = 0
      for (let i = 0; i < held.length; i++) total += held[i]!
      for (let i = 0; i < depth - 1; i++) {
        total += drawn[i]!
        if (drawn[i] === last) same++
      }
      return total > 21 || same >= left[last]!
    },
    evaluate: (drawn: Int32Array) => {
      const rest = left.slice()
      const cards = held.slice()
      for (let i = 0; i < drawn.length && drawn[i] !== 0; i++) {
        cards.push(drawn[i]!)
        rest[drawn[i]!]!--
      }
      const total = cards.reduce((sum, card) => sum + card, 0)
      const own = cards.includes(1) && total <= 11 ? total + 10 : total
      const isNatural = cards.length === 2 && own === 21
      const gain = (total: number, aces: number, count: number, all: number): number => {
        const isSoft = aces > 0 && total <= 11
        const best = isSoft ? total + 10 : total
        if (count > 1 && best >= 17 && !(hitsSoft17 && isSoft && best === 17)) {
          if (count === 2 && best === 21) return isNatural ? 0 : -1
          if (isNatural) return 1.5
          return best > 21 ? 1 : Math.sign(own - best)
        }
        const never = count === 1 ? barred : 0
        const others = all - (never === 0 ? 0 : rest[never]!)
        let sum = 0
        for (let value = 1; value <= 10; value++) {
          const some = rest[value]!
          if (value === never || some === 0) continue
          rest[value] = some - 1
          sum += (some / others) * gain(total + value, aces + (value === 1 ? 1 : 0), count + 1, all - 1)
          rest[value] = some
        }
        return sum
      }
      const all = rest.reduce((sum, some) => sum + some, 0)
      return [cards.slice(held.length).join(), gain(open, open === 1 ? 1 : 0, 1, all)]
    },
    aggregate: { operation: 'collect', limit: 100_000 }
  }
}

/** The plays and what they gain where one plays on as well as one can, the best first; none where a hand is missing. Pure. */
export function playsOf(hand: Hand, standing: readonly Standing[]): { play: string; gain: number }[] {
  const stands = new Map(standing)
  const known = new Map<string, number>()
  const rest = leftOf(hand)
  const barred = barredBy(hand)

  /** Of the next card of the shoe, while one that is not `barred` is hidden. */
  function chanceOf(value: number): number {
    const all = sum(rest)
    if (barred === 0) return rest[value]! / all
    const others = all - rest[barred]!
    return value === barred ? rest[value]! / (all - 1) : (rest[value]! * (others - 1)) / (others * (all - 1))
  }
  function drawing(drawn: readonly number[], then: (drawn: readonly number[]) => number): number {
    let gain = 0
    for (let value = 1; value <= 10; value++) {
      if (rest[value] === 0) continue
      const chance = chanceOf(value)
      rest[value]!--
      const next = [...drawn, value].sort((a, b) => a - b)
      gain += chance * (sum(hand.hand) + sum(next) > 21 ? -1 : then(next))
      rest[value]!++
    }
    return gain
  }
  const stand = (drawn: readonly number[]): number => stands.get(drawn.join()) ?? Number.NaN
  function playing(drawn: readonly number[]): number {
    const key = drawn.join()
    const gain =
      known.get(key) ??
      (best([...hand.hand, ...drawn]) === 21 ? stand(drawn) : Math.max(stand(drawn), drawing(drawn, playing)))
    known.set(key, gain)
    return gain
  }
  const gains: [play: string, gain: number][] = [['stand', stand([])]]
  if (best(hand.hand) < 21) gains.push(['hit', drawing([], playing)])
  if (best(hand.hand) < 21 && hand.hand.length === 2) gains.push(['double', 2 * drawing([], stand)])
  if (gains.some(([, gain]) => Number.isNaN(gain))) return []
  return gains.sort(([, a], [, b]) => b - a).map(([play, gain]) => ({ play, gain }))
}
