/** What is in a text, with weights: a vector of which the embedding is a projection. */
export type Features = ReadonlyMap<string, number>

/** Shorter words are found in every text; from here on a word counts wholly. */
const LONG = 6
const PIECES = [3, 4]

/**
 * Words, pairs of neighbours, and pieces of words, so that forms of a word and misspellings are near each other. No
 * dictionary, and no language: what two texts have in common is how they are written, not what they mean. Pure.
 */
export function featuresOf(text: string): Features {
  const words =
    text
      .normalize('NFKC')
      .toLowerCase()
      .match(/[\p{L}\p{M}\p{N}]+|[^\s\p{L}\p{M}\p{N}]/gu) ?? []
  const squares = new Map<string, number>()
  const add = (feature: string, weight: number): void =>
    void squares.set(feature, (squares.get(feature) ?? 0) + weight * weight)
  for (const [i, word] of words.entries()) {
    const weight = Math.min(1, word.length / LONG)
    add(word, weight)
    if (i > 0) add(`${words[i - 1]} ${word}`, weight / 2)
    const characters = [...`<${word}>`]
    const pieces = PIECES.flatMap(size =>
      Array.from({ length: Math.max(0, characters.length - size + 1) }, (_, at) =>
        characters.slice(at, at + size).join('')
      )
    )
    for (const piece of pieces) add(`#${piece}`, weight / Math.sqrt(pieces.length))
  }
  // what is there n times counts √n times
  return new Map([...squares].map(([feature, square]) => [feature, Math.sqrt(square)]))
}

/** How many words a text has. Pure. */
export const wordsIn = (text: string): number => text.match(/[\p{L}\p{M}\p{N}]+/gu)?.length ?? 0

/** 64 bits of a feature, as two halves (cyrb53 by bryc, in the public domain, whose two halves are these). Pure. */
export function hashOf(feature: string): [number, number] {
  let [a, b] = [0xdead_beef, 0x41c6_ce57]
  for (let i = 0; i < feature.length; i++) {
    const code = feature.charCodeAt(i)
    a = Math.imul(a ^ code, 2_654_435_761)
    b = Math.imul(b ^ code, 1_597_334_677)
  }
  a = Math.imul(a ^ (a >>> 16), 2_246_822_507) ^ Math.imul(b ^ (b >>> 13), 3_266_489_909)
  b = Math.imul(b ^ (b >>> 16), 2_246_822_507) ^ Math.imul(a ^ (a >>> 13), 3_266_489_909)
  return [a | 0, b | 0]
}
