import type { Event, EventOf } from '../core/event.ts'

/**
 * What stands in the place of an event: the newest edit of the person who wrote it. Others may have sent one before it was
 * here to tell whose it is. Pure.
 */
export function editOf(
  event: Event,
  about: readonly Event[],
  personOf: (device: string) => string
): EventOf<'edit'> | undefined {
  const author = personOf(event.device)
  return about.filter(each => each.kind === 'edit').findLast(({ device }) => personOf(device) === author)
}
