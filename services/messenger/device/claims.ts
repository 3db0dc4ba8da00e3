import { toHex } from '../core/codec.ts'
import type { Event, EventOf } from '../core/event.ts'

/** of one exchange; more are heard in the next */
const MAX_CLAIMS = 4_096
/** of the same event */
const MAX_DELETES = 8

/** A place of a chain whose event was deleted, as a member says. */
export type Gone = readonly [device: string, seq: number, id: Uint8Array, timeMs: number]
export type Claims = Pick<ReturnType<typeof createClaims>, 'at' | 'deletes'>
export const NO_CLAIMS: Claims = { at: () => undefined, deletes: () => [] }

/** What a member says is gone, and the signed events by which it was deleted: without one nobody is believed. */
export function createClaims() {
  const gone = new Map<string, Gone>()
  const deletes = new Map<string, EventOf<'delete'>[]>()
  const placeOf = (device: string, seq: number): string => `${device} ${seq}`
  return {
    add(claim: Gone): void {
      if (gone.size < MAX_CLAIMS) gone.set(placeOf(claim[0], claim[1]), claim)
    },
    /** One whose signature was checked. */
    hear(event: Event): void {
      if (event.kind !== 'delete') return
      const ids = [event.body.of, ...(event.body.places ?? []).map(([, , id]) => id)]
      for (const id of new Set(ids.map(toHex))) {
        const known = deletes.get(id)
        if (known == null && deletes.size < MAX_CLAIMS) deletes.set(id, [event])
        else if (known != null && known.length < MAX_DELETES) known.push(event)
      }
    },
    at: (device: string, seq: number): Gone | undefined => gone.get(placeOf(device, seq)),
    /** Events that say that they delete it. */
    deletes: (id: string): readonly EventOf<'delete'>[] => deletes.get(id) ?? []
  }
}
