import { toHex } from '../core/codec.ts'
import type { Event, EventOf } from '../core/event.ts'

/** of one exchange: the newest; what stands before them is asked for by itself */
export const MAX_CLAIMS = 1_024
/** of the same event */
const MAX_DELETES = 8

/** A place of a chain whose event was deleted, as a member says. */
export type Gone = readonly [device: string, seq: number, id: Uint8Array, timeMs: number]
export type Claims = Pick<ReturnType<typeof createClaims>, 'at' | 'deletes'>
export const NO_CLAIMS: Claims = { at: () => undefined, deletes: () => [] }

/** What a member says is gone, in its order, and the signed events by which it was deleted: without one nobody is believed. */
export function createClaims() {
  const gone = new Map<string, Gone>()
  const deletes = new Map<string, EventOf<'delete'>[]>()
  let isCut = false
  /** The oldest makes room. */
  function keep<T>(all: Map<string, T>, key: string, value: T): void {
    all.set(key, value)
    if (all.size <= MAX_CLAIMS) return
    all.delete(all.keys().next().value!)
    isCut = true
  }
  const placeOf = (device: string, seq: number): string => `${device} ${seq}`
  return {
    add(claim: Gone): void {
      keep(gone, placeOf(claim[0], claim[1]), claim)
    },
    /** One whose signature was checked. */
    hear(event: Event): void {
      if (event.kind !== 'delete') return
      const ids = [event.body.of, ...(event.body.places ?? []).map(([, , id]) => id)]
      for (const id of new Set(ids.map(toHex))) {
        const known = deletes.get(id)
        if (known == null) keep(deletes, id, [event])
        else if (known.length < MAX_DELETES) known.push(event)
      }
    },
    /** Whether there was more than is kept. */
    isCut: (): boolean => isCut,
    at: (device: string, seq: number): Gone | undefined => gone.get(placeOf(device, seq)),
    /** Events that say that they delete it. */
    deletes: (id: string): readonly EventOf<'delete'>[] => deletes.get(id) ?? []
  }
}
