import { LRUCache } from 'lru-cache'
import type { Event } from '../core/event.ts'
import { createRates } from '../mailbox/rates.ts'

const MAX_TOLD = 100
const TOLD_MS = 3_600_000

export type Floods = ReturnType<typeof createFloods>

/** Devices that send more than the policy lets them, in memory alone. */
export function createFloods(perMinute: () => number, now: () => number) {
  const rates = createRates(perMinute)
  const lately = new LRUCache<string, number>({ max: MAX_TOLD })
  const keyOf = (grp: string, device: string): string => `${grp} ${device}`
  const note = (device: string): void => void lately.set(device, now())
  return {
    note,
    /**
     * Events of a chat that were taken. What was written over hours and comes at once is none: each counts when its author
     * says that he wrote it, but not later than now.
     */
    hear(grp: string, events: readonly Pick<Event, 'device' | 'timeMs'>[]): void {
      for (const { device, timeMs } of events)
        if (rates.take(keyOf(grp, device), 1, Math.min(timeMs, now())) > 0) note(device)
    },
    /** Whether one more of a device in a chat would be too much now. */
    isOver: (grp: string, device: string): boolean => rates.wait(keyOf(grp, device), 1, now()) > 0,
    /** of the last hour */
    list: (): string[] => [...lately].flatMap(([device, at]) => (at > now() - TOLD_MS ? [device] : []))
  }
}
