import { fromHex, NO_HASH, toHex } from '../core/codec.ts'
import { type EventBody, MAX_PLACES, parseEvent } from '../core/event.ts'
import type { Intake } from './intake.ts'
import type { Deletion, DeviceStore } from './store.ts'

type Places = NonNullable<EventBody<'delete'>['places']>
type Row = ReturnType<DeviceStore['changed']>[number]

/**
 * What the events of a device say by which it deletes a message: where it stood, and each of its edits, as far as nobody has
 * `said` so yet. Who never had it can follow the chain through these places.
 */
export function deletionsOf(
  store: Pick<DeviceStore, 'changed'>,
  id: string,
  said: readonly Deletion[],
  isMeant: (row: Row) => boolean = () => true
): EventBody<'delete'>[] {
  const named = new Set(
    said.flatMap(({ event }) => (event.body.places ?? []).map(([, , hash]) => toHex(hash)))
  )
  const places = store.changed(id).flatMap((row): Places => {
    if (named.has(row.id) || !isMeant(row)) return []
    const { before, bytes } = row
    const known = row.seq === 0 ? NO_HASH : before == null ? undefined : fromHex(before)
    const prev = bytes == null ? known : parseEvent({ bytes }).prev
    return prev == null ? [] : [[row.device, row.seq, fromHex(row.id), prev, row.timeMs]]
  })
  const bodies: EventBody<'delete'>[] = []
  for (let at = 0; at < places.length; at += MAX_PLACES)
    bodies.push({ of: fromHex(id), places: places.slice(at, at + MAX_PLACES) })
  return bodies
}

/**
 * The same of what went with a message that is deleted and that whoever deleted it did not know of: what was edited at the
 * same time. It is gone everywhere, and who comes later waits in that place until somebody who may says what stood there.
 *
 * @param isOwn only what this device wrote; else of all
 */
export function leftBehind(
  store: Pick<DeviceStore, 'changed' | 'deletesOf'>,
  intake: Pick<Intake, 'mayRemove'>,
  self: string,
  id: string,
  { isOwn, nowMs }: { isOwn: boolean; nowMs: number }
): EventBody<'delete'>[] {
  const message = store.changed(id).find(row => row.id === id)
  if (message == null || message.bytes != null || !intake.mayRemove(message, self, nowMs)) return []
  const said = store
    .deletesOf(id)
    .filter(({ event }) => intake.mayRemove(message, event.device, event.timeMs, event.roster))
  const isMeant = (row: Row): boolean =>
    row.bytes == null && (!isOwn || row.device === self) && intake.mayRemove(row, self, nowMs)
  return said.length === 0 ? [] : deletionsOf(store, id, said, isMeant)
}
