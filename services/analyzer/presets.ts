import { pokerClass } from './poker.ts'

/*
 * What the presets enumerate, as task specs. The functions run behind the walls by their text: they use nothing but their
 * arguments and the keys of `context`, which are declared here for the compiler alone.
 */

export type Spec = { type: 'enumerate' } & Record<string, unknown>

export const poker = (cards: number): Spec => ({
  type: 'enumerate',
  name: `Poker hands of ${cards} cards`,
  space: { type: 'combinations', n: 52, k: cards },
  evaluate: pokerClass,
  aggregate: 'histogram'
})

/** Entry i is the column of the queen in row i. */
export const queens = (n: number): Spec => ({
  type: 'enumerate',
  name: `${n} queens`,
  space: { type: 'tree', depth: n, choices: n },
  prune: (columns: Int32Array, depth: number) => {
    const column = columns[depth - 1]!
    for (let row = 0; row < depth - 1; row++) {
      const apart = column - columns[row]!
      if (apart === 0 || apart === depth - 1 - row || apart === row + 1 - depth) return true
    }
    return false
  },
  aggregate: 'count'
})

declare const marks: number[][]

/** How many numbers of a draw the best of the tickets has. */
export const wheel = (numbers: number, pick: number, tickets: readonly (readonly number[])[]): Spec => ({
  type: 'enumerate',
  name: `${pick} of ${numbers}, ${tickets.length} tickets`,
  space: { type: 'combinations', n: numbers, k: pick },
  context: {
    marks: tickets.map(ticket => Array.from({ length: numbers }, (_, i) => (ticket.includes(i + 1) ? 1 : 0)))
  },
  evaluate: (draw: Int32Array) => {
    let best = 0
    for (let t = 0; t < marks.length; t++) {
      const own = marks[t]!
      let hits = 0
      for (let i = 0; i < draw.length; i++) hits += own[draw[i]!]!
      if (hits > best) best = hits
    }
    return best
  },
  aggregate: 'histogram'
})

declare const points: number

/**
 * Labelled triple systems: every pair of points in exactly one triple. Each entry is the third point of the first pair that
 * is in none yet, so every system is there once.
 */
export const steiner = (v: number): Spec => ({
  type: 'enumerate',
  name: `Steiner triple systems of ${v} points`,
  space: { type: 'tree', depth: (v * (v - 1)) / 6, choices: v },
  context: { points: v },
  prune: (thirds: Int32Array, depth: number) => {
    const paired = new Uint8Array(points * points)
    let pair = 0
    for (let i = 0; i < depth; i++) {
      while (paired[pair] === 1 || pair % points <= Math.floor(pair / points)) pair++
      const a = Math.floor(pair / points)
      const b = pair % points
      const c = thirds[i]!
      // b is the least that a is to meet
      if (c <= b || paired[a * points + c] === 1 || paired[b * points + c] === 1) return true
      paired[a * points + b] = 1
      paired[a * points + c] = 1
      paired[b * points + c] = 1
    }
    return false
  },
  aggregate: 'count'
})

/** What a dealer can end with. */
export const DEALER_ENDS = ['17', '18', '19', '20', '21', 'blackjack', 'bust'] as const

export interface Shoe {
  decks: number
  /** cards that are no more in it, 1 (ace) to 10; beside the dealer's own */
  removed: readonly number[]
  /** the dealer's open card */
  up: number
  hitSoft17: boolean
}

/** Cards of each value 1..10 when the dealer's open card is on the table. */
export function cardsOf({ decks, removed, up }: Shoe): number[] {
  const cards = Array.from({ length: 11 }, (_, value) =>
    value === 0 ? 0 : value === 10 ? 16 * decks : 4 * decks
  )
  for (const value of [up, ...removed]) cards[value]!--
  return cards
}

declare const dealt: number[]
declare const open: number
declare const hitsSoft17: boolean

/** Entry i is the dealer's next card, 0 when he draws no more. */
export function dealer(shoe: Shoe): Spec {
  const cards = cardsOf(shoe)
  // nobody draws longer than with the smallest cards first, aces at 1, to 17
  let depth = 0
  let total = shoe.up
  for (let value = 1; value <= 10 && total < 17; value++)
    for (let left = cards[value]!; left > 0 && total < 17; left--) {
      total += value
      depth++
    }
  return {
    type: 'enumerate',
    name: `Dealer's hand over ${shoe.up}`,
    space: { type: 'tree', depth, choices: 11 },
    context: { dealt: cards, open: shoe.up, hitsSoft17: shoe.hitSoft17 },
    prune: (drawn: Int32Array, depth: number) => {
      let total = open
      let aces = open === 1 ? 1 : 0
      let same = 0
      const last = drawn[depth - 1]!
      for (let i = 0; i < depth - 1; i++) {
        if (drawn[i] === 0) return last !== 0
        total += drawn[i]!
        if (drawn[i] === 1) aces++
        if (drawn[i] === last) same++
      }
      const isSoft = aces > 0 && total <= 11
      const best = isSoft ? total + 10 : total
      const stands = depth > 1 && best >= 17 && !(hitsSoft17 && isSoft && best === 17)
      return stands ? last !== 0 : last === 0 || dealt[last]! <= same
    },
    evaluate: (drawn: Int32Array) => {
      let total = open
      let aces = open === 1 ? 1 : 0
      let left = 0
      for (let value = 1; value <= 10; value++) left += dealt[value]!
      let [ways, all] = [1n, 1n]
      let count = 0
      for (; count < drawn.length && drawn[count] !== 0; count++) {
        const card = drawn[count]!
        let same = 0
        for (let i = 0; i < count; i++) if (drawn[i] === card) same++
        ways *= BigInt(dealt[card]! - same)
        all *= BigInt(left - count)
        total += card
        if (card === 1) aces++
      }
      const best = aces > 0 && total <= 11 ? total + 10 : total
      const end = best > 21 ? 'bust' : count === 1 && best === 21 ? 'blackjack' : String(best)
      return { end, chance: [ways, all] }
    },
    exact: true,
    aggregate: Object.fromEntries(
      DEALER_ENDS.map(end => [
        `end_${end}`,
        { operation: 'sum', of: `x => x.end === '${end}' ? x.chance : 0` }
      ])
    )
  }
}
