import { DatasetItems } from '../data/dataset.ts'
import type { Source } from './contract.ts'

/** Where the inputs of a part are whose units are so many items of a dataset each; undefined for other items. */
export function sourceOf(items: unknown, itemsPerUnit: number): Source | undefined {
  if (!(items instanceof DatasetItems)) return
  const { dataset } = items
  return {
    dataset: dataset.id,
    // a unit is where its first item is
    homes: [...dataset.spans()].flatMap(({ start, end, holders }) => {
      const first = Math.ceil(start / itemsPerUnit)
      const count = Math.ceil(end / itemsPerUnit) - first
      return count > 0 ? [{ first, count, holders }] : []
    }),
    isWaiting: (first, count) => dataset.isWaiting(first * itemsPerUnit, (first + count) * itemsPerUnit),
    lost(digests) {
      const own = digests.flatMap(digest => {
        const place = dataset.placeOf(digest)
        return place == null ? [] : [{ place, digest }]
      })
      for (const { place, digest } of own) dataset.onLost(place, digest)
      return own.length > 0
    }
  }
}
