import { hash } from 'node:crypto'
import { encodeManifest, type KeptSlice } from '../data/dataset.ts'
import { keptAnswer, readKeptAnswer } from '../data/kept-items.ts'
import { ProtocolError } from '../errors.ts'
import { malformed, type Part, type Reducer } from './contract.ts'
import type { Keep } from './fields.ts'

/*
 * Parts whose results stay where they are made. What their slices bring is sizes and digests, and the result is the
 * manifest of a dataset.
 */

/**
 * The part with results that stay. `keep.slices`: not all of it, but these slices once more, as they were cut, and each
 * must give what it gave. `expected`: how many results there must be of so many units.
 */
export function keptPart(part: Part, keep: Keep, expected?: (first: number, count: number) => number): Part {
  const again = keep === true ? undefined : keep.slices
  const at = (unit: number, count: number): [first: number, count: number] => {
    const [first, units] = again?.[unit] ?? [unit, count]
    return [first, units]
  }

  function expectRight(answer: Uint8Array, unit: number, count: number): void {
    const chunks = readKeptAnswer(answer)
    const [first, units] = at(unit, count)
    const items = chunks.reduce((sum, [items]) => sum + items, 0)
    const most = expected?.(first, units)
    if (most != null && items !== most)
      throw new ProtocolError(`a result has ${items} items instead of ${most}`)
    const digest = again?.[unit]?.[2]
    if (digest != null && Buffer.compare(digestOf(answer), digest) !== 0)
      throw new ProtocolError('the results are not those that were accepted when they were calculated before')
  }

  const createReducer = (): Reducer => {
    const slices = new Map<number, KeptSlice>()
    return {
      add(unit, count, value, workers = []) {
        expectRight(value, unit, count)
        const [first, units] = at(unit, count)
        slices.set(unit, { first, count: units, holders: workers, chunks: readKeptAnswer(value) })
      },
      finish: async () => encodeManifest([...slices].sort(([a], [b]) => a - b).map(([, slice]) => slice))
    }
  }
  const kept: Part = {
    ...part,
    stay: true,
    // what stays is not here to be compared item by item
    cut: undefined,
    pack([outcome], count, unit) {
      if (!(outcome instanceof Uint8Array)) return outcome ?? malformed
      try {
        expectRight(outcome, unit, count)
        return outcome
      } catch (err) {
        return { name: 'invalid-result', message: (err as Error).message }
      }
    },
    reducer: createReducer(),
    createReducer
  }
  return again == null ? kept : ofSlices(kept, again)
}

/** The same part with a unit for each of these intervals of its units. */
export function ofSlices(
  part: Part,
  slices: readonly (readonly [first: number, count: number, ...unknown[]])[]
): Part {
  const { source } = part
  return {
    ...part,
    units: slices.length,
    mostUnits: 1,
    rateKey: `${part.rateKey} again`,
    inputs: unit => part.inputs(slices[unit]![0], slices[unit]![1]),
    source: source && {
      ...source,
      homes: undefined,
      isWaiting: unit => source.isWaiting(slices[unit]![0], slices[unit]![1])
    }
  }
}

/** What tells the results of a slice from others. */
export const digestOf = (answer: Uint8Array): Uint8Array => hash('sha256', answer, 'buffer')

/** The slices of a dataset at these places, as `keep` names them. */
export const asAgain = (slices: readonly KeptSlice[], places: readonly number[]) =>
  places.map(place => {
    const { first, count, chunks } = slices[place]!
    return [first, count, digestOf(keptAnswer(chunks))] as [number, number, Uint8Array]
  })
