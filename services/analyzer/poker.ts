/** The names of what `pokerClass` gives, from the least. */
export const POKER_CLASSES = [
  'high card',
  'pair',
  'two pairs',
  'three of a kind',
  'straight',
  'flush',
  'full house',
  'four of a kind',
  'straight flush',
  'royal flush'
]

/** The class of the best five of five to seven cards; a card is 4 · rank + suit, deuces have rank 0. Self-contained. */
export function pokerClass(hand: ArrayLike<number>): number {
  const ranksOfSuit = [0, 0, 0, 0]
  for (let i = 0; i < hand.length; i++) ranksOfSuit[hand[i]! & 3]! |= 1 << (hand[i]! >> 2)
  const [a, b, c, d] = ranksOfSuit as [number, number, number, number]
  const size = (set: number): number => {
    let count = 0
    for (let rest = set; rest !== 0; rest &= rest - 1) count++
    return count
  }
  // five in a row, by their lowest; an ace is also below the deuce
  const straight = (set: number): number => {
    const row = (set << 1) | (set >> 12)
    return row & (row >> 1) & (row >> 2) & (row >> 3) & (row >> 4)
  }
  let flush = 0
  if (size(a) >= 5) flush = a
  else if (size(b) >= 5) flush = b
  else if (size(c) >= 5) flush = c
  else if (size(d) >= 5) flush = d
  if (flush !== 0) {
    const low = straight(flush)
    if (low !== 0) return low >= 1 << 9 ? 9 : 8
  }
  const pairs = (a & b) | (c & d) | ((a | b) & (c | d))
  if (pairs !== 0) {
    if ((a & b & c & d) !== 0) return 7
    const triples = (a & b & (c | d)) | (c & d & (a | b))
    if (triples !== 0 && size(pairs) > 1) return 6
    if (flush !== 0) return 5
    if (straight(a | b | c | d) !== 0) return 4
    if (triples !== 0) return 3
    return size(pairs) > 1 ? 2 : 1
  }
  if (flush !== 0) return 5
  return straight(a | b | c | d) !== 0 ? 4 : 0
}
