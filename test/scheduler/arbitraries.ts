import fc from 'fast-check'

export interface Cut {
  first: number
  count: number
}

/** Consecutive slices that cover the units 0 … units − 1, in random order of arrival. */
export function cutting(units: number): fc.Arbitrary<Cut[]> {
  if (units === 0) return fc.constant([])
  const borders = fc.oneof(
    fc.constant<number[]>([]),
    fc.constant(Array.from({ length: Math.min(units, 400) - 1 }, (_, i) => i + 1)),
    fc.uniqueArray(fc.integer({ min: 1, max: Math.max(1, units - 1) }), { maxLength: 20 })
  )
  return borders.chain(found => {
    const starts = [0, ...found.filter(border => border < units).sort((a, b) => a - b)]
    const cuts = starts.map((first, i) => ({ first, count: (starts[i + 1] ?? units) - first }))
    return shuffled(cuts.length).map(order => order.map(i => cuts[i] as Cut))
  })
}

/** A permutation of 0 … length − 1. */
export function shuffled(length: number): fc.Arbitrary<number[]> {
  const all = Array.from({ length }, (_, i) => i)
  return fc.shuffledSubarray(all, { minLength: length, maxLength: length })
}
