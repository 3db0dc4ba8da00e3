import { fromHex, NO_HASH, toHex } from '../core/codec.ts'
import { type EventBody, MAX_PLACES, parseEvent } from '../core/event.ts'
import type { DeviceStore } from './store.ts'

type Places = NonNullable<EventBody<'delete'>['places']>

/**
 * What the events of a device say by which it deletes a message: where it stood, and each of its edits, as far as none of them
 * says so yet. Who never had it can follow the chain through these places.
 */
export function deletionsOf(store: DeviceStore, self: string, id: string): EventBody<'delete'>[] {
  const own = store.deletesOf(id).filter(({ event }) => event.device === self)
  const named = own.flatMap(({ event }) => (event.body.places ?? []).map(([, , hash]) => toHex(hash)))
  const places = store.changed(id).flatMap(({ before, bytes, ...row }): Places => {
    if (named.includes(row.id)) return []
    const known = row.seq === 0 ? NO_HASH : before == null ? undefined : fromHex(before)
    const prev = bytes == null ? known : parseEvent({ bytes }).prev
    return prev == null ? [] : [[row.device, row.seq, fromHex(row.id), prev, row.timeMs]]
  })
  const bodies: EventBody<'delete'>[] = []
  for (let at = 0; at < places.length; at += MAX_PLACES)
    bodies.push({ of: fromHex(id), places: places.slice(at, at + MAX_PLACES) })
  return bodies
}
