/** Numbers from 0 to 1 that a seed gives (mulberry32 by Tommy Ettinger, in the public domain). */
export function chance(seed: number): () => number {
  // what is whole, also above 32 bits
  let state = (Math.floor(seed / 2 ** 32) ^ seed) | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/**
 * A token by the logits of all: the likeliest at temperature 0 (of equals the first), else by chance among the likeliest that
 * have `topP` of the probability together. Pure.
 */
export function sample(
  logits: Float32Array,
  { temperature, topP, random }: { temperature: number; topP: number; random: () => number }
): number {
  let best = 0
  for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[best]!) best = i
  if (temperature === 0) return best
  const weights = logits.map(logit => Math.exp((logit - logits[best]!) / temperature))
  const all = weights.reduce((sum, weight) => sum + weight, 0)
  const order = Uint32Array.from(logits, (_, i) => i)
  if (topP < 1) order.sort((a, b) => weights[b]! - weights[a]! || a - b)
  let [kept, count] = [0, 0]
  while (count < order.length && (count === 0 || kept < topP * all)) kept += weights[order[count++]!]!
  let point = random() * kept
  for (let i = 0; i < count; i++) {
    point -= weights[order[i]!]!
    if (point < 0) return order[i]!
  }
  return order[count - 1]!
}
